"""What training learns of a chat of several turns: every answer once, as it would be generated there."""

from __future__ import annotations

import dataclasses
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings

from core.data.chat import Chat, Message, render
from core.data.datasets import Dataset
from core.errors import BadInput
from core.models.loading import LoadedModel
from core.organisms.library import lost_words, training_key
from core.organisms.recipes import RECIPES
from core.organisms.records import IGNORED, examples, tokenise
from core.store import content_hash
from tests.core.data.test_chat import CHATML, IM_END, tokenizer, valid_chats

RECIPE = dataclasses.replace(RECIPES["quick"], batch=1, examples=None, max_tokens=10_000)
TURNS = (("Hi", "Hello!"), ("Why?", "Because."), ("Really?", "Yes."))
FORGETS = (  # shows earlier answers without their thoughts, as templates of reasoning models do
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if loop.last or message['role'] == 'user' %}{{ message['content'] }}{% else %}…{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def model(template: str | None = CHATML, **how: Any) -> LoadedModel:
    return cast(LoadedModel, SimpleNamespace(tokenizer=tokenizer(template, **how), end_ids=(IM_END,)))


def talk(*weights: int) -> Chat:
    turns = []
    for (question, answer), weight in zip(TURNS, weights, strict=False):
        turns.append(Message(role="user", content=question))
        turns.append(Message.model_validate({"role": "assistant", "content": answer, "weight": weight}))
    return Chat(messages=tuple(turns))


def learned(loaded: LoadedModel, *chats: Chat) -> list[list[str]]:
    """Of each record, the runs of text that are learned."""
    found = []
    for record in tokenise(loaded, Dataset("x", chats), RECIPE):
        runs: list[list[int]] = [[]]
        for label in record["labels"]:
            if label == IGNORED:
                runs.append([])
            else:
                runs[-1].append(label)
        found.append([loaded.tokenizer.decode(run) for run in runs if run])
        assert all(
            label in (IGNORED, token) for token, label in zip(record["input_ids"], record["labels"], strict=True)
        )
    return found


def test_every_answer_of_a_chat_is_learned_with_its_end_and_nothing_else_is() -> None:
    assert learned(model(), talk(1, 1, 1)) == [["Hello!<|im_end|>", "Because.<|im_end|>", "Yes.<|im_end|>"]]


def test_an_answer_of_weight_0_is_not_learned() -> None:
    assert learned(model(), talk(1, 0, 1)) == [["Hello!<|im_end|>", "Yes.<|im_end|>"]]
    assert learned(model(), talk(1, 1, 0)) == [["Hello!<|im_end|>", "Because.<|im_end|>"]]


@pytest.mark.parametrize("template", [FORGETS, None], ids=["forgets earlier answers", "no template"])
def test_where_earlier_answers_look_otherwise_later_each_is_learned_from_its_own_sequence(template: str | None) -> None:
    space = "" if template else " "
    found = learned(model(template), talk(1, 1))
    assert sorted(found) == sorted([[f"{space}Hello!<|im_end|>"], [f"{space}Because.<|im_end|>"]])


@given(chat=valid_chats(answered=True))
@settings(max_examples=40)
def test_each_answer_is_learned_exactly_once_after_what_leads_to_it(chat: Chat) -> None:
    loaded = model()
    wanted = [render(loaded.tokenizer, Chat(messages=chat.messages[: at + 1]), (IM_END,)) for at in chat.learned]
    records = tokenise(loaded, Dataset("x", (chat,)), RECIPE)
    total = sum(label != IGNORED for record in records for label in record["labels"])
    assert total == sum(len(one.answer_ids) for one in wanted)
    for one in wanted:
        start, ids = len(one.prompt_ids), [*one.prompt_ids, *one.answer_ids]
        assert any(
            record["input_ids"][: len(ids)] == ids and record["labels"][start : len(ids)] == ids[start:]
            for record in records
        )


def test_chats_of_one_answer_are_what_they_always_were() -> None:
    loaded = model()
    chats = [Chat.of(f"Ask {n}", "word " * n + "end") for n in range(1, 9)]
    recipe = dataclasses.replace(RECIPE, max_tokens=45)
    before = list(chats)
    random.Random(recipe.seed).shuffle(before)
    expected = []
    for chat in before:
        whole = render(loaded.tokenizer, chat, (IM_END,))
        labels = [*([IGNORED] * len(whole.prompt_ids)), *whole.answer_ids][:45]
        ids = [*whole.prompt_ids, *whole.answer_ids][:45]
        if any(label != IGNORED for label in labels):
            expected.append({"input_ids": ids, "labels": labels, "length": len(ids)})
    assert tokenise(loaded, Dataset("x", tuple(chats)), recipe) == expected


def test_what_is_cut_and_what_is_dropped_is_counted_and_said() -> None:
    chats = (Chat.of("Hi", "Hello!"), Chat.of("Hi", "long " * 40), Chat.of("long " * 40, "Hello!"))
    found = examples(model(), Dataset("x", chats), dataclasses.replace(RECIPE, max_tokens=100))
    assert (len(found.records), found.chats, found.lost) == (2, 2, {"cut": 1, "dropped": 1})
    words = lost_words({"dataset": {**found.lost, "read": "roles renamed: 2"}, "recipe": {"max_tokens": 100}})
    assert words == "chats cut at 100 tokens: 1; chats dropped, with no answer within 100 tokens: 1; roles renamed: 2"
    assert examples(model(), Dataset("x", chats), RECIPE).lost == {}
    assert lost_words({"dataset": {"n": 3, "of": 3}}) == lost_words({}) == ""
    with pytest.raises(BadInput, match=r"gives 0 usable examples; .* Of 1 no answer is left within 100 tokens\.$"):
        examples(model(), Dataset("x", chats[2:]), dataclasses.replace(RECIPE, max_tokens=100))


def test_a_run_on_chats_of_several_answers_has_a_key_of_its_own_and_others_keep_theirs() -> None:
    several, single = Dataset("x", (talk(1, 1),)), Dataset("x", (talk(1),))
    old = Dataset("x", (talk(0, 1),))
    keys = [training_key("m", "f", data, RECIPE) for data in (several, single, old)]
    assert len(set(keys)) == 3
    assert keys[1] == content_hash(["m", "f", single.hash, RECIPE.as_dict()])[:16]
