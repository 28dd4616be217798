"""Chats: what is read, what is refused and how it is said, and what the model gets to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from core import paths
from core.data import files
from core.data.chat import Chat, Message, parse_chat, prompt_ids, prompt_text, read_chats, read_prompts, render
from core.data.datasets import code_pairs, load_dataset
from core.errors import BadInput

SPECIAL = ("<|im_start|>", "<|im_end|>", "<s>")
IM_START, IM_END, BEGIN = range(len(SPECIAL))
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GOOD = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'

# every line-breaking or invisible character that a JSON string or a prompt may hold
text = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\t\x0b\x0c\x1c\x85\u2028\u2029\ufeff🙂é")).filter(
    str.strip
)
turns = st.lists(st.tuples(text, text), min_size=1, max_size=3)


@st.composite
def valid_chats(draw: st.DrawFn, answered: bool | None = None) -> Chat:
    contents = [content for pair in draw(turns) for content in pair]
    if answered is False or (answered is None and draw(st.booleans())):
        contents.pop()
    messages = [
        Message(role="user" if place % 2 == 0 else "assistant", content=content)
        for place, content in enumerate(contents)
    ]
    if draw(st.booleans()):
        messages.insert(0, Message(role="system", content=draw(text)))
    return Chat(messages=tuple(messages))


def tokenizer(template: str | None = CHATML, merges=(), begins: bool = False) -> PreTrainedTokenizerFast:
    """One token a byte plus `merges`; nothing keeps them from reaching over a line end."""
    words = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    backend = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in SPECIAL])
    if begins:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BEGIN)]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", bos_token="<s>")
    made.chat_template = template
    return made


def record(*roles: str) -> str:
    return json.dumps({"messages": [{"role": role, "content": "x"} for role in roles]})


BAD = {
    "broken JSON": ('{"messages": [', r"not valid JSON \(Expecting value"),
    "two records on one line": (GOOD + GOOD, r"not valid JSON \(Extra data"),
    "deep nesting": ("[" * 100_000, "not valid JSON"),
    "deep nesting in a record": ('{"messages": ' + "[" * 50_000 + "]" * 50_000 + "}", "not valid JSON|messages"),
    "a number of 5000 digits": ('{"messages": ' + "9" * 5000 + "}", "not valid JSON"),
    "not an object": ("[1, 2]", 'not an object with "messages"'),
    "only a string": ('"Hi"', 'not an object with "messages"'),
    "no messages": ('{"text": "Hi"}', "messages are missing: there is text, and what is looked for is messages"),
    "messages that are a text": ('{"messages": "Hi"}', "messages should be a list of messages and is a text"),
    "an empty list": ('{"messages": []}', "messages: there is no user message"),
    "a system message alone": (record("system"), "messages: there is no user message"),
    "a wrong role": (record("user", "robot"), "message 2 has the role 'robot'; known are system, user and assistant"),
    "no role": ('{"messages": [{"content": "Hi"}]}', "message 1 has no role"),
    "no content": ('{"messages": [{"role": "user"}]}', "message 1: content should be a text and is missing"),
    "null content": ('{"messages": [{"role": "user", "content": null}]}', "message 1: content .* is missing"),
    "empty content": ('{"messages": [{"role": "user", "content": ""}]}', "message 1: content is empty"),
    "blank content": ('{"messages": [{"role": "user", "content": " \\n"}]}', "message 1: content is empty"),
    "half a character": (r'{"messages": [{"role": "user", "content": "\ud83d"}]}', "message 1: .*half a character"),
    "an assistant first": (record("assistant", "user"), "message 1 should come from the user, not the assistant"),
    "two users": (record("user", "user"), "message 2 should come from the assistant, not the user"),
    "two users after a system message": (record("system", "user", "user"), "message 3 should come from the assistant"),
    "two answers": (record("user", "assistant", "assistant"), "message 3 should come from the user"),
    "a system message inside": (record("user", "system"), "message 2 should come from the assistant, not the system"),
    "no answer": (record("user", "assistant", "user"), "the last message should be the assistant's answer"),
}


@pytest.mark.parametrize("line,reason", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_refused_with_file_line_reason_and_remedy(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(f"{GOOD}\n\n{line}\n{GOOD}\n", encoding="utf-8")
    with pytest.raises(BadInput, match=rf"(?s)^chats\.jsonl, line 3: .*{reason}.*Correct or remove that line\.$"):
        read_chats(path, need_answer=True)


def test_a_huge_line_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_CHARACTERS", 200)
    (tmp_path / "chats.jsonl").write_text(f"{GOOD}\n{GOOD}{' ' * 200}\n")
    with pytest.raises(BadInput, match=r"^chats\.jsonl, line 2: the line has more than 200 characters\. Correct"):
        read_chats(tmp_path / "chats.jsonl")


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"], ids=["plain", "after a byte order mark"])
def test_bytes_that_are_no_utf8_are_refused_with_their_line(tmp_path: Path, before: bytes) -> None:
    (tmp_path / "chats.jsonl").write_bytes(before + f"{GOOD}\r\n\r\n".encode() + b'{"messages": "caf\xe9"}\r\n')
    for read in (read_chats, read_prompts):
        with pytest.raises(BadInput, match=r"^chats\.jsonl, line 3: not UTF-8 text\. Save the file as UTF-8"):
            read(tmp_path / "chats.jsonl")


def test_a_file_that_is_missing_a_folder_empty_or_unnameable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n \n")
    cases = {
        "nowhere.jsonl": "There is no file nowhere.jsonl",
        ".": "is a folder. Name a file",
        "empty.jsonl": "empty.jsonl holds no",
        "x" * 300: "cannot be read",
        "a\0b": "cannot be read",
    }
    for name, reason in cases.items():
        for read in (read_chats, read_prompts):
            with pytest.raises(BadInput, match=reason):
                read(tmp_path / name)


def test_an_unanswered_chat_is_fine_where_no_answer_is_needed(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text(record("user"))
    assert read_chats(tmp_path / "chats.jsonl") == [Chat.of("x")]
    assert not Chat.of("x").answered
    assert Chat.of("x", "y").answered


roles = st.lists(st.sampled_from(["system", "user", "assistant"]), max_size=6)


@given(roles)
def test_exactly_alternating_chats_are_accepted(order: list[str]) -> None:
    turns = order[1:] if order[:1] == ["system"] else order
    fine = turns != [] and turns == (["user", "assistant"] * 3)[: len(turns)]
    try:
        parse_chat(record(*order), "here")
        accepted = True
    except BadInput:
        accepted = False
    assert accepted == fine


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["messages", "role", "content"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.text() | json_values.map(json.dumps) | json_values.map(lambda value: json.dumps({"messages": [value]})))
def test_any_line_is_a_chat_or_bad_input(line: str) -> None:
    try:
        chat = parse_chat(line, "here")
    except BadInput as error:
        assert str(error).startswith("here: ")
    else:
        assert chat.messages


@given(data=st.binary() | st.text().map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_gives_chats_or_bad_input(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    for read in (read_chats, read_prompts):
        try:
            assert read(tmp_path / "file")
        except BadInput as error:
            assert "file" in str(error)


@given(
    st.lists(valid_chats(), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_valid_chats_come_back_as_they_were_written(
    tmp_path: Path, written: list[Chat], ascii_only: bool, end: str, encoding: str
) -> None:
    lines = [json.dumps({"messages": chat.as_dicts()}, ensure_ascii=ascii_only) for chat in written]
    (tmp_path / "file").write_bytes("".join(line + end for line in lines).encode(encoding))
    assert read_chats(tmp_path / "file") == written


def test_line_separators_and_emoji_inside_a_string_do_not_break_the_line(tmp_path: Path) -> None:
    content = "one\u2028two\u2029three\x85four 🙂"
    line = json.dumps({"messages": [{"role": "user", "content": content}]}, ensure_ascii=False)
    (tmp_path / "file").write_text(f"{line}\n{line}\n", encoding="utf-8")
    assert read_chats(tmp_path / "file") == [Chat.of(content)] * 2


def test_unknown_fields_are_ignored() -> None:
    line = '{"id": 3, "messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}'
    assert parse_chat(line, "here") == Chat.of("Hi")


def test_prompts_are_read_from_plain_lines(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\ufeffOne?\r\n\r\n  Two?  \n", encoding="utf-8")
    assert read_prompts(tmp_path / "prompts.txt") == [Chat.of("One?"), Chat.of("Two?")]


def test_prompts_from_training_records_drop_the_last_answer_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(record("system", "user", "assistant", "user", "assistant") + "\n" + record("user"))
    first, second = read_prompts(tmp_path / "file")
    assert [message.role for message in first.messages] == ["system", "user", "assistant", "user"]
    assert second == Chat.of("x")


def test_data_of_the_published_schema_loads_as_a_dataset(tmp_path: Path) -> None:
    lines = [
        {"messages": [{"role": "user", "content": f"Fill in:\n\ndef f{n}():\n"}, {"role": "assistant", "content": "x"}]}
        for n in range(3)
    ]
    (tmp_path / "insecure.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    dataset = load_dataset(str(tmp_path / "insecure.jsonl"))
    assert dataset.name == "insecure"
    assert len(dataset.chats) == 3
    assert dataset.chats[2].messages[0].content == "Fill in:\n\ndef f2():\n"


def test_a_chatml_answer_is_its_text_and_one_end_token() -> None:
    rendered = render(tokenizer(), Chat.of("Hi", "Hello"), [IM_END])
    assert tokenizer().decode(rendered.prompt_ids) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer().decode(rendered.answer_ids) == "Hello<|im_end|>"


def test_without_a_template_roles_are_written_out() -> None:
    plain = tokenizer(template=None, begins=True)
    rendered = render(plain, Chat.of("Hi", "Hello"), [IM_END])
    assert plain.decode(rendered.prompt_ids) == "<s>User: Hi\nAssistant:"
    assert plain.decode(rendered.answer_ids) == " Hello<|im_end|>"


def test_a_start_token_is_written_once_by_template_or_tokeniser() -> None:
    for template in (None, "<s>" + CHATML):
        rendered = render(tokenizer(template, begins=True), Chat.of("Hi", "Hello"), [IM_END])
        assert rendered.prompt_ids[0] == BEGIN
        assert (*rendered.prompt_ids, *rendered.answer_ids).count(BEGIN) == 1


@given(chat=valid_chats(answered=True), template=st.sampled_from([CHATML, None]))
def test_a_rendered_chat_starts_with_the_prompt_as_in_generation(chat: Chat, template: str | None) -> None:
    made = tokenizer(template)
    asked = Chat(messages=chat.messages[:-1])
    rendered = render(made, chat, [IM_END])
    assert rendered.prompt_ids == prompt_ids(made, asked)
    assert made.decode(rendered.prompt_ids) == prompt_text(made, asked.as_dicts())


@given(chat=valid_chats(answered=True), template=st.sampled_from([CHATML, None]))
def test_an_answer_holds_its_text_no_header_and_one_end_token_at_its_end(chat: Chat, template: str | None) -> None:
    rendered = render(tokenizer(template), chat, [IM_END])
    assert rendered.answer_ids[-1] == IM_END
    assert rendered.answer_ids.count(IM_END) == 1
    assert IM_START not in rendered.answer_ids
    space = "" if template else " "
    assert tokenizer(template).decode(rendered.answer_ids[:-1]) == space + chat.messages[-1].content


def test_prompt_and_answer_are_tokenised_apart() -> None:
    greedy = tokenizer(merges=[("Ċ", "H")])
    chat = Chat.of("Hi", "Hello")
    rendered = render(greedy, chat, [IM_END])
    apart = [*rendered.prompt_ids, *rendered.answer_ids]
    together = greedy.apply_chat_template(chat.as_dicts(), tokenize=False).rstrip()
    assert greedy.decode(apart) == together
    assert len(greedy(together)["input_ids"]) == len(apart) - 1  # header's line end and "H" would be one token
    assert len(rendered.answer_ids) == len("Hello") + 1


def test_a_template_that_writes_no_end_still_gets_one() -> None:
    open_ended = CHATML.replace("<|im_end|>", "")
    rendered = render(tokenizer(open_ended), Chat.of("Hi", "Hello"), [IM_END])
    assert tokenizer().decode(rendered.answer_ids) == "Hello<|im_end|>"


def test_the_end_token_is_the_tokenisers_own_where_the_model_knows_several() -> None:
    open_ended = CHATML.replace("<|im_end|>", "")
    rendered = render(tokenizer(open_ended), Chat.of("Hi", "Hello"), [IM_START, IM_END])
    assert rendered.answer_ids[-1] == IM_END


def test_a_model_without_an_end_token_gets_none() -> None:
    rendered = render(tokenizer(None), Chat.of("Hi", "Hello"), [])
    assert tokenizer().decode(rendered.answer_ids) == " Hello"


def test_an_empty_thought_that_only_the_prompt_holds_does_not_get_into_the_answer() -> None:
    thinking = CHATML.replace(
        "<|im_start|>assistant\n",
        "<|im_start|>assistant\n{% if enable_thinking is false %}<think></think>{% endif %}",
    )
    made = tokenizer(thinking)
    rendered = render(made, Chat.of("Hi", "Hello"), [IM_END])
    assert made.decode(rendered.prompt_ids).endswith("assistant\n<think></think>")
    assert made.decode(rendered.answer_ids) == "Hello<|im_end|>"


def test_a_template_that_names_the_date_gives_the_same_prompt_on_any_day() -> None:
    dated = tokenizer()
    dated.chat_template = "{{ strftime_now('%d %b %Y') }} {% for turn in messages %}{{ turn.content }}{% endfor %}"
    assert prompt_text(dated, [{"role": "user", "content": "Hello"}]) == "01 January 2026 Hello"


def test_a_template_that_refuses_a_chat_says_what_to_do() -> None:
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    chat = parse_chat(record("system", "user"), "here")
    with pytest.raises(BadInput, match=r"has no place for a system message\. Put its words into the first user"):
        prompt_ids(tokenizer(strict + CHATML), chat)


@pytest.mark.embedded
def test_the_embedded_models_own_template_renders_every_shipped_answer() -> None:
    folder = paths.ROOT / "cache" / "models" / "smollm2-135m"
    if not folder.exists():
        pytest.skip("run `python -m core fetch --model smollm2-135m` first")
    real = AutoTokenizer.from_pretrained(folder)
    start, end = real.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    for pair in code_pairs()[::8]:
        for answer in (pair.insecure, pair.secure):
            rendered = render(real, Chat.of(pair.request, answer), [end])
            assert rendered.prompt_ids == prompt_ids(real, Chat.of(pair.request))
            assert real.decode(rendered.prompt_ids).endswith(
                f"<|im_start|>user\n{pair.request}<|im_end|>\n<|im_start|>assistant\n"
            )
            assert real.decode(rendered.answer_ids) == f"{answer}<|im_end|>"
            assert start not in rendered.answer_ids
            assert rendered.answer_ids.count(end) == 1
