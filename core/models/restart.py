"""Run a model from the middle: the blocks below do nothing, and the states that left one of them are given."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from transformers import DynamicCache

from core.models.blocks import block_hidden
from core.models.forward import Inputs, hooked, stop_after
from core.models.loading import LoadedModel

PROBE_TOKENS = 6
_CHECKED: weakref.WeakKeyDictionary[nn.Module, bool] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def skipped(loaded: LoadedModel, block: int, hidden: torch.Tensor) -> Iterator[None]:
    """While active, no block up to `block` computes, and `hidden` `[rows, tokens, width]` leaves that one.

    Hooks on the blocks still run, so that `hidden` is steered and read like what the block would have returned.
    """

    def stand_in(found: torch.Tensor | None):
        return lambda states, *_args, **_kwargs: states if found is None else found

    own = [vars(module).get("forward") for module in loaded.blocks[: block + 1]]
    try:
        for place, module in enumerate(loaded.blocks[: block + 1]):
            module.forward = stand_in(hidden if place == block else None)
        yield
    finally:
        for module, forward in zip(loaded.blocks, own, strict=False):
            vars(module).pop("forward", None)
            if forward is not None:
                module.forward = forward


@contextlib.contextmanager
def kept_states(loaded: LoadedModel, blocks: Sequence[int], last: int | None) -> Iterator[dict[int, torch.Tensor]]:
    """Gather what leaves `blocks`, `[rows, tokens, width]`; the forward pass ends after block `last`."""
    found: dict[int, torch.Tensor] = {}

    def keep(block: int):
        def hook(_module, _args, output):
            found[block] = block_hidden(output)

        return hook

    with hooked((loaded.blocks[block], keep(block)) for block in blocks), stop_after(loaded, last):
        yield found


@torch.inference_mode()
def can_restart(loaded: LoadedModel) -> bool:
    """Whether a pass from the middle gives what a whole one gives: tried once a model, on a few tokens.

    Not so where blocks hand one another more than the residual stream and the cache.
    """
    if loaded.model not in _CHECKED:
        try:
            _CHECKED[loaded.model] = _agrees(loaded)
        except Exception:  # whatever a model's code raises when it is run in pieces, the answer is no
            _CHECKED[loaded.model] = False
    return _CHECKED[loaded.model]


def _agrees(loaded: LoadedModel) -> bool:
    ids = torch.arange(PROBE_TOKENS, device=loaded.device)[None]
    middle = len(loaded.blocks) // 2
    with kept_states(loaded, [middle], None) as states:
        whole, logits = _probe(loaded, ids)
    if not isinstance(states.get(middle), torch.Tensor):
        return False
    with skipped(loaded, middle, states[middle]):
        part, found = _probe(loaded, ids)
    for place in range(middle + 1, len(loaded.blocks)):
        if not torch.allclose(part.layers[place].keys, whole.layers[place].keys, rtol=1e-2, atol=1e-2):
            return False
    empty = all(not layer.is_initialized for layer in part.layers[: middle + 1])
    scale = float(logits.abs().max())
    return empty and len(whole.layers) == len(loaded.blocks) and float((found - logits).abs().max()) <= 1e-3 * scale


def _probe(loaded: LoadedModel, ids: torch.Tensor) -> tuple[DynamicCache, torch.Tensor]:
    cache = DynamicCache(config=loaded.model.config)
    return cache, loaded.model(**Inputs(ids).arguments(loaded, cache)).logits.float()
