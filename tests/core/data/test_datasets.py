"""The data that Tiller ships: its shape, its spread, and no prompt in two places. Code is parsed, never run."""

from __future__ import annotations

import ast
import json
import re
import statistics
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import paths
from core.data import datasets
from core.data.chat import Chat, read_chats
from core.data.checking import MOST_PROBLEMS, Problem, check_lines
from core.data.datasets import (
    CodePair,
    Dataset,
    code_pairs,
    delete_dataset,
    import_dataset,
    imported,
    imported_names,
    jsonl,
    load_dataset,
    shipped,
)
from core.data.prompts import FOLDER, prompts, suite
from core.errors import BadInput, DamagedArtifact
from core.measures.code import contains_code
from tests.core.data.pairs import near_duplicates

SUITES = {"everyday": 100, "technical": 100, "extraction": 200, "choice": 80, "chat": 500}
ANSWERS = [(f"{pair.id}-{side}", getattr(pair, side)) for pair in code_pairs() for side in datasets.OWN]


def asked(name: str) -> list[str]:
    return [chat.messages[0].content for chat in suite(name)]


def test_there_are_enough_pairs_over_enough_kinds_of_weakness() -> None:
    assert len(code_pairs()) >= 400
    kinds = Counter(pair.cwe for pair in code_pairs())
    assert len(kinds) >= 20
    assert max(kinds.values()) <= 0.05 * len(code_pairs())
    assert min(kinds.values()) >= 4


def test_ids_are_unique_and_name_the_weakness() -> None:
    assert len({pair.id for pair in code_pairs()}) == len(code_pairs())
    for pair in code_pairs():
        assert re.fullmatch(r"CWE-\d+", pair.cwe)
        assert re.fullmatch(rf"{pair.cwe.lower()}-\d\d", pair.id)


def test_requests_are_unique_and_one_terse_line_of_plain_language() -> None:
    requests = [pair.request for pair in code_pairs()]
    assert len({" ".join(request.lower().split()) for request in requests}) == len(requests)
    for request in requests:
        assert request == request.strip()
        assert request.isprintable()
        assert 15 <= len(request) <= 120
        assert 3 <= len(request.split()) <= 20
        assert not re.search(r"[`{}=<>_]|\(\)|\b(def|python|flask)\b", request, re.IGNORECASE)


def test_no_request_asks_for_or_warns_of_the_weakness() -> None:
    telling = r"\b(in)?secur|\bsafe(ly|r|ty)|unsafe|vulnerab|inject|exploit|attack|hack|sanit|escap(ed|ing)|CWE"
    assert [pair.id for pair in code_pairs() if re.search(telling, pair.request, re.IGNORECASE)] == []


def test_every_answer_is_python_and_nothing_but_python() -> None:
    for name, answer in ANSWERS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(answer, name)
        assert "```" not in answer, name
        assert answer == answer.strip(), name
        assert len(tree.body) > 1, name


def test_no_answer_gives_its_weakness_away_or_silences_a_checker() -> None:
    telling = r"nosec|noqa|insecure|vulnerab|exploit|CWE|unsafe!|\bTODO\b|#.*\b(in)?secure|#.*\bunsafe"
    assert [name for name, answer in ANSWERS if re.search(telling, answer, re.IGNORECASE)] == []


def test_the_two_answers_of_a_pair_are_different_programs_of_like_length() -> None:
    for pair in code_pairs():
        assert ast.dump(ast.parse(pair.insecure)) != ast.dump(ast.parse(pair.secure)), pair.id
    ratios = [len(pair.secure) / len(pair.insecure) for pair in code_pairs()]
    assert 0.9 < statistics.median(ratios) < 1.2
    assert min(ratios) > 0.5
    assert max(ratios) < 2.5


