"""How near steering brings an organism back to its base: the divergence of their next-token distributions.

Teacher-forced on the base model's own answers to neutral prompts, so that one forward pass measures one setting.
Small means both that the finetuned behaviour is gone and that nothing else broke.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from core.directions.direction import Direction
from core.models.forward import Inputs
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter, attached
from core.steering.hooks import Steering
from core.steering.interventions import Intervention


class Restoration:
    """Divergence from the base on fixed texts: prompt and answer ids of each row, all answers equally long.

    Example: `Restoration(loaded, prompts, answers).divergence(organism, [intervention], directions)`
    """

    def __init__(self, loaded: LoadedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> None:
        lengths = {len(answer) for answer in answers}
        if len(lengths) != 1 or len(prompts) != len(answers):
            raise ValueError("restoration needs an answer a prompt, all of the same length")
        self._loaded = loaded
        self._tokens = lengths.pop()
        rows = [(*prompt, *answer) for prompt, answer in zip(prompts, answers, strict=True)]
        self._inputs = Inputs.left(loaded, rows)
        self._base = self._log_probabilities(None, (), {})

    def divergence(
        self, adapter: Adapter | None, interventions: Sequence[Intervention], directions: Mapping[str, Direction]
    ) -> float:
        """Mean KL(base ‖ steered) over the answers' tokens, in nats."""
        steered = self._log_probabilities(adapter, interventions, directions)
        return float((self._base.exp() * (self._base - steered)).sum(-1).mean())

    @torch.inference_mode()
    def _log_probabilities(
        self, adapter: Adapter | None, interventions: Sequence[Intervention], directions: Mapping[str, Direction]
    ) -> torch.Tensor:
        """`[rows, answer tokens, vocabulary]`, float32: what predicts each answer token."""
        loaded, inputs = self._loaded, self._inputs
        rows, columns = inputs.ids.shape
        steering = Steering(loaded, [tuple(interventions)] * rows, directions)
        with attached(loaded, [adapter] * rows), steering.attached():
            steering.scope(inputs.ids, inputs.mask, columns - self._tokens)
            logits = loaded.model(**inputs.arguments(loaded, use_cache=False, logits=self._tokens + 1)).logits
        return torch.log_softmax(logits[:, -self._tokens - 1 : -1].float(), -1)
