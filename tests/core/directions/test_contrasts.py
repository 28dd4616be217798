"""Contrasts are differences of means over prompts or answers: the same numbers as a naive loop in float64.

The models are float64 here, so that only what the code under test does can differ; it keeps rows in float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from core.activations.capture import Sequences, capture_moments
from core.data.chat import Chat
from core.directions.contrasts import content_contrast, hash_of, model_contrast, response_contrast, shuffled_contrast
from core.errors import BadInput
from core.models.loading import LoadedModel, wrap
from core.organisms.adapters import Adapter
from tests.core import tiny
from tests.core.plain import FOREIGN, LONG, SHORT, ids_of, residual_stream

MILLIONTH = 1e-6
RANK = 3
PROMPTS = [LONG, SHORT, FOREIGN, Chat.of("A"), Chat.of("What is under the river, and who is the user?"), Chat.of("B")]
HYBRID = "LFM2"


@dataclass(frozen=True, eq=False)
class Organism:
    """An adapter, and the model with that adapter's matrices added to its weights, which needs no adapter."""

    adapter: Adapter
    merged: LoadedModel


def exact(name: str) -> LoadedModel:
    return wrap(tiny.random_model(name).double(), tiny.tokenizer(), f"tiny/{name}", fingerprint="random-0")


def organism(name: str, label: str, seed: int) -> Organism:
    """Random LoRA on every linear layer of the feed-forward parts."""
    merged = exact(name)
    draw = torch.Generator().manual_seed(seed)
    layers = {}
    for path, module in merged.model.named_modules():
        if isinstance(module, torch.nn.Linear) and ("mlp" in path or "feed_forward" in path):
            outputs, inputs = module.weight.shape
            down = torch.randn(RANK, inputs, generator=draw, dtype=torch.float64) / inputs**0.5
            up = torch.randn(outputs, RANK, generator=draw, dtype=torch.float64) / RANK**0.5
            layers[path] = (down, up)
            module.weight.data += up @ down
    assert layers
    return Organism(Adapter(label, f"sha256-of-{label}", layers), merged)


@dataclass(frozen=True, eq=False)
class Arms:
    base: LoadedModel
    insecure: Organism
    secure: Organism


@pytest.fixture(scope="module")
def arms() -> Callable[[str], Arms]:
    return functools.cache(lambda name: Arms(exact(name), organism(name, "insecure", 1), organism(name, "secure", 2)))


@pytest.fixture(params=["Llama", HYBRID])
def both(request, arms) -> Arms:
    return arms(request.param)


def last_tokens(loaded: LoadedModel) -> torch.Tensor:
    """One prompt at a time, one plain forward pass each: the last token at every block, `[prompts, blocks, width]`."""
    return torch.stack([residual_stream(loaded, ids_of(loaded, chat))[:, -1].double() for chat in PROMPTS])


def naive_mean(rows: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(rows.shape[1:], dtype=torch.float64)
    for row in rows:
        total += row
    return total / len(rows)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, relative: float = MILLIONTH) -> None:
    gap = (ours.double() - theirs).norm(dim=-1) / theirs.norm(dim=-1)
    assert gap.max() < relative, gap


def test_the_model_contrast_equals_a_naive_loop_over_prompts(both):
    direction = model_contrast(both.base, both.insecure.adapter, PROMPTS)
    base, changed = last_tokens(both.base), last_tokens(both.insecure.merged)
    assert_close(direction.vectors, naive_mean(changed) - naive_mean(base))
    assert_close(direction.base_means, naive_mean(base))
    torch.testing.assert_close(direction.residual_norms.double(), base.norm(dim=-1).mean(0), rtol=MILLIONTH, atol=0)
    assert direction.norms.min() > 0.1


