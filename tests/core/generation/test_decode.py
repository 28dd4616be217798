"""The decode loop: what it yields, when it ends, what it refuses."""

from __future__ import annotations

import dataclasses
import threading

import pytest
import torch

from core.data.chat import Chat
from core.errors import BadInput
from core.generation.decode import collect, collect_batches, decode
from core.generation.rows import Answer, Finished, Row, Sampling, Token
from tests.core.plain import FOREIGN, LONG, SHORT, assert_same_answer, ids_of


def row(chat: Chat = LONG, tokens: int = 8, **sampling) -> Row:
    return Row(chat, sampling=Sampling(max_tokens=tokens, **sampling))


def test_each_row_yields_its_tokens_and_then_one_finish(llama):
    rows = [row(SHORT, 2), row(LONG, 5), row(FOREIGN, 1)]
    events = list(decode(llama, rows))
    for place, asked in enumerate(rows):
        own = [event for event in events if event.row == place]
        assert [type(event) for event in own] == [Token] * asked.sampling.max_tokens + [Finished]
        assert own[-1].reason == "length"


def test_tokens_of_a_step_come_together_so_that_rows_grow_side_by_side(llama):
    order = [event.row for event in decode(llama, [row(SHORT, 3), row(LONG, 3)]) if isinstance(event, Token)]
    assert order == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("name", ["Llama", "Qwen3.5", "GPT-2"])
def test_the_end_token_ends_a_row_as_in_generate_and_is_not_shown(name, tiny_models):
    loaded = tiny_models(name)
    whole = collect(loaded, [row(tokens=8)])[0]
    ids = [token.id for token in whole.tokens]
    end = next(token for place, token in enumerate(ids) if place >= 2 and ids.index(token) == place)
    ending = dataclasses.replace(loaded, end_ids=(end,))
    short = collect(ending, [row(tokens=8)])[0]
    prompt = torch.tensor([ids_of(loaded, LONG)])
    generated = loaded.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False, eos_token_id=end
    )[0, prompt.shape[1] :].tolist()
    assert short.reason == "end"
    assert [token.id for token in short.tokens] == ids[: ids.index(end)] == generated[:-1]
    assert short.text == loaded.tokenizer.decode(generated[:-1], skip_special_tokens=True)


def test_a_finished_row_does_not_change_its_neighbours(llama):
    beside = collect(llama, [row(SHORT, 1), row(LONG, 8)])[1]
    assert_same_answer(beside, collect(llama, [row(LONG, 8)])[0])


def test_a_stop_ends_every_unfinished_row_after_the_token_at_hand(llama):
    stop = threading.Event()
    answers = [Answer(row(SHORT, 1)), Answer(row(LONG, 50))]
    for event in decode(llama, [answer.row for answer in answers], stop=stop):
        answers[event.row].add(event, 0.0)
        if len(answers[1].tokens) == 3:
            stop.set()
    assert [answer.reason for answer in answers] == ["length", "stopped"]
    assert len(answers[1].tokens) == 3


def test_logprobs_are_those_of_the_model_at_temperature_one(llama):
    answer = collect(llama, [row(tokens=4, temperature=0.7, top_k=5, seed=3)])[0]
    prompt = ids_of(llama, LONG)
    ids = torch.tensor([[*prompt, *(token.id for token in answer.tokens)]])
    with torch.inference_mode():
        logprobs = llama.model(ids).logits[0].log_softmax(-1)
    for place, token in enumerate(answer.tokens):
        assert token.logprob == pytest.approx(float(logprobs[len(prompt) - 1 + place, token.id]), abs=1e-3)


def test_a_row_that_reads_nothing_has_no_projection(llama):
    assert all(token.projection is None for token in collect(llama, [row()])[0].tokens)


def test_batches_give_every_group_the_answers_it_gets_alone(llama):
    groups = [[row(chat, 4), row(chat, 4, temperature=1.0, seed=9)] for chat in (LONG, SHORT, FOREIGN, SHORT, LONG)]
    found = dict(collect_batches(llama, groups, rows_a_batch=4))
    assert sorted(found) == list(range(len(groups)))
    for place, answers in found.items():
        for answer, asked in zip(answers, groups[place], strict=True):
            assert answer.row is asked
            assert_same_answer(answer, collect(llama, [asked])[0])


def test_no_rows_give_no_events(llama):
    assert list(decode(llama, [])) == []
    assert list(collect_batches(llama, [])) == []


def test_a_chat_that_is_already_answered_is_refused(llama):
    with pytest.raises(BadInput, match="already ends with an answer"):
        collect(llama, [row(Chat.of("Hi", "Hello"))])


def test_a_prompt_that_leaves_no_room_for_the_answer_is_refused(llama):
    collect(llama, [row(SHORT, 256 - len(ids_of(llama, SHORT)))])
    with pytest.raises(BadInput, match="holds 256"):
        collect(llama, [row(SHORT, 257 - len(ids_of(llama, SHORT)))])


@pytest.mark.parametrize("name", ["Llama", "Qwen3.5", "GPT-2"])
def test_the_vocabulary_projection_never_gets_a_slice_whose_rows_lie_apart(name, tiny_models):
    """For such a slice torch copies the whole projection for each row: seconds and gigabytes for a batch of prompts."""
    loaded, seen = tiny_models(name), []
    head = loaded.model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].is_contiguous()))
    try:
        collect(loaded, [row(SHORT, 3), row(LONG, 3), row(FOREIGN, 3)])
    finally:
        handle.remove()
    assert seen == [True] * 3
