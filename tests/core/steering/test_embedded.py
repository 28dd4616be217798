"""The invariants of steering on the real embedded model."""

from __future__ import annotations

import pytest
import torch

from core.activations.capture import Sequences, capture_all
from core.data.chat import Chat
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.models.forward import pad_left
from core.models.loading import LoadedModel, load
from core.steering.hooks import Steering
from core.steering.interventions import MODES, SCOPES, Intervention
from tests.core.plain import (
    assert_greedy,
    assert_same_answer,
    count_hooks,
    ids_of,
    logprobs_without_cache,
    random_direction,
    residual_stream,
)

pytestmark = pytest.mark.embedded

CHATS = (
    Chat.of("Hi"),
    Chat.of("Write a short poem about a river in autumn, please."),
    Chat.of("Was heißt „Brücke“ auf Japanisch? 🌉"),
)
BLOCKS = (5, 14, 29)
STRENGTH = {"add": -0.6, "ablate": 1.0, "cap": 1.0}


@pytest.fixture(scope="module")
def direction(embedded):
    return random_direction(embedded, 1, fraction=0.5)


@pytest.fixture(scope="module")
def half() -> LoadedModel:
    """The same weights in bfloat16, as the app runs them."""
    return load("smollm2-135m", device="cpu", dtype=torch.bfloat16)


def item(direction, mode: str, **options) -> Intervention:
    return Intervention(
        **{"mode": mode, "direction": direction.id, "blocks": BLOCKS, "coefficient": STRENGTH[mode], **options}
    )


def row(*items: Intervention, chat: Chat = CHATS[1], tokens: int = 8) -> Row:
    return Row(chat, interventions=items, sampling=Sampling(max_tokens=tokens))


@torch.inference_mode()
def logits(loaded: LoadedModel, direction, *items: Intervention) -> torch.Tensor:
    ids, mask = pad_left([ids_of(loaded, chat) for chat in CHATS], loaded.tokenizer.pad_token_id)
    steering = Steering(loaded, [items] * len(ids), {direction.id: direction})
    steering.scope(ids, mask, ids.shape[1])
    with steering.attached():
        return loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits


@pytest.mark.parametrize("precision", ["embedded", "half"])
def test_strength_zero_leaves_logits_bit_identical(precision, request, direction):
    loaded = request.getfixturevalue(precision)
    bare = logits(loaded, direction)
    for mode in MODES:
        assert torch.equal(logits(loaded, direction, item(direction, mode, coefficient=0.0, scope="all")), bare)
    assert not torch.equal(logits(loaded, direction, item(direction, "add")), bare)


@pytest.mark.parametrize("precision", ["embedded", "half"])
def test_strength_zero_leaves_a_decoded_answer_bit_identical(precision, request, direction):
    loaded = request.getfixturevalue(precision)
    zero = [item(direction, mode, coefficient=0.0) for mode in MODES]
    bare, steered = (
        collect(loaded, [row(*items)], directions={direction.id: direction})[0].tokens for items in ((), zero)
    )
    assert steered == bare


@pytest.mark.parametrize("chat", CHATS, ids=["short", "poem", "foreign"])
def test_greedy_text_equals_transformers_generate(embedded, chat):
    answer = collect(embedded, [row(chat=chat, tokens=32)])[0]
    prompt = torch.tensor([ids_of(embedded, chat)])
    whole = embedded.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=32, do_sample=False, num_beams=1
    )[0, prompt.shape[1] :].tolist()
    if answer.reason == "end":
        assert whole.pop() in embedded.end_ids
    assert [token.id for token in answer.tokens] == whole
    assert answer.text == embedded.tokenizer.decode(whole, skip_special_tokens=True)
    assert answer.text.strip()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scope", SCOPES)
def test_steered_with_cache_equals_steered_without(embedded, direction, mode, scope):
    steering = item(direction, mode, scope=scope)
    answer = collect(embedded, [row(steering, tokens=5)], directions={direction.id: direction})[0]
    ids = [token.id for token in answer.tokens]
    assert_greedy(answer, logprobs_without_cache(embedded, CHATS[1], ids, [steering], {direction.id: direction}))


def test_batched_rows_equal_the_same_rows_alone(embedded, direction):
    rows = [row(chat=CHATS[2])]
    rows += [
        row(item(direction, mode, scope=scope), chat=chat)
        for mode, scope, chat in zip(MODES, SCOPES, CHATS, strict=True)
    ]
    directions = {direction.id: direction}
    for asked, together in zip(rows, collect(embedded, rows, directions=directions), strict=True):
        assert_same_answer(together, collect(embedded, [asked], directions=directions)[0])


def test_adding_and_subtracting_cancels(embedded, direction):
    up = item(direction, "add", coefficient=1.0, scope="all")
    both = collect(embedded, [row(up, up.with_coefficient(-1.0), tokens=16)], directions={direction.id: direction})[0]
    assert_same_answer(both, collect(embedded, [row(tokens=16)])[0])


def test_ablation_leaves_no_projection_and_a_cap_none_above_its_ceiling(embedded, direction):
    ids = ids_of(embedded, CHATS[1])
    streams = {}
    for mode in ("ablate", "cap"):
        steering = Steering(embedded, [[item(direction, mode, scope="all")]], {direction.id: direction})
        steering.scope(torch.tensor([ids]), None, len(ids))
        with steering.attached():
            streams[mode] = residual_stream(embedded, ids)
    for block in BLOCKS:
        unit, ceiling = direction.unit(block), direction.base_projection(block)
        lengths = streams["ablate"][block].norm(dim=-1)
        assert ((streams["ablate"][block] @ unit).abs() / lengths).max() < 1e-5
        assert ((streams["cap"][block] @ unit - ceiling) / lengths).max() < 1e-5


def test_capture_equals_the_residual_stream(embedded):
    ids = [ids_of(embedded, chat) for chat in CHATS]
    captured = capture_all(embedded, Sequences.prompts(ids))
    for place, prompt in enumerate(ids):
        expected = residual_stream(embedded, prompt)[:, -1]
        assert ((captured[place] - expected).norm(dim=-1) / expected.norm(dim=-1)).max() < 1e-4


def test_no_hook_is_left_behind(embedded, direction):
    before = count_hooks(embedded.model)
    collect(embedded, [row(item(direction, "add"), tokens=2)], directions={direction.id: direction})
    assert count_hooks(embedded.model) == before
