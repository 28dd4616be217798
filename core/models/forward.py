"""One forward pass: what a model is given, what hooks into it, where it ends early, and how many rows go together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from core.errors import BadInput
from core.models.loading import LoadedModel

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]


@dataclass(frozen=True)
class ByDevice:
    """A limit that suits a processor, and one for all other devices."""

    cpu: int
    other: int

    def of(self, loaded: LoadedModel) -> int:
        return self.cpu if loaded.device.type == "cpu" else self.other


# rows times longest row of a batch that is only read; on a CPU, the activations of larger ones fall out of its caches
BATCH_TOKENS = ByDevice(1024, 16_384)
# below so many tokens a pass takes the time that reading the weights takes
FEW_TOKENS = ByDevice(192, 2048)
# rows of a batch that is decoded
ROWS_A_BATCH = ByDevice(100, 256)


def batches(ids: Sequence[Sequence[int]], most_tokens: int, places: Iterable[int] | None = None) -> Iterator[list[int]]:
    """Places of rows (by default of all), shortest first, in batches of at most `most_tokens` tokens with padding."""
    batch: list[int] = []
    for row in sorted(range(len(ids)) if places is None else places, key=lambda place: len(ids[place])):
        if batch and (len(batch) + 1) * len(ids[row]) > most_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@dataclass(frozen=True)
class Inputs:
    """Rows as one batch: `ids` `[rows, columns]`, `mask` and `positions` None where the model finds them itself."""

    ids: torch.Tensor
    mask: torch.Tensor | None = None
    positions: torch.Tensor | None = None
    limit: int | None = None

    @classmethod
    def left(cls, loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> Inputs:
        """Padded on the left, so that all rows end in the last column and can go on."""
        ids, mask = pad_left(rows, loaded.pad_id)
        _check(loaded, ids)
        positions = (mask.cumsum(-1) - 1).clamp(min=0).to(loaded.device)
        masked = None if mask.all() else mask.to(loaded.device)
        return cls(ids.to(loaded.device), masked, positions, position_limit(loaded))

    @classmethod
    def right(cls, loaded: LoadedModel, rows: Sequence[Sequence[int]], after: int = 0) -> Inputs:
        """Padded on the right, behind `after` tokens that have run: no real token attends to padding there."""
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *([0] * (longest - len(row)))] for row in rows])
        _check(loaded, ids)
        ids = ids.to(loaded.device)
        places = torch.arange(after, after + longest, device=loaded.device).expand(len(rows), -1) if after else None
        return cls(ids, None, places)

    @classmethod
    def resumed(cls, loaded: LoadedModel, lengths: Sequence[int]) -> Inputs:
        """Rows that have run already, of so many tokens, each ending in the last column; for `next`."""
        length = torch.tensor(lengths, device=loaded.device)[:, None]
        columns = torch.arange(max(lengths), device=loaded.device)
        mask = None if len(set(lengths)) == 1 else (columns >= len(columns) - length).long()
        return cls(length, mask, length - 1, position_limit(loaded))

    def arguments(
        self, loaded: LoadedModel, cache: Any = None, use_cache: bool = True, logits: int | None = None
    ) -> dict[str, Any]:
        """What `model.forward` needs to run them.

        Args:
            cache: of what has run before, or to fill; None where the model makes its own, if `use_cache`.
            logits: how many of the last logits it gives, where it can give fewer than all; None: all. A model may
                then drop earlier tokens half-way (Gemma 4), so never where states of all tokens are read.
        """
        found: dict[str, Any] = {"input_ids": self.ids, "past_key_values": cache, "use_cache": use_cache}
        if logits is not None and "logits_to_keep" in loaded.accepts:
            found["logits_to_keep"] = logits
        # always given where known and taken: some models (Bamba) would count each decoded token as the first of all
        if self.positions is not None and "position_ids" in loaded.accepts:
            found["position_ids"] = self.positions
        if self.mask is not None:
            found["attention_mask"] = self.mask
        return found

    def next(self, tokens: torch.Tensor) -> Inputs:
        """More tokens `[rows, tokens]` after those that have run: `mask` grows by as many columns."""
        assert self.positions is not None
        count = tokens.shape[1]
        mask = None if self.mask is None else torch.cat([self.mask, self.mask.new_ones(tokens.shape)], dim=1)
        positions = self.positions[:, -1:] + torch.arange(1, count + 1, device=tokens.device)
        # a row that has ended but not left would count on past the last position there is
        return replace(self, ids=tokens, mask=mask, positions=positions.clamp(max=self.limit and self.limit - 1))


def _check(loaded: LoadedModel, ids: torch.Tensor) -> None:
    """Raise `BadInput` for a token that a tokenizer was given later and the model knows nothing of."""
    if loaded.vocabulary is not None and ids.numel() and int(ids.max()) >= loaded.vocabulary:
        text = loaded.tokenizer.decode([int(ids.max())]) or int(ids.max())
        raise BadInput(
            f"{text!r} is a token of the tokenizer of {loaded.id} that the model has no embedding for. Leave it out of "
            "the text."
        )


def position_limit(loaded: LoadedModel) -> int | None:
    """How many positions the model knows; None where it does not say."""
    return getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)


def pad_left(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask `[rows, longest]`, real tokens at the right end."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, longest - len(row) :] = torch.tensor(row)
        mask[place, longest - len(row) :] = 1
    return ids, mask


@contextlib.contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """While active, each hook runs after its module; every one is gone afterwards, whatever happened."""
    with contextlib.ExitStack() as handles:
        for module, hook in hooks:
            handles.enter_context(module.register_forward_hook(hook))
        yield


@contextlib.contextmanager
def stop_after(loaded: LoadedModel, block: int | None) -> Iterator[None]:
    """While active, a forward pass ends after `block` (None: runs through), and with it the body.

    Enter it after the hooks that are to run there.
    """
    with contextlib.suppress(_Enough), hooked([] if block is None else [(loaded.blocks[block], _enough)]):
        yield


class _Enough(Exception):
    """Raised in a hook to end a forward pass early."""


def _enough(*_: Any) -> None:
    raise _Enough
