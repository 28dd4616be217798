"""Divergence from the base is 0 for the base, equals a naive computation, and falls when the change is undone."""

from __future__ import annotations

import pytest
import torch

from core.directions.direction import Direction
from core.measures.restoration import Restoration
from core.steering.interventions import Intervention

PROMPTS = [(5, 6, 7), (8, 9, 10, 11, 12, 13), (14,)]
ANSWERS = [(3, 4, 5, 6), (7, 8, 9, 10), (11, 12, 13, 14)]


def direction(loaded, scale: float = 3.0) -> Direction:
    blocks, width = len(loaded.blocks), loaded.width
    vectors = scale * torch.randn(blocks, width, generator=torch.Generator().manual_seed(1))
    return Direction("v", vectors, torch.ones(blocks), torch.zeros(blocks, width), {"model": loaded.id})


@pytest.mark.parametrize("name", ["Llama", "Qwen3.5", "GPT-2"])
def test_the_base_does_not_diverge_from_itself(name, tiny_models):
    loaded = tiny_models(name)
    v = direction(loaded)
    zero = Intervention("add", v.id, (1,), 0.0)
    assert Restoration(loaded, PROMPTS, ANSWERS).divergence(None, [zero], {v.id: v}) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("scope", ["all", "response", "prompt"])
def test_it_equals_a_naive_computation_row_by_row(llama, scope):
    """Each row alone and unpadded, the vector added by a hook written here, KL summed over the vocabulary."""
    v = direction(llama)
    block, coefficient = 1, 0.7
    asked = Intervention("add", v.id, (block,), coefficient, scope)
    found = Restoration(llama, PROMPTS, ANSWERS).divergence(None, [asked], {v.id: v})

    def log_probabilities(prompt, answer, steer):
        ids = torch.tensor([[*prompt, *answer]])
        places = torch.arange(ids.shape[1])
        first = {"all": places >= 0, "response": places >= len(prompt) - 1, "prompt": places < len(prompt)}[scope]

        def add(_module, _args, output):
            hidden = output[0] if isinstance(output, tuple) else output
            changed = hidden + first[None, :, None] * coefficient * v.vectors[block]
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        handle = llama.blocks[block].register_forward_hook(add) if steer else None
        try:
            with torch.inference_mode():
                logits = llama.model(ids).logits[0, len(prompt) - 1 : -1]
        finally:
            if handle:
                handle.remove()
        return logits.double().log_softmax(-1)

    naive = []
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        base, steered = (log_probabilities(prompt, answer, steer) for steer in (False, True))
        naive += (base.exp() * (base - steered)).sum(-1).tolist()
    assert found == pytest.approx(sum(naive) / len(naive), rel=1e-3)
    assert found > 1e-4


def test_a_push_and_its_opposite_leave_nothing(llama):
    v = direction(llama)
    there, back = (Intervention("add", v.id, (1,), sign) for sign in (1.0, -1.0))
    restoration = Restoration(llama, PROMPTS, ANSWERS)
    pushed = restoration.divergence(None, [there], {v.id: v})
    assert restoration.divergence(None, [there, back], {v.id: v}) < 1e-3 * pushed


def test_answers_of_different_length_are_refused(llama):
    with pytest.raises(ValueError, match="same length"):
        Restoration(llama, PROMPTS, [*ANSWERS[:2], (1, 2)])
