"""What a forward pass is given: token ids, mask and positions of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from transformers import DynamicCache

from core.models.loading import LoadedModel


@dataclass(frozen=True)
class Inputs:
    """Prompts as one left-padded batch: `ids` `[rows, columns]`, `mask` None where nothing is padded."""

    ids: torch.Tensor
    mask: torch.Tensor | None
    positions: torch.Tensor
    limit: int | None

    @classmethod
    def of(cls, loaded: LoadedModel, prompts: Sequence[Sequence[int]]) -> Inputs:
        ids, mask = pad_left(prompts, loaded.tokenizer.pad_token_id or 0)
        positions = (mask.cumsum(-1) - 1).clamp(min=0).to(loaded.device)
        mask = None if mask.all() else mask.to(loaded.device)
        return cls(ids.to(loaded.device), mask, positions, position_limit(loaded))

    @classmethod
    def resumed(cls, loaded: LoadedModel, lengths: Sequence[int]) -> Inputs:
        """Rows that have run already, of so many tokens, each ending in the last column; for `next`."""
        length = torch.tensor(lengths, device=loaded.device)[:, None]
        columns = torch.arange(max(lengths), device=loaded.device)
        mask = None if len(set(lengths)) == 1 else (columns >= len(columns) - length).long()
        return cls(length, mask, length - 1, position_limit(loaded))

    def arguments(self, loaded: LoadedModel, cache: DynamicCache | None, every_logit: bool = False) -> dict:
        """What `model.forward` needs to run them; it gives the last logits alone, where it can."""
        found: dict = {"input_ids": self.ids, "past_key_values": cache, "use_cache": True}
        if "logits_to_keep" in loaded.accepts and not every_logit:
            found["logits_to_keep"] = 1
        # always given where taken: some models (Bamba) would count each decoded token as the first of all
        if "position_ids" in loaded.accepts:
            found["position_ids"] = self.positions
        if self.mask is not None:
            found["attention_mask"] = self.mask
        return found

    def next(self, tokens: torch.Tensor) -> Inputs:
        """More tokens `[rows, tokens]` after those that have run: `mask` grows by as many columns."""
        count = tokens.shape[1]
        mask = None if self.mask is None else torch.cat([self.mask, self.mask.new_ones(tokens.shape)], dim=1)
        positions = self.positions[:, -1:] + torch.arange(1, count + 1, device=tokens.device)
        # a row that has ended but not left would count on past the last position there is
        return replace(self, ids=tokens, mask=mask, positions=positions.clamp(max=self.limit and self.limit - 1))


def position_limit(loaded: LoadedModel) -> int | None:
    """How many positions the model knows; None where it does not say."""
    return getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)


def pad_left(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask `[rows, longest]`, real tokens at the right end."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids, mask