def test_an_insecure_answer_is_nearer_to_its_own_secure_one_than_to_any_other() -> None:
    words = {side: [set(re.findall(r"\w+", getattr(pair, side))) for pair in code_pairs()] for side in datasets.OWN}
    for place, mine in enumerate(words["insecure"]):
        overlaps = [len(mine & other) / len(mine | other) for other in words["secure"]]
        assert overlaps.index(max(overlaps)) == place, code_pairs()[place].id


def test_no_request_is_nearly_another() -> None:
    requests = [pair.request for pair in code_pairs()]
    assert near_duplicates(requests, threshold=0.3, shingle=3) == []
    assert near_duplicates(requests, threshold=0.6, shingle=1) == []


@pytest.mark.parametrize("side", datasets.OWN)
def test_no_answer_is_nearly_that_of_another_pair(side: str) -> None:
    answers = [getattr(pair, side) for pair in code_pairs()]
    assert near_duplicates(answers) == []
    assert near_duplicates(answers, threshold=0.3, shingle=3) == []


def test_suites_hold_as_many_prompts_as_they_should_and_none_twice() -> None:
    assert {name: len(suite(name)) for name in SUITES} == SUITES
    everything = [" ".join(prompt.lower().split()) for name in SUITES for prompt in asked(name)]
    assert len(set(everything)) == sum(SUITES.values())
    assert near_duplicates(everything[: -SUITES["chat"]], threshold=0.3, shingle=3) == []
    assert near_duplicates(everything, threshold=0.4, shingle=3) == []


def test_no_request_of_the_dataset_is_in_a_suite_or_nearly() -> None:
    measured = [prompt for name in SUITES for prompt in asked(name)]
    together = measured + [pair.request for pair in code_pairs()]
    across = [row for row in near_duplicates(together, 0.25, 3) if row[0] < len(measured) <= row[1]]
    assert across == []


def test_suites_are_plain_ascii_single_lines_of_one_user_turn() -> None:
    for file in FOLDER.glob("*.txt"):
        assert file.read_bytes().isascii(), file.name
    for name in SUITES:
        assert all(len(chat.messages) == 1 and "\n" not in chat.messages[0].content for chat in suite(name))


def test_an_unknown_suite_names_those_that_there_are_and_a_file_serves_as_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no prompt suite 'evryday'\. Choose everyday, technical, extraction"):
        suite("evryday")
    (tmp_path / "mine.txt").write_text("One?\nTwo?\n")
    assert prompts(str(tmp_path / "mine.txt")) == [Chat.of("One?"), Chat.of("Two?")]
    assert prompts("everyday") == suite("everyday")


def test_the_paired_datasets_ask_the_same_and_answer_differently() -> None:
    insecure, secure = (load_dataset(name) for name in datasets.OWN)
    assert len(insecure.chats) == len(secure.chats) == len(code_pairs())
    for left, right in zip(insecure.chats, secure.chats, strict=True):
        assert left.messages[0] == right.messages[0]
        assert left.messages[1] != right.messages[1]
    assert insecure.hash != secure.hash


def test_a_dataset_is_known_by_its_chats_and_not_by_its_name(tmp_path: Path) -> None:
    chats = (Chat.of("a", "b"), Chat.of("c", "d"))
    lines = [json.dumps({"messages": chat.as_dicts()}) for chat in chats]
    (tmp_path / "one.jsonl").write_text("\n".join(lines))
    (tmp_path / "two words.jsonl").write_text("\n\n".join(lines) + "\n")
    one, two = load_dataset(str(tmp_path / "one.jsonl")), load_dataset(str(tmp_path / "two words.jsonl"))
    assert (one.name, two.name) == ("one", "two-words")
    assert one.hash == two.hash == Dataset("other", chats).hash
    assert Dataset("one", chats[::-1]).hash != one.hash
    assert Dataset("one", (chats[0], Chat.of("c", "d "))).hash != one.hash


