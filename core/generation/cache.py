"""Keys and values of the rows of a batch, with room to grow, and without copying what is there at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from core.models.loading import LoadedModel


class RoomyLayer(DynamicLayer):
    """A layer of plain attention whose keys and values `[rows, heads, tokens, dimension]` have room for more tokens.

    The first `used` columns are filled; a new token is written behind them.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, used: int) -> None:
        super().__init__()
        self._all_keys, self._all_values = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._show(used)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any):
        first = self.keys.shape[-2]
        last = first + key_states.shape[-2]
        self._all_keys[:, :, first:last] = key_states
        self._all_values[:, :, first:last] = value_states
        self._show(last)
        return self.keys, self.values

    def _show(self, used: int) -> None:
        self.keys, self.values = self._all_keys[:, :, :used], self._all_values[:, :, :used]


KeysValues = tuple[torch.Tensor, torch.Tensor]


def plain_attention(loaded: LoadedModel, longest: int) -> bool:
    """Whether a row's past is nothing but keys and values of all its tokens, up to `longest` of them.

    Not so for recurrent and convolutional blocks, nor where a sliding window would begin to slide.
    """
    layers = DynamicCache(config=loaded.model.config).layers
    return len(layers) > 0 and all(
        type(layer) is DynamicLayer
        or (type(layer) is DynamicSlidingWindowLayer and layer.sliding_window > longest)
        for layer in layers
    )  # fmt: skip


def make_room(cache: Any, more: int) -> None:
    """Give a cache that a forward pass has filled room for `more` tokens, where its layers are plain attention."""
    for place, layer in enumerate(getattr(cache, "layers", ())):
        if type(layer) is DynamicLayer and layer.is_initialized and layer.keys.ndim == 4:
            used = layer.keys.shape[-2]
            roomy = [
                torch.cat([states, states.new_zeros(*states.shape[:2], more, states.shape[3])], dim=2)
                for states in (layer.keys, layer.values)
            ]
            cache.layers[place] = RoomyLayer(roomy[0], roomy[1], used)


def gather(
    loaded: LoadedModel,
    old: DynamicCache | None,
    kept: Sequence[int],
    new: Sequence[Sequence[KeysValues]],
    lengths: Sequence[int],
    more: int,
) -> DynamicCache:
    """A batch's cache of rows that go on and rows that come in, each ending in the last column used.

    Args:
        kept: which rows of `old` go on, in order.
        new: for each row that comes in, its keys and values in each layer, `[heads, tokens, dimension]`.
        lengths: tokens that each row has, kept ones first.
        more: tokens to leave room for.
    """
    made = DynamicCache(config=loaded.model.config)
    columns = max(lengths)
    chosen = torch.tensor(kept, dtype=torch.long, device=loaded.device)
    for place in range(len(made.layers)):
        layer = old.layers[place] if old is not None and kept else None
        pair = []
        for which in (0, 1):
            before = None if layer is None else (layer.keys, layer.values)[which]
            like = before if before is not None else new[0][place][which][None]
            # padding is zero and not whatever memory holds: masked, it still meets a product with 0
            states = like.new_zeros(len(lengths), like.shape[1], columns + more, like.shape[3])
            if before is not None:
                width = min(columns, before.shape[2])
                states[: len(kept), :, columns - width : columns] = before[chosen, :, before.shape[2] - width :]
            for row, layers in enumerate(new, len(kept)):
                states[row, :, columns - lengths[row] : columns] = layers[place][which]
            pair.append(states)
        made.layers[place] = RoomyLayer(pair[0], pair[1], columns)
    return made