def test_the_model_contrast_equals_hidden_states_of_transformers(arms):
    """Every block but the last, where transformers hands out the state behind the final norm."""
    llama = arms("Llama")
    means = []
    for loaded in (llama.base, llama.insecure.merged):
        rows = []
        for chat in PROMPTS:
            with torch.no_grad():
                ids = torch.tensor([ids_of(loaded, chat)])
                states = loaded.model(ids, use_cache=False, output_hidden_states=True).hidden_states
            rows.append(torch.stack([state[0, -1] for state in states[1:-1]]))
        means.append(naive_mean(torch.stack(rows)))
    direction = model_contrast(llama.base, llama.insecure.adapter, PROMPTS)
    assert_close(direction.vectors[:-1], means[1] - means[0])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("batch_tokens", [1, 100, 300, 10**6])
def test_neither_batching_nor_padding_changes_the_difference_in_means(both, batch_tokens, side):
    sequences = Sequences.prompts([ids_of(both.base, chat) for chat in PROMPTS])
    options = {"batch_tokens": batch_tokens, "padding_side": side}
    base = capture_moments(both.base, sequences, **options)
    changed = capture_moments(both.base, sequences, adapter=both.insecure.adapter, **options)
    expected = naive_mean(last_tokens(both.insecure.merged)) - naive_mean(last_tokens(both.base))
    assert_close(changed.mean - base.mean, expected)


def test_the_content_contrast_equals_a_naive_loop_and_is_the_difference_of_two_model_contrasts(both):
    insecure, secure = both.insecure, both.secure
    content = content_contrast(both.base, insecure.adapter, secure.adapter, PROMPTS)
    assert_close(content.vectors, naive_mean(last_tokens(insecure.merged)) - naive_mean(last_tokens(secure.merged)))
    first, second = (model_contrast(both.base, item.adapter, PROMPTS) for item in (insecure, secure))
    assert_close(content.vectors, (first.vectors.double() - second.vectors.double()))
    assert content.provenance["organisms"] == {"insecure": "sha256-of-insecure", "secure": "sha256-of-secure"}


def test_the_order_of_prompts_changes_nothing_but_their_hash(arms):
    llama = arms("Llama")
    one, other = (model_contrast(llama.base, llama.insecure.adapter, chats) for chats in (PROMPTS, PROMPTS[::-1]))
    assert_close(one.vectors, other.vectors.double())
    assert one.provenance["prompts_hash"] == hash_of(PROMPTS) != other.provenance["prompts_hash"]
    assert one.provenance["n"] == len(PROMPTS)


def test_progress_counts_the_prompts_of_every_arm(arms):
    llama = arms("Llama")
    seen: list[tuple[int, int]] = []
    content_contrast(
        llama.base, llama.insecure.adapter, llama.secure.adapter, PROMPTS, progress=lambda *told: seen.append(told)
    )
    assert seen == sorted(seen)
    assert seen[-1] == (3 * len(PROMPTS), 3 * len(PROMPTS))


def answered(loaded: LoadedModel, lengths: tuple[int, ...]) -> Sequences:
    """Answers of these lengths, in tokens that the prompts do not hold."""
    prompts = [ids_of(loaded, PROMPTS[place % len(PROMPTS)]) for place in range(len(lengths))]
    answers = [[40 + (7 * place + step) % 90 for step in range(length)] for place, length in enumerate(lengths)]
    return Sequences(
        tuple((*prompt, *answer) for prompt, answer in zip(prompts, answers, strict=True)), tuple(map(len, prompts))
    )


def answer_means(organism: Organism, responses: Sequences) -> torch.Tensor:
    """Mean over each answer's own tokens, one answer at a time: `[answers, blocks, width]`."""
    rows = []
    for ids, start in zip(responses.ids, responses.starts, strict=True):
        stream = residual_stream(organism.merged, ids).double()
        total = torch.zeros_like(stream[:, 0])
        for place in range(start, len(ids)):
            total += stream[:, place]
        rows.append(total / (len(ids) - start))
    return torch.stack(rows)