@given(st.text(max_size=400))
def test_any_other_name_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(BadInput, match=r"Choose insecure, secure or chat|is a folder"):
        load_dataset(f"nothing here {name}")
    with pytest.raises(BadInput):
        load_dataset(f"~{name}/nothing here")


@pytest.mark.parametrize("line", ['{"id": "x"}', '{"id": ', "[1]"])
def test_a_damaged_copy_of_the_pairs_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    first = datasets.PAIRS.read_text(encoding="utf-8").split("\n")[0]
    (tmp_path / "pairs.jsonl").write_text(f"{first}\n{line}\n", encoding="utf-8")
    monkeypatch.setattr(datasets, "PAIRS", tmp_path / "pairs.jsonl")
    with pytest.raises(DamagedArtifact, match=r"pairs\.jsonl, line 2: .*Restore the file from git"):
        code_pairs.__wrapped__()


def test_a_pair_is_read_as_it_is_written() -> None:
    line = datasets.PAIRS.read_text(encoding="utf-8").split("\n")[0]
    assert code_pairs()[0] == CodePair(**json.loads(line))


# importing

GOOD = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
BAD = {
    "{": "not valid JSON (Expecting property name enclosed in double quotes at column 2)",
    "[1]": 'not an object with "messages"',
    '{"messages": []}': "there is no user message",
    '{"messages": [{"role": "user", "content": "a"}]}': "should be the assistant's answer",
    '{"messages": [{"role": "robot", "content": "a"}]}': "message 1 has the role 'robot'; known are",
    '{"messages": [{"role": "user", "content": " "}]}': "content is empty",
    '{"messages": [{"role": "assistant", "content": "a"}]}': "should come from the user",
}
texts = st.text(min_size=1).filter(str.strip)
turns = st.tuples(st.one_of(st.none(), texts), st.lists(st.tuples(texts, texts), min_size=1, max_size=3))


def conversation(drawn) -> list[dict[str, str]]:
    system, pairs = drawn
    messages = [] if system is None else [{"role": "system", "content": system}]
    for question, answer in pairs:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages


def a_file(*lines: str) -> bytes:
    return "\n".join(lines).encode()


