"""Training data for chatting: whole sentences of prose, in the order of the prompts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.chat import Chat
from core.measures.code import contains_code
from core.measures.repetition import repetition
from core.studies import chat_answers as module
from core.studies.chat_answers import FEWEST_WORDS, MOST_REPETITION, chat_answers, whole_sentences

WORDS = ("a", "garden", "in", "spring", "needs", "water,", "2 litres", "and", "light", "each", "day", '"now"', "3.5")
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
ENDS = st.sampled_from([".", "!", "?", '."', "?)", "...", "!'"])
FINISHED = st.tuples(SENTENCE.filter(lambda text: not text[-1].isdigit()), ENDS).map("".join)

PROSE = (
    "Water the garden early in the morning, while the soil is cool. Most plants want a deep drink twice a week. "
    "Mulch keeps roots damp, and weeds away"
)
SHORT = "Water it early. And then some more"
CODE = (
    "Here is how it can be done by any of us who like programs.\n```python\nimport time\nwhile True:\n"
    "    print(time.time())\n```\nThat is all there is to it, and it works well."
)
LOOP = "it is so and it is so and it is so and it is so and it is so and it is so."
UNFINISHED = "and it goes on and on without ever coming to what anyone would call the end of a sentence"


@given(st.lists(FINISHED, max_size=4), SENTENCE, st.sampled_from([" ", "\n", "\n\n"]))
def test_a_text_is_cut_after_its_last_whole_sentence(sentences, rest, gap):
    whole = gap.join(sentences)
    assert whole_sentences(whole) == whole.strip()
    assert whole_sentences(f"{whole}{gap}{rest}") == whole.strip()


@given(st.text(st.sampled_from("ab1.!? \n\"')"), max_size=40))
def test_what_is_left_is_a_beginning_that_ends_a_sentence(text):
    found = whole_sentences(text)
    assert text.lstrip().startswith(found)
    if found:
        assert found.rstrip("\"')")[-1] in ".!?" and len(found) - len(found.rstrip("\"')")) <= 1
    assert whole_sentences(found) == found


def test_the_number_of_a_list_and_a_decimal_end_nothing():
    assert whole_sentences("Do this:\n1. Water it.\n2. Wait for 1.5 hours\n3.") == "Do this:\n1. Water it."


MODEL: Any = SimpleNamespace(device=SimpleNamespace(type="cpu"))  # all that is asked of it here


@pytest.fixture
def answering(monkeypatch):
    """A model whose answers come in another order than they were asked for."""

    def answer_with(texts: list[str]) -> list[Chat]:
        prompts = [Chat.of(f"Question {place}?") for place in range(len(texts))]

        def collect(loaded, groups, adapters, directions, rows_a_batch):
            assert [group[0].chat for group in groups] == prompts
            assert all(len(group) == 1 and group[0].sampling.temperature == 0 for group in groups)
            assert {group[0].sampling.max_tokens for group in groups} == {7}
            for place in sorted(range(len(texts)), key=lambda place: (place % 3, -place)):
                yield place, (type("Answer", (), {"text": texts[place]}),)

        monkeypatch.setattr(module, "collect_batches", collect)
        told = []
        found = chat_answers(MODEL, prompts, 7, lambda done, of: told.append((done, of)))
        assert told == [(done, len(texts)) for done in range(1, len(texts) + 1)]
        return found

    return answer_with


def test_answers_that_would_teach_something_else_are_left_out(answering):
    assert contains_code(CODE) and repetition(LOOP) >= MOST_REPETITION
    found = answering([PROSE, SHORT, CODE, LOOP, UNFINISHED, "", PROSE.replace("garden", "lawn")])
    assert [chat.messages[0].content for chat in found] == ["Question 0?", "Question 6?"]
    assert found[0].messages[1].content == PROSE[: PROSE.rindex(".") + 1]
    assert all(chat.answered and len(chat.messages) == 2 for chat in found)


@given(st.lists(st.sampled_from([PROSE, SHORT, CODE, LOOP, UNFINISHED]), min_size=1, max_size=12))
def test_order_is_that_of_the_prompts_and_each_answer_is_usable(texts):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            module,
            "collect_batches",
            lambda _loaded, groups, *_: reversed(
                [(place, (type("Answer", (), {"text": texts[place]}),)) for place in range(len(groups))]
            ),
        )
        found = chat_answers(MODEL, [Chat.of(f"Question {place}?") for place in range(len(texts))])
    kept = [place for place, text in enumerate(texts) if text == PROSE]
    assert [chat.messages[0].content for chat in found] == [f"Question {place}?" for place in kept]
    for chat in found:
        text = chat.messages[1].content
        assert text == whole_sentences(text) and len(text.split()) >= FEWEST_WORDS and not contains_code(text)
