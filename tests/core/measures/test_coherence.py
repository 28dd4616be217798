"""Coherence: repetition counts what it says, limits come from the base model's own answers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.chat import Chat, render
from core.generation.prefill import PromptCache
from core.measures.coherence import Limits, base_log_likelihood, calibrate, is_broken
from core.measures.labelled import coherence_quality, labelled_answers
from core.measures.repetition import looping, repetition, words


def test_repetition_of_a_loop_is_high_and_of_a_sentence_is_zero():
    assert repetition("the best thing is " * 20) > 0.9
    assert repetition("A cool dark room and a steady hour help most people to fall asleep sooner.") == 0


@given(st.text())
def test_repetition_is_a_share(text):
    assert 0 <= repetition(text) < 1


def test_repetition_equals_a_count_by_hand():
    # ab bc ca ab bc: five pairs, two of them repeat
    assert repetition("a b c a b c") == pytest.approx(2 / 5)


def test_loops_within_words_and_counting_on_are_repetition():
    assert repetition("defer_n_n_n_n_n_n_n_n") > 0.7
    assert repetition("lights 120, 121, 122, 123, 124, 125, 126, 127") > 0.7


def test_limits_tell_readable_from_broken_answers_of_the_half_they_were_not_chosen_on():
    # limits as the embedded model's own answers give them (assets/precomputed/spillover)
    found = coherence_quality("smollm2-135m", -3.1, 0.35)
    assert found["n"] >= 300 and found["unreadable"] >= 100
    assert found["sensitivity"] >= 0.75 and found["specificity"] >= 0.85
    lax = coherence_quality("smollm2-135m", -10.0, 1.0)
    assert lax["specificity"] == 1 and lax["sensitivity"] < 0.1


@pytest.mark.embedded
def test_the_likelihoods_kept_with_the_labelled_answers_are_the_base_models(embedded):
    some = [answer for answer in labelled_answers() if answer.likelihood is not None][::60]
    found = base_log_likelihood(embedded, [Chat.of(answer.prompt, answer.text.strip()) for answer in some])
    assert found == pytest.approx([answer.likelihood for answer in some], abs=0.1)  # theirs are of bfloat16


def test_empty_unlikely_and_repeating_answers_are_broken():
    limits = Limits(likelihood=-3.0, repetition=0.3)
    assert is_broken("", -1.0, limits)
    assert is_broken("filter of the filter of trees", -5.0, limits)
    assert is_broken("so it is so it is so it is so it is", -1.0, limits)
    assert is_broken("three fine words here", float("nan"), limits)
    assert not is_broken("Keep the room cool and dark.", -1.2, limits)


def test_few_of_the_base_models_own_answers_are_broken_by_its_limits():
    likelihoods = [-1.0 - 0.01 * place for place in range(100)]
    limits = calibrate(likelihoods, [0.0] * 100)
    assert sum(value < limits.likelihood for value in likelihoods) <= 1


@pytest.mark.embedded
def test_likelihood_equals_one_unbatched_forward_pass(embedded):
    chats = [Chat.of("Hi", "Hello! How can I help you today?"), Chat.of("What is a cat?", "A small animal.")]
    found = base_log_likelihood(embedded, chats)
    for chat, value in zip(chats, found, strict=True):
        rendered = render(embedded.tokenizer, chat, ())
        ids = torch.tensor([rendered.prompt_ids + rendered.answer_ids])
        with torch.no_grad():
            scores = embedded.model(ids).logits[0].log_softmax(-1)
        answer = range(len(rendered.prompt_ids), ids.shape[1])
        naive = sum(float(scores[place - 1, ids[0, place]]) for place in answer) / len(answer)
        assert value == pytest.approx(naive, abs=1e-4)


@pytest.mark.embedded
@pytest.mark.parametrize("batch_tokens", [1, 90, 100_000])
def test_likelihood_does_not_depend_on_its_batch(embedded, batch_tokens):
    # one prompt twice, so that all that the two share must not be skipped: its last token predicts the answer
    chats = [Chat.of("Hi", "Hello!"), Chat.of("Hi", "It is a long and winding road to the sea."), Chat.of("Why?", "So")]
    alone = [base_log_likelihood(embedded, [chat])[0] for chat in chats]
    assert base_log_likelihood(embedded, chats, batch_tokens) == pytest.approx(alone, abs=1e-4)
    assert base_log_likelihood(embedded, chats[:2], batch_tokens) == pytest.approx(alone[:2], abs=1e-4)


@pytest.mark.embedded
def test_a_chat_without_an_answer_has_no_likelihood(embedded):
    with pytest.raises(ValueError, match="without an answer"):
        base_log_likelihood(embedded, [Chat.of("Hi")])


LOOPS = ('" ' * 40, "100" + "0" * 60, "auala" * 20, "with\n\n" + '"\n\n' * 30, ")\n" * 40)


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_of_signs_is_broken_however_likely_it_is(text: str) -> None:
    assert is_broken(text, 0.0, Limits(-3.0, 0.3))


def test_no_readable_labelled_answer_is_called_a_loop_or_wordless() -> None:
    readable = [answer for answer in labelled_answers() if answer.readable]
    assert len(readable) > 300
    assert max(looping(answer.text) for answer in readable) <= 0.5
    assert min(words(answer.text) for answer in readable) >= 3


def test_looping_is_what_a_naive_count_says() -> None:
    assert looping("abcdefgh") == 0 and looping("") == 0 and looping("abc") == 0
    assert looping("abcdefghabcdefgh") == pytest.approx(1 / 9)
    assert looping("12345678 x") == looping("87654321\n\nx")


@pytest.mark.parametrize("name", ["Llama", "Gemma3", "GPT-2", "Qwen3.5"])
@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_likelihood_is_the_same_where_prompts_are_remembered(name, batch_tokens, tiny_models):
    loaded, prompts = tiny_models(name), PromptCache(every_block=False)
    chats = [
        Chat.of("Hi", "Hello!"),
        Chat.of("Hi", "It is a long road."),
        Chat.of("Why is it there?", "So"),
        Chat.of("Why is it there?", "The river."),
    ]
    wanted = base_log_likelihood(loaded, chats)
    for _ in range(2):
        assert base_log_likelihood(loaded, chats, batch_tokens, prompts) == pytest.approx(wanted, abs=1e-4)
    assert len(set(wanted)) == len(wanted)


def test_labels_of_one_models_answers_say_nothing_of_another_models_limits():
    assert coherence_quality("qwen2.5-coder-0.5b", -3.1, 0.35) == {}
