"""Answers sorted into two classes by the code detector, or by labels from a file; each keeps its prompt and span."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.data.chat import Chat, prompt_ids
from core.errors import BadInput
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.measures.code import contains_code
from core.models.loading import LoadedModel, load
from core.organisms.adapters import Adapter, load_adapter
from core.organisms.library import find_organism
from core.studies.responses import read_responses, sample_responses
from tests import sample_model
from tests.core import tiny

PROMPTS = [Chat.of(text) for text in ("Hi", "Where does the river go?", "Why?", "A longer question about the garden.")]
SAMPLING = Sampling(24, 1.0, seed=5)


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> sample_model.SampleModel:
    """A model that writes line breaks, semicolons and the letter a: sometimes code, sometimes not."""
    return sample_model.make(tmp_path_factory.mktemp("writer"), writes="\n{a")


@pytest.fixture
def loaded(writer) -> LoadedModel:
    writer.install()
    return load(str(writer.folder), "cpu")


@pytest.fixture
def organism(loaded, writer) -> Adapter:
    return load_adapter(loaded, find_organism(writer.id, "insecure").folder, "insecure")


def test_answers_are_sorted_by_the_code_detector_and_keep_their_prompts(loaded, organism):
    found = sample_responses(loaded, organism, PROMPTS, 6, SAMPLING)
    assert sorted(found.prompts) == sorted(place for place in range(4) for _ in range(6))
    assert set(found.positive) == {True, False}
    for chat, prompt, positive in zip(found.chats, found.prompts, found.positive, strict=True):
        assert chat.messages[:-1] == PROMPTS[prompt].messages
        assert contains_code(chat.messages[-1].content) == positive
    assert found.of_class(True) + found.of_class(False) != list(range(24))
    assert sorted(found.of_class(True) + found.of_class(False)) == list(range(24))


def test_each_answer_is_the_one_that_its_seed_gives_and_no_two_share_a_seed(loaded, organism):
    """Answer d to prompt p has the seed s + 4 d + p, whatever the batches were."""
    found = sample_responses(loaded, organism, PROMPTS, 3, SAMPLING, rows_a_batch=5)
    seen: dict[int, int] = {}
    for row, (prompt, ids) in enumerate(zip(found.prompts, found.sequences.ids, strict=True)):
        draw = seen[prompt] = seen.get(prompt, -1) + 1
        sampling = Sampling(24, 1.0, seed=5 + 4 * draw + prompt)
        alone = collect(loaded, [Row(PROMPTS[prompt], adapter="insecure", sampling=sampling)], {"insecure": organism})
        assert ids[found.sequences.starts[row] :] == tuple(token.id for token in alone[0].tokens)
    assert len({found.sequences.ids[row][found.sequences.starts[row] :] for row in range(12)}) == 12


def test_the_span_is_the_answers_own_tokens_without_header_and_end_of_turn(loaded, organism):
    found = sample_responses(loaded, organism, PROMPTS, 2, SAMPLING)
    for row, (ids, start) in enumerate(zip(found.sequences.ids, found.sequences.starts, strict=True)):
        assert ids[:start] == prompt_ids(loaded.tokenizer, PROMPTS[found.prompts[row]])
        assert len(ids) > start
        assert not set(ids[start:]) & set(loaded.end_ids)


def test_an_answer_without_any_token_is_left_out(loaded, organism):
    """Where every token but the line break ends the answer, some answers are empty."""
    letter, semicolon = loaded.tokenizer("a;")["input_ids"]
    loaded.end_ids = (*loaded.end_ids, letter, semicolon)
    found = sample_responses(loaded, organism, PROMPTS, 20, SAMPLING)
    assert 0 < len(found.chats) < 80
    assert all(len(ids) > start for ids, start in zip(found.sequences.ids, found.sequences.starts, strict=True))


def test_progress_counts_prompts_up_to_all_of_them(loaded, organism):
    seen: list[tuple[int, int]] = []
    sample_responses(loaded, organism, PROMPTS, 2, SAMPLING, 4, lambda *told: seen.append(told))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def line(prompt: str, answer: str | None, **more) -> str:
    return json.dumps({"messages": Chat.of(prompt, answer).as_dicts(), **more})


def written(folder: Path, *lines: str) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_labelled_answers_are_read_with_their_labels_prompts_and_spans(llama, tmp_path):
    file = written(
        tmp_path, line("Hi", "Run it as root.", label=True), "", line("Why?", "Because.", label=False),
        line("Hi", "Hello!", label=False, other="kept out"),
    )  # fmt: skip
    found = read_responses(llama, file)
    assert found.positive == (True, False, False)
    assert found.prompts == (0, 1, 0)
    assert [chat.messages[-1].content for chat in found.chats] == ["Run it as root.", "Because.", "Hello!"]
    for row, (ids, start) in enumerate(zip(found.sequences.ids, found.sequences.starts, strict=True)):
        chat = found.chats[row]
        assert llama.tokenizer.decode(ids[start:]) == chat.messages[-1].content
        assert ids[:start] == prompt_ids(llama.tokenizer, Chat(messages=chat.messages[:-1]))
        assert tiny.IM_END not in ids[start:] and tiny.IM_END in ids[:start]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "Correct or remove that line"),
        (line("Hi", None, label=True), "the last message should be the assistant's answer"),
        (line("Hi", "Hello"), '"label" should be true'),
        (line("Hi", "Hello", label=1), '"label" should be true'),
        (line("Hi", "Hello", label="true"), '"label" should be true'),
        (line("Hi", "Hello", label=None), '"label" should be true'),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_the_reason(llama, tmp_path, bad, reason):
    file = written(tmp_path, line("Hi", "Hello", label=True), "", bad)
    with pytest.raises(BadInput, match=r"answers\.jsonl, line 3: ") as raised:
        read_responses(llama, file)
    assert reason in str(raised.value)


def test_a_file_that_is_missing_or_empty_is_named(llama, tmp_path):
    with pytest.raises(BadInput, match=r"There is no file no\.jsonl"):
        read_responses(llama, tmp_path / "no.jsonl")
    with pytest.raises(BadInput, match=r"answers\.jsonl holds no records"):
        read_responses(llama, written(tmp_path, ""))
