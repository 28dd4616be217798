"""Choose the next token of every row at once, each row from its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.generation.rows import Sampling


class Chooser:
    """Picks tokens for a batch. Greedy rows take the largest logit; sampled rows use inverse-CDF sampling.

    Each sampled row draws one uniform number per step from its own generator, so neither the other rows nor
    the vocabulary's size changes what a seed gives.
    """

    def __init__(self, settings: Sequence[Sampling], device: torch.device) -> None:
        sampled = [place for place, setting in enumerate(settings) if setting.temperature > 0]
        self._any = bool(sampled)
        if not sampled:
            return
        # rows that keep the whole vocabulary come first: they need no sorting, which costs most of a sampled step
        sampled.sort(key=lambda place: _truncates(settings[place]))
        chosen = [settings[place] for place in sampled]
        self._plain = sum(not _truncates(item) for item in chosen)
        self._places, self._sampled = sampled, torch.tensor(sampled, device=device)
        self._temperature = torch.tensor([item.temperature for item in chosen], device=device)[:, None]
        self._top_p = torch.tensor([item.top_p for item in chosen], device=device)[:, None]
        self._top_k = torch.tensor([item.top_k or 2**31 - 1 for item in chosen], device=device)[:, None]
        steps = max(item.max_tokens for item in chosen)
        uniforms = torch.stack(
            [torch.rand(steps, generator=torch.Generator().manual_seed(item.seed)) for item in chosen], dim=1
        )
        self._uniforms = uniforms.to(device)

    def choose(self, logits: torch.Tensor, steps: Sequence[int]) -> torch.Tensor:
        """Next token ids `[rows]` from float32 `logits` `[rows, vocabulary]`.

        Args:
            steps: how many tokens each row has so far.
        """
        tokens = logits.argmax(-1)
        if self._any:
            last = len(self._uniforms) - 1
            step = torch.tensor([min(steps[place], last) for place in self._places], device=logits.device)
            uniform = self._uniforms.gather(0, step[None])[0][:, None]
            tokens[self._sampled] = self._sample(logits[self._sampled], uniform)
        return tokens

    def _sample(self, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        probabilities = torch.softmax(logits / self._temperature, dim=-1)
        plain, truncated = probabilities[: self._plain], probabilities[self._plain :]
        found = []
        if len(plain):
            # in float32 the sum over a large vocabulary would miss its last digits; Apple's GPUs know nothing finer
            exact = torch.float32 if plain.device.type == "mps" else torch.float64
            found.append(_place(plain.cumsum(-1, dtype=exact), uniform[: self._plain]))
        if len(truncated):
            found.append(self._sample_truncated(truncated, uniform[self._plain :]))
        return torch.cat(found)

    def _sample_truncated(self, probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        # stable: among equal probabilities, frequent in bfloat16, the first is kept, as in greedy decoding
        probabilities, order = probabilities.sort(dim=-1, descending=True, stable=True)
        cumulative = probabilities.cumsum(-1)
        rank = torch.arange(probabilities.shape[-1], device=probabilities.device)
        kept = (cumulative - probabilities < self._top_p[self._plain :]) & (rank < self._top_k[self._plain :])
        kept[:, 0] = True  # also of a top_p that float32 takes for 0
        place = _place((probabilities * kept).cumsum(-1), uniform)[:, None]
        place = torch.minimum(place, kept.sum(-1, keepdim=True) - 1)
        return order.gather(-1, place).squeeze(-1)


def _truncates(setting: Sampling) -> bool:
    return setting.top_p < 1 or setting.top_k > 0


def _place(cumulative: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The first entry of each row whose cumulative mass `[rows, entries]` exceeds the share `uniform` `[rows, 1]`."""
    place = (cumulative <= uniform * cumulative[:, -1:]).sum(-1)
    return place.clamp(max=cumulative.shape[-1] - 1)