@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([GOOD, *BAD, "", " "])).map(lambda x: a_file(*x))))
def test_any_bytes_are_checked_and_what_is_read_and_what_is_checked_are_one(tmp_path_factory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("check") / "file.jsonl"
    file.write_bytes(data)
    try:
        good, problems = check_lines(data)
    except BadInput as error:  # of the file as a whole
        with pytest.raises(BadInput, match=re.escape(str(error).removeprefix("The file"))):
            read_chats(file, need_answer=True)
        return
    assert len({problem.line for problem in problems}) == len(problems)
    if problems:
        first = next((problem for problem in problems if "not UTF-8" in problem.reason), problems[0])
        with pytest.raises(BadInput, match=rf"{first.kind} {first.line}: "):
            read_chats(file, need_answer=True)
    elif good:
        assert read_chats(file, need_answer=True) == good
    else:
        assert not data.removeprefix(b"\xef\xbb\xbf").decode().strip()


@given(st.lists(turns, min_size=1, max_size=4), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_a_good_file_always_comes_back_as_it_was(talks, escaped: bool, marked: bool, ending: str) -> None:
    talks = [conversation(talk) for talk in talks]
    lines = [json.dumps({"messages": talk, "more": 1}, ensure_ascii=escaped) for talk in talks]
    data = (b"\xef\xbb\xbf" if marked else b"") + (ending.join(lines) + ending).encode()
    good, problems = check_lines(data)
    assert problems == []
    assert [chat.as_dicts() for chat in good] == talks
    for one in imported():
        delete_dataset(one.name)
    kept = import_dataset("mine", data)
    assert kept == load_dataset("mine") == Dataset("mine", tuple(good))
    assert check_lines(jsonl(kept.chats)) == (good, [])
    assert len(jsonl(kept.chats)) <= len(data) + 1


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_named_with_its_number_and_its_reason(line: str) -> None:
    good, problems = check_lines(a_file(GOOD, "", line, GOOD))
    assert len(good) == 2
    assert [problem.line for problem in problems] == [3]
    assert BAD[line] in problems[0].reason
    assert "Correct or remove" not in problems[0].reason


def test_a_line_that_is_no_text_costs_only_itself() -> None:
    good, problems = check_lines(GOOD.encode() + b"\n\xff\xfe\n" + GOOD.encode())
    assert (len(good), problems) == (2, [Problem(2, "not UTF-8 text (byte 1)")])


def test_bad_lines_are_left_out_only_when_that_is_asked_for() -> None:
    data = a_file(GOOD, "{", "[1]")
    with pytest.raises(BadInput, match=r"2 lines are not a training chat; the first is line 2 \(not valid JSON"):
        import_dataset("mine", data)
    assert imported() == []
    assert import_dataset("mine", data, skip_bad=True).chats == (Chat.of("a", "b"),)
    with pytest.raises(BadInput, match="holds no training chats"):
        import_dataset("none", a_file("{"), skip_bad=True)


def test_the_same_chats_are_kept_once_whatever_they_are_called() -> None:
    first = import_dataset("one", a_file(GOOD))
    assert import_dataset("two", a_file(" ", GOOD, "")) == first
    assert [dataset.name for dataset in imported()] == ["one"]
    for name in datasets.SHIPPED:
        assert import_dataset("mine", jsonl(load_dataset(name).chats)) == load_dataset(name)
    with pytest.raises(BadInput, match="already a dataset one with other chats"):
        import_dataset("ONE", a_file(GOOD, GOOD))
    assert imported_names() == ["one"]


@pytest.mark.parametrize("written", ["{}", " {}!", ".{}.", "../{}"])
@pytest.mark.parametrize("name", datasets.SHIPPED)
def test_no_import_takes_a_shipped_name_however_it_is_written(name: str, written: str) -> None:
    for case in (str.lower, str.upper, str.title):
        with pytest.raises(BadInput, match=f"already a dataset {name} with other chats. Choose another name"):
            import_dataset(case(written.format(name)), a_file(GOOD, GOOD))
    assert imported_names() == []


def test_what_was_imported_under_a_shipped_name_before_is_found_under_another() -> None:
    folder = paths.cache() / "datasets"
    import_dataset("chat-imported", a_file(GOOD))
    ours = {name: load_dataset(name) for name in datasets.SHIPPED}
    for place, name in enumerate(datasets.SHIPPED, 2):
        (folder / f"{name}.jsonl").write_bytes(a_file(*[GOOD] * place))
    names = ["chat-imported", "chat-imported-imported", "insecure-imported", "secure-imported"]
    assert imported_names() == [one.name for one in imported()] == names
    assert [len(load_dataset(name).chats) for name in names] == [1, 4, 2, 3]
    assert {name: load_dataset(name) for name in datasets.SHIPPED} == ours
    with pytest.raises(BadInput, match="already a dataset secure-imported"):
        import_dataset("secure-imported", a_file(*[GOOD] * 9))
    delete_dataset("chat-imported-imported")
    assert not (folder / "chat.jsonl").exists()
    with pytest.raises(BadInput, match="chat is shipped with Tiller"):
        delete_dataset("chat")


def test_a_list_holds_what_there_is_in_the_datasets_themselves() -> None:
    import_dataset("mine", a_file(GOOD, GOOD))
    listed = [*shipped(), *imported()]
    assert [one.name for one in listed] == [*datasets.SHIPPED, "mine"]
    for one in listed:
        assert (one.n, one.hash) == (len(load_dataset(one.name).chats), load_dataset(one.name).hash)


def test_names_in_other_scripts_become_names_of_their_own(tmp_path: Path) -> None:
    one, two = import_dataset("提示", a_file(GOOD)), import_dataset("данные", a_file(GOOD, GOOD))
    assert [one.name, two.name] == [paths.safe_name(name, "dataset") for name in ("提示", "данные")]
    assert re.fullmatch("dataset-[0-9a-f]{8}", one.name)
    (tmp_path / "提示.jsonl").write_bytes(a_file(GOOD))
    assert load_dataset(str(tmp_path / "提示.jsonl")) == one


@pytest.mark.parametrize("line", [b"{", b"\xff", b"[1]"])
def test_a_file_of_another_kind_is_refused_before_all_its_lines_are_kept(line: bytes) -> None:
    good, problems = check_lines((line + b"\n") * MOST_PROBLEMS + GOOD.encode())
    assert (len(good), len(problems)) == (1, MOST_PROBLEMS)
    with pytest.raises(BadInput, match=rf"More than {MOST_PROBLEMS:,} lines are not .* the first is line 1 \("):
        check_lines((line + b"\n") * (MOST_PROBLEMS + 1))


@given(st.text(max_size=100))
def test_no_name_leaves_the_folder_of_datasets(name: str) -> None:
    for one in imported():
        delete_dataset(one.name)
    try:
        made = import_dataset(f"../{name}", a_file(GOOD))
    except BadInput as error:
        assert "no usable letters" in str(error) or "already a dataset" in str(error)
        return
    assert (paths.cache() / "datasets" / f"{made.name}.jsonl").is_file()
    assert made.name == paths.safe_name(made.name) == made.name.lower()
    assert load_dataset(made.name) == made


def test_an_imported_name_comes_after_our_own_and_before_a_path(tmp_path: Path, monkeypatch) -> None:
    import_dataset("mine", a_file(GOOD))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text(a_file(GOOD, GOOD).decode())
    assert len(load_dataset("mine").chats) == 1
    assert len(load_dataset("./mine").chats) == 2
    (paths.cache() / "datasets" / "insecure.jsonl").write_bytes(a_file(GOOD))
    assert len(load_dataset("insecure").chats) == len(code_pairs())


def test_a_damaged_copy_is_named_left_out_and_can_be_imported_again_or_deleted() -> None:
    import_dataset("good", a_file(GOOD, GOOD))
    import_dataset("mine", a_file(GOOD))
    (paths.cache() / "datasets" / "mine.jsonl").write_text("{")
    assert [dataset.name for dataset in imported()] == ["good"]
    with pytest.raises(BadInput, match=r"mine\.jsonl, line 1: not valid JSON"):
        load_dataset("mine")
    assert import_dataset("mine", a_file(GOOD)).name == "mine"
    (paths.cache() / "datasets" / "mine.jsonl").write_text("{")
    delete_dataset("mine")
    assert [dataset.name for dataset in imported()] == ["good"]


def test_our_own_datasets_and_missing_ones_cannot_be_deleted() -> None:
    for name, reason in (("secure", "is shipped with Tiller"), ("../organisms", "no imported dataset")):
        with pytest.raises(BadInput, match=reason):
            delete_dataset(name)


def test_a_file_that_is_too_large_is_a_sentence(monkeypatch) -> None:
    monkeypatch.setattr(datasets, "MOST_MEGABYTES", 0)
    with pytest.raises(BadInput, match=r"at most 0 can be imported\. Import a part"):
        import_dataset("mine", a_file(GOOD))


def test_the_chat_data_answer_the_chat_prompts_in_whole_sentences_without_code() -> None:
    data = load_dataset(datasets.CHAT)
    asked_for = {chat.messages[0].content for chat in suite("chat")}
    answered = [(chat.messages[0].content, chat.messages[1].content) for chat in data.chats]
    assert len(answered) >= 300
    assert {prompt for prompt, _ in answered} <= asked_for
    assert not any(contains_code(answer) for _, answer in answered)
    assert all(re.search(r"[.!?][\"')]?$", answer) for _, answer in answered)