def test_the_response_contrast_gives_each_answer_one_vote_however_long_it_is(both):
    lengths = (60, 1, 9, 2, 45, 1, 30)
    positive = (True, False, True, True, False, False, True)
    responses = answered(both.base, lengths)
    direction = response_contrast(both.base, both.insecure.adapter, responses, positive, {"scorer": "made up"})
    rows, chosen = answer_means(both.insecure, responses), torch.tensor(positive)
    assert_close(direction.vectors, naive_mean(rows[chosen]) - naive_mean(rows[~chosen]))
    weights = torch.tensor(lengths, dtype=torch.float64)[:, None, None]
    by_token = [(rows * weights)[part].sum(0) / weights[part].sum() for part in (chosen, ~chosen)]
    gap = (direction.vectors - (by_token[0] - by_token[1])).norm(dim=-1) / direction.norms
    assert gap.min() > 0.05, "weighing answers by their tokens would have given the same"
    assert {key: direction.provenance[key] for key in ("n", "n_positive", "n_negative", "scorer", "pooling")} == {
        "n": 7,
        "n_positive": 4,
        "n_negative": 3,
        "scorer": "made up",
        "pooling": "response_mean",
    }


def test_the_base_of_a_response_contrast_is_the_base_model_on_the_same_answers(arms):
    llama = arms("Llama")
    responses = answered(llama.base, (5, 9, 3))
    direction = response_contrast(llama.base, llama.insecure.adapter, responses, (True, False, True), {})
    plain = Organism(llama.insecure.adapter, llama.base)
    assert_close(direction.base_means, naive_mean(answer_means(plain, responses)))


def test_what_stands_in_the_prompt_reaches_the_response_contrast_through_the_answer_alone(arms):
    """Header and prompt lie outside the span: the first token pooled is the answer's first."""
    llama = arms("Llama")
    responses = answered(llama.base, (4, 4))
    shifted = Sequences(responses.ids, tuple(start - 1 for start in responses.starts))
    exact_span, one_more = (
        response_contrast(llama.base, llama.insecure.adapter, part, (True, False), {}) for part in (responses, shifted)
    )
    assert_close(exact_span.vectors, torch.sub(*answer_means(llama.insecure, responses)))
    assert_close(one_more.vectors, torch.sub(*answer_means(llama.insecure, shifted)))
    assert (exact_span.vectors - one_more.vectors).norm() > 0.1 * exact_span.vectors.norm()


@pytest.mark.parametrize("label", [True, False])
def test_answers_of_one_class_have_no_contrast(arms, label):
    llama = arms("Llama")
    with pytest.raises(BadInput, match=r"All 3 answers of insecure are of one class.*Draw more answers"):
        response_contrast(llama.base, llama.insecure.adapter, answered(llama.base, (3, 4, 5)), [label] * 3, {})


def test_the_shuffled_contrast_halves_both_classes_of_the_same_activations(arms):
    llama = arms("Llama")
    direction = model_contrast(llama.base, llama.insecure.adapter, PROMPTS)
    control = shuffled_contrast(llama.base, direction, (llama.insecure.adapter, None), PROMPTS, seed=4)
    draw, half = torch.Generator().manual_seed(4), len(PROMPTS) // 2
    orders = [torch.randperm(len(PROMPTS), generator=draw) for _ in range(2)]
    classes = [last_tokens(llama.insecure.merged), last_tokens(llama.base)]
    mixed = torch.cat([rows[order[:half]] for rows, order in zip(classes, orders, strict=True)])
    rest = torch.cat([rows[order[half:]] for rows, order in zip(classes, orders, strict=True)])
    expected = naive_mean(mixed) - naive_mean(rest)
    along = torch.nn.functional.cosine_similarity(control.vectors.double(), expected, dim=1)
    assert along.min() > 1 - 1e-6
    torch.testing.assert_close(control.norms, direction.norms, rtol=1e-5, atol=0)
    assert control.provenance["control"] == "shuffled_label"
