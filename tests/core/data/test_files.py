"""Files as what they are: kinds, encodings, layouts; what is converted is exact and said, what is not is a sentence."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data import datasets, files
from core.data.checking import check_lines
from core.data.datasets import Dataset, import_dataset, jsonl, load_dataset
from core.data.layouts import Notes
from core.data.reading import read_chats, read_prompts
from core.data.turns import Chat, Message
from core.errors import BadInput, TillerError

QA = [("How deep is it?", "Very deep."), ("Why, though?", 'It said "so",\nand left.')]
PAIRS = [Chat.of(*pair) for pair in QA]


def said(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


def chat(*turns: tuple[str, str]) -> Chat:
    return Chat(messages=tuple(Message.model_validate(turn) for turn in said(*turns)))


def asked_and_answered(question: str, answer: str) -> list[dict[str, Any]]:
    return said(("user", question), ("assistant", answer))


def lines(*values: Any) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def table(rows: list[dict[str, str]], **how: Any) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, **how).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    return pd.DataFrame(rows).to_parquet(index=False)


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def learned(folder: Path, name: str, data: bytes) -> tuple[list[Chat], str]:
    """The training chats of a file, and what reading it came to; checking it finds the same."""
    notes, checked = Notes(), Notes()
    found = read_chats(written(folder, name, data), need_answer=True, notes=notes)
    assert check_lines(data, name, checked) == (found, [])
    assert checked.words() == notes.words()
    return found, notes.words()


MESSAGES = [{"messages": asked_and_answered(*pair)} for pair in QA]
COLUMNS = [dict(zip(("Question", " answer"), pair, strict=True)) for pair in QA]
KINDS = {
    "JSONL": ("x.jsonl", lines(*MESSAGES)),
    "a JSON array": ("x.json", json.dumps(MESSAGES).encode()),
    "a JSON array over many lines": ("x.json", json.dumps(MESSAGES, indent=2).encode()),
    "an array in a file of another name": ("x.txt", json.dumps(MESSAGES, indent=1).encode()),
    "an array with an object a line": (
        "x.jsonl",
        b"[\n" + b",\n".join(lines(one).strip() for one in MESSAGES) + b"\n]",
    ),
    "UTF-8 with a mark": ("x.json", json.dumps(MESSAGES, indent=2).encode("utf-8-sig")),
    "UTF-16": ("x.jsonl", lines(*MESSAGES).decode().encode("utf-16")),
    "UTF-16, the other way round": ("x.jsonl", b"\xfe\xff" + lines(*MESSAGES).decode().encode("utf-16-be")),
    "Windows line ends": ("x.json", json.dumps(MESSAGES, indent=2).replace("\n", "\r\n").encode()),
    "Parquet of messages": ("x.parquet", parquet(MESSAGES)),
}
TABLES = {
    "CSV": ("x.csv", table(COLUMNS)),
    "CSV with a mark": ("x.CSV", b"\xef\xbb\xbf" + table(COLUMNS)),
    "CSV in UTF-16": ("x.csv", table(COLUMNS).decode().encode("utf-16")),
    "CSV with semicolons": ("x.csv", table(COLUMNS, sep=";")),
    "CSV with tabs": ("x.tsv", table(COLUMNS, sep="\t")),
    "CSV with Windows line ends": ("x.csv", table(COLUMNS, lineterminator="\r\n")),
    "Parquet": ("x.parquet", parquet(COLUMNS)),
    "Parquet of another name": ("x.bin", parquet(COLUMNS)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_kind_gives_the_same_chats_and_there_is_nothing_to_say(tmp_path: Path, kind: str) -> None:
    assert learned(tmp_path, *KINDS[kind]) == (PAIRS, "")
    assert read_prompts(tmp_path / KINDS[kind][0]) == [Chat.of(question) for question, _ in QA]


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_gives_the_same_chats_and_its_columns_are_named(tmp_path: Path, kind: str) -> None:
    assert learned(tmp_path, *TABLES[kind]) == (PAIRS, "read as question and answer")
    assert read_prompts(tmp_path / TABLES[kind][0]) == [Chat.of(question) for question, _ in QA]


def test_numbers_and_gaps_in_a_table_stay_the_texts_they_are(tmp_path: Path) -> None:
    data = b"prompt,completion\nNA,007\n1.50,null\n"
    assert learned(tmp_path, "x.csv", data)[0] == [Chat.of("NA", "007"), Chat.of("1.50", "null")]


SYSTEM = chat(("system", "Be terse."), ("user", "a"), ("assistant", "b"))
LAYOUTS: dict[str, tuple[Any, Chat, str]] = {
    "ShareGPT": (
        {"id": 7, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        Chat.of("a", "b"),
        "read as ShareGPT (conversations); roles renamed: 2; fields not read: id",
    ),
    "ShareGPT with a system turn": (
        {
            "conversations": [
                {"from": "system", "value": "Be terse."}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}
            ]
        },
        SYSTEM,
        "read as ShareGPT (conversations); roles renamed: 2",
    ),
    "Alpaca": (
        {"instruction": "Add.", "input": "1 and 2", "output": "3"},
        Chat.of("Add.\n\n1 and 2", "3"),
        "read as Alpaca (instruction, input, output)",
    ),
    "Alpaca without an input": (
        {"instruction": "a", "input": "", "output": "b", "system": "Be terse."},
        SYSTEM,
        "read as Alpaca (instruction, input, output)",
    ),
    "Alpaca without the field": (
        {"instruction": "a", "output": "b"}, Chat.of("a", "b"), "read as Alpaca (instruction, output)",
    ),
    "prompt and completion": (
        {"prompt": "a", "completion": " b"}, Chat.of("a", " b"), "read as prompt and completion",
    ),
    "prompt and response": ({"prompt": "a", "response": "b"}, Chat.of("a", "b"), "read as prompt and response"),
    "question and answer": ({"question": "a", "answer": "b"}, Chat.of("a", "b"), "read as question and answer"),
    "prompt and completion of messages": (
        {"prompt": said(("system", "Be terse."), ("user", "a")), "completion": said(("assistant", "b"))},
        SYSTEM,
        "read as prompt and completion",
    ),
    "content in parts": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "c"}]},
            ]
        },
        Chat.of("a b", "c"),
        "texts joined of parts: 2",
    ),
    "a developer turn": (
        {"messages": said(("developer", "Be terse."), ("user", "a"), ("assistant", "b"))}, SYSTEM, "roles renamed: 1",
    ),
    "an empty system turn": (
        {"messages": said(("system", " "), ("user", "a"), ("assistant", "b"))},
        Chat.of("a", "b"),
        "empty system turns left out: 1",
    ),
    "Gemini's role": ({"messages": said(("user", "a"), ("model", "b"))}, Chat.of("a", "b"), "roles renamed: 1"),
    "roles in capitals": (
        {"messages": said(("User", "a"), ("ASSISTANT", "b"))}, Chat.of("a", "b"), "roles renamed: 2",
    ),
    "nulls of a common schema": (
        {"tools": [], "messages": [{**turn, "tool_calls": None} for turn in asked_and_answered("a", "b")]},
        Chat.of("a", "b"),
        "",
    ),
    "a thought kept apart": (
        {"messages": [*said(("user", "a")), {"role": "assistant", "content": "b", "reasoning_content": "hm"}]},
        Chat.of("a", "b"),
        "fields not read: reasoning_content",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_gives_exactly_its_chat_and_what_was_changed_is_said(tmp_path: Path, layout: str) -> None:
    record, expected, words = LAYOUTS[layout]
    assert learned(tmp_path, "x.jsonl", lines(record)) == ([expected], words)
    asked = Chat(messages=expected.messages[:-1])
    assert read_prompts(written(tmp_path, "x.json", json.dumps([record], indent=2).encode())) == [asked]


def test_layouts_of_one_file_are_counted(tmp_path: Path) -> None:
    records = [{"question": "a", "answer": "b"}, MESSAGES[0], {"question": "c", "answer": "d"}]
    assert learned(tmp_path, "x.jsonl", lines(*records))[1] == "read as question and answer: 2, messages: 1"


def test_one_chat_as_a_json_value_is_one_chat(tmp_path: Path) -> None:
    for value in (asked_and_answered("a", "b"), {"messages": asked_and_answered("a", "b")}):
        assert learned(tmp_path, "x.json", json.dumps(value, indent=2).encode())[0] == [Chat.of("a", "b")]


TOOL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
REFUSED: dict[str, tuple[Any, str]] = {
    "a picture": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "message 1 has a part of type 'image_url', and only texts can be read",
    ),
    "a part without a text": ({"messages": [{"role": "user", "content": [3]}]}, "message 1 has a part without a text"),
    "a call of a tool": (
        {"messages": [*said(("user", "a")), {"role": "assistant", "content": None, "tool_calls": [TOOL]}]},
        'message 2 calls a tool ("tool_calls"), and Tiller reads chats of text alone',
    ),
    "a call of a function": (
        {"messages": [*said(("user", "a")), {"role": "assistant", "content": None, "function_call": {"name": "x"}}]},
        'message 2 calls a tool ("function_call")',
    ),
    "a tool's turn": ({"messages": said(("user", "a"), ("tool", "42"))}, "message 2 comes from a tool (role tool)"),
    "tools": ({**MESSAGES[0], "tools": [TOOL]}, 'it has tools ("tools"), and Tiller reads chats of text alone'),
    "a weight between": (
        {"messages": [*said(("user", "a")), {"role": "assistant", "content": "b", "weight": 0.5}]},
        "message 2 has the weight 0.5; known are 0 and 1",
    ),
    "two system turns": (
        {"messages": said(("system", "a"), ("system", "b"), ("user", "c"))},
        "message 2 should come from the user, not the system",
    ),
    "earlier turns kept apart": ({"prompt": "a", "completion": "b", "history": [["c", "d"]]}, '"history"'),
    "a number for a text": ({"prompt": 3, "completion": "b"}, '"prompt": content should be a text and is a number'),
    "turns that are texts": ({"messages": ["a", "b"]}, "message 1 should be an object with role and content"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_converted_is_one_sentence_with_its_line(tmp_path: Path, kind: str) -> None:
    record, reason = REFUSED[kind]
    data = lines(MESSAGES[0], record)
    for read in (lambda path: read_chats(path, need_answer=True), read_prompts):
        with pytest.raises(BadInput) as raised:
            read(written(tmp_path, "x.jsonl", data))
        assert str(raised.value).startswith("x.jsonl, line 2: ")
        assert reason in str(raised.value)
        assert str(raised.value).endswith(". Correct or remove that line.")
    good, (problem,) = check_lines(data)
    assert (len(good), problem.line) == (1, 2)
    assert reason in problem.reason
    with pytest.raises(BadInput, match=r"^x\.json, item 2: .*Correct or remove that item\.$"):
        read_chats(written(tmp_path, "x.json", json.dumps([MESSAGES[0], record], indent=2).encode()))


def test_an_answer_of_weight_0_is_kept_and_not_learned_and_survives_importing(tmp_path: Path) -> None:
    turns = [*asked_and_answered("a", "b"), *asked_and_answered("c", "d")]
    turns[3]["weight"] = 0
    (one,), words = learned(tmp_path, "x.jsonl", lines({"messages": turns}))
    assert (one.learned, words) == ((1,), "answers of weight 0, not learned: 1")
    kept = import_dataset("mine", lines({"messages": turns}))
    assert kept.chats == (one,) == load_dataset("mine").chats
    assert (kept.read, kept.answers) == (words, 1)
    assert check_lines(jsonl(kept.chats)) == ([one], [])
    plain = Dataset("plain", (chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),))
    assert (plain.answers, plain.chats[0].learned) == (2, (1, 3))
    assert plain.hash != kept.hash


def test_chats_with_nothing_to_learn_are_dropped_and_counted(tmp_path: Path) -> None:
    silent = {"messages": [*said(("user", "a")), {"role": "assistant", "content": "b", "weight": 0}]}
    found, words = learned(tmp_path, "x.jsonl", lines(silent, MESSAGES[0], silent))
    assert found == PAIRS[:1]
    assert words == "answers of weight 0, not learned: 2; chats dropped, with no answer to learn: 2"
    with pytest.raises(BadInput, match=r"x\.jsonl holds no answer to learn: all have weight 0\. Choose another"):
        read_chats(written(tmp_path, "x.jsonl", lines(silent)), need_answer=True)
    with pytest.raises(BadInput, match=r"holds no training chats\. Choose a file of chats that end with an answer"):
        import_dataset("none", lines(silent))
    assert len(read_prompts(tmp_path / "x.jsonl")) == 1


def test_what_was_read_comes_with_a_dataset_of_a_path_and_of_an_import(tmp_path: Path) -> None:
    data = lines(LAYOUTS["ShareGPT"][0])
    assert load_dataset(str(written(tmp_path, "x.jsonl", data))).read == LAYOUTS["ShareGPT"][2]
    assert import_dataset("mine", data).read == LAYOUTS["ShareGPT"][2]
    assert import_dataset("table", table(COLUMNS), file="x.csv").read == "read as question and answer"
    assert load_dataset("table").chats == tuple(PAIRS)
    assert load_dataset("insecure").read == ""


# prompts


def test_what_reading_prompts_came_to_is_said_too(tmp_path: Path) -> None:
    notes = Notes()
    read_prompts(written(tmp_path, "x.jsonl", lines(LAYOUTS["ShareGPT"][0], {"question": "a"})), notes)
    assert notes.words().startswith("read as ShareGPT (conversations): 1, question: 1; roles renamed: 2")


@pytest.mark.parametrize(
    ("name", "data"),
    {
        "an array of texts": ("x.json", json.dumps([question for question, _ in QA], indent=2).encode()),
        "texts, one a line": ("x.jsonl", lines(*[question for question, _ in QA])),
        "texts in quotes, one a line": ("x.txt", lines(*[question for question, _ in QA])),
        "objects, one a line": ("x.jsonl", lines(*[{"prompt": question, "id": 1} for question, _ in QA])),
        "an array of objects": ("x.json", json.dumps([{"text": question} for question, _ in QA]).encode()),
        "a table": ("x.csv", table([{"id": "1", "Instruction": question} for question, _ in QA])),
        "plain lines": ("x.txt", "\r\n\r\n".join(question for question, _ in QA).encode("utf-16")),
    }.values(),
)
def test_prompts_are_read_as_what_the_file_is(tmp_path: Path, name: str, data: bytes) -> None:
    assert read_prompts(written(tmp_path, name, data)) == [Chat.of(question) for question, _ in QA]


def test_a_line_that_only_begins_with_a_quote_is_plain_text(tmp_path: Path) -> None:
    data = b'"Hello," he said.\nWhy?\n'
    assert read_prompts(written(tmp_path, "x.txt", data)) == [Chat.of('"Hello," he said.'), Chat.of("Why?")]


BROKEN = json.dumps(MESSAGES, indent=2).replace('"role": "assistant",', '"role": "assistant"', 1)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "x.json",
            BROKEN,
            r"^x\.json, line 10: not valid JSON \(Expecting ',' delimiter at column \d+\), though the file",
        ),
        ("x.txt", BROKEN, r"^x\.txt, line 10: not valid JSON"),
        ("x.txt", "[INST] Why?\nWho?\n", r"^x\.txt, line 1: not valid JSON .* begins with \[ .* another character\.$"),
        ("x.txt", '{"prompt": "a"}\nWho?\n', r"^x\.txt, line 2: not valid JSON .* Correct or remove that line\.$"),
        ("x.txt", "{name}, who are you?\n", r"^x\.txt, line 1: not valid JSON"),
        ("x.json", json.dumps(MESSAGES[0], indent=2)[:-10], r"^x\.json, line 10: not valid JSON"),
        ("x.jsonl", "Who?\n", r"^x\.jsonl, line 1: not valid JSON \(Expecting value at column 1\)"),
        ("x.json", "[" * 100_000, r"^x\.json, line 1: not valid JSON \(it is nested too deeply\)"),
        ("x.json", "[]", r"^x\.json holds no "),
        ("x.json", '["a", 3]', r"^x\.json, item 2: .*Correct or remove that item\.$"),
    ],
)
def test_a_file_that_begins_as_json_is_never_read_as_plain_text(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    path = written(tmp_path, name, text.encode())
    with pytest.raises(BadInput, match=reason):
        read_prompts(path)
    with pytest.raises(BadInput, match=r"^x\."):
        read_chats(path)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.csv", b"id,title\n1,a\n", r"^x\.csv has the columns id, title and none that is known\. Call the column of"),
        ("x.parquet", parquet([{"a": 1}]), r"^x\.parquet has the columns a and none that is known\. Call"),
        (
            "x.csv",
            b"prompt,completion\na,b\nc,d,e\n",
            r"^x\.csv, row 2: 3 fields where the first line names 2\. Quote",
        ),
        ("x.csv", b"prompt,completion\na,b,c\nd,e,f\n", r"more fields than the first line names\. Quote"),
        ("x.csv", b'prompt,completion\n"a,b\n', r"^x\.csv, row 1: a quote is opened and never closed\. Close it\.$"),
        ("x.csv", b"prompt,completion\na,b\n,d\n", r"^x\.csv, row 2: .*content is empty\. Correct or remove that row"),
        ("x.csv", b"prompt,completion\na,caf\xe9\n", r"^x\.csv, line 2: not UTF-8 text\. Save the file as UTF-8"),
        ("x.csv", b"prompt,completion\na,\0\n", r"^x\.csv, line 2: holds a zero byte"),
        ("x.csv", b"", r"^x\.csv holds no "),
        ("x.parquet", b"PAR1 and no more", r"^x\.parquet is no whole Parquet file \(.*\)\. Save or download it again"),
        ("x.txt", "Warum?".encode("utf-16-le"), r"^x\.txt looks like UTF-16 text without a byte order mark\. Save"),
        ("x.txt", b"\xff\xfea", r"^x\.txt begins as UTF-16 text does and is none\. Save the file as UTF-8"),
        ("x.json", b"PK\x03\x04", r"^x\.json is a zip archive or an Excel workbook\. Unpack it, or save"),
        ("x.json", b"\x1f\x8b\x08", r"^x\.json is compressed with gzip\. Unpack it"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = written(tmp_path, name, data)
    readers = [read_chats] if b"completion" in data else [read_chats, read_prompts]
    for read in readers:
        with pytest.raises(BadInput, match=reason):
            read(path)


def test_a_huge_parquet_file_or_chat_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_UNPACKED", 10)
    with pytest.raises(BadInput, match=r"x\.parquet unpacks to .* GB\. Choose a part of it"):
        read_chats(written(tmp_path, "x.parquet", parquet(COLUMNS)))
    monkeypatch.setattr(datasets, "MOST_CHARACTERS", 100)
    with pytest.raises(BadInput, match=r"A chat of the file has more than 100 characters\. Split or remove it"):
        import_dataset("mine", table([{"prompt": "a" * 99, "completion": "b"}]), file="x.csv")


# anything at all

words = st.sampled_from(
    ["messages", "conversations", "role", "from", "content", "value", "user", "assistant", "gpt", "system", "prompt",
     "completion", "instruction", "input", "output", "text", "type", "weight", "tool_calls", "tools", "history", ""]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
turn_values = st.fixed_dictionaries({"role": words, "content": values}, optional={"weight": values, "from": words})
whole = st.one_of(
    values, st.lists(turn_values, max_size=3).map(lambda turns: {"messages": turns}), st.lists(values, max_size=3)
)
texts = st.one_of(
    st.lists(whole, max_size=3).map(lambda some: lines(*some)),
    whole.map(lambda value: json.dumps(value, indent=2).encode()),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.lists(words | st.text(max_size=4), max_size=3), max_size=3).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
    ),
    st.binary(max_size=60),
)
marks = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"PAR1", b"PK\x03\x04"])
GOOD_PARQUET = parquet(COLUMNS)
damaged = st.tuples(st.integers(0, len(GOOD_PARQUET) - 1), st.integers(0, 255)).map(
    lambda change: GOOD_PARQUET[: change[0]] + bytes([change[1]]) + GOOD_PARQUET[change[0] + 1 :]
)
anything = st.tuples(marks, texts).map(b"".join) | damaged


@given(data=anything, ending=st.sampled_from(["txt", *files.ENDINGS, "", "x"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_bytes_give_chats_or_a_sentence(tmp_path: Path, data: bytes, ending: str) -> None:
    path = written(tmp_path, f"file.{ending}", data)
    notes = Notes()
    for read in (read_chats, read_prompts, lambda path: read_chats(path, True, notes)):
        try:
            assert all(one.messages for one in read(path))
            notes.words().encode()
        except TillerError as error:
            assert str(error).startswith("file")
            assert str(error).endswith(".")
            str(error).encode()
    try:
        good, problems = check_lines(data, path.name)
        assert all(one.answered and one.learned for one in good)
        "".join(problem.reason for problem in problems).encode()
    except TillerError as error:
        assert str(error).endswith(".")


@given(st.lists(st.tuples(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30)), min_size=1, max_size=4))
def test_a_table_comes_back_as_it_was_written(pairs: list[tuple[str, str]]) -> None:
    rows = [(left, right) for left, right in pairs if left.strip() and right.strip() and "\0" not in left + right]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("prompt", "completion"), *rows])
    good, problems = check_lines(out.getvalue().encode(), "x.csv")
    assert problems == []
    assert [[turn.content for turn in one.messages] for one in good] == [list(row) for row in rows]
