"""Read the residual stream leaving chosen blocks, with as little work as possible.

The forward pass stops after the last block needed, so no vocabulary logits are computed.
Rows are sorted by length and padded on the right: in a causal model no real token ever
attends to padding on its right, so no attention mask is needed either. What all rows begin
with, such as a chat template's system turn, runs once, and its keys and values serve every row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from core.activations.moments import Moments
from core.errors import UnsupportedModel
from core.models.blocks import block_hidden
from core.models.forward import BATCH_TOKENS, Hook, Inputs, batches, hooked, stop_after
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter, attached

Pooling = Literal["last_prompt", "prompt_mean", "response_mean"]
OUTLIER_FACTOR = 10.0
SHORTEST_PREFIX = 4


@dataclass(frozen=True)
class Sequences:
    """Token ids to read. `starts[i]` is the first token pooled by `response_mean` (the prompt's length)."""

    ids: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]

    @classmethod
    def prompts(cls, ids: Sequence[Sequence[int]]) -> Sequences:
        return cls(tuple(map(tuple, ids)), tuple(map(len, ids)))

    def take(self, rows: Sequence[int]) -> Sequences:
        """Some of the rows, in the order named."""
        return Sequences(tuple(self.ids[row] for row in rows), tuple(self.starts[row] for row in rows))


def capture(
    loaded: LoadedModel,
    sequences: Sequences,
    blocks: Sequence[int] | None = None,
    pooling: Pooling = "last_prompt",
    adapter: Adapter | None = None,
    batch_tokens: int | None = None,
    padding_side: Literal["right", "left"] = "right",
    share_prefix: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Pooled residual streams, a batch at a time.

    Args:
        blocks: which blocks to read; by default all.
        pooling: `last_prompt` takes the last token; the means leave out tokens whose residual norm is more
            than ten times the row's median (attention sinks), by norm and not by position. `response_mean`
            averages from `sequences.starts` on.
        adapter: the organism to read; None reads the base model.
        batch_tokens: rows times longest row of one batch; by default what suits the device.
        share_prefix: run what all rows begin with once, where the model's cache allows it and no token of it is
            pooled. The same numbers up to rounding.

    Yields:
        indices of the rows in `sequences`, and their activations `[rows, blocks, width]`, float32, on the CPU.
        Batches come in order of length, not in the order given.
    """
    chosen = list(range(len(loaded.blocks))) if blocks is None else list(blocks)
    prefix = NO_PREFIX
    if share_prefix and padding_side == "right":
        prefix = shared_prefix(loaded, sequences, pooling, adapter, max(chosen))
    rest = Sequences(
        tuple(ids[prefix.length :] for ids in sequences.ids), tuple(start - prefix.length for start in sequences.starts)
    )
    done = 0
    for rows in batches(rest.ids, batch_tokens or BATCH_TOKENS.of(loaded)):
        yield rows, _forward(loaded, rest, rows, chosen, pooling, adapter, padding_side, prefix)
        done += len(rows)
        if progress:
            progress(done, len(rest.ids))


def capture_all(loaded: LoadedModel, sequences: Sequences, **options) -> torch.Tensor:
    """`capture` gathered in the order given: `[rows, blocks, width]`, float32. Memory grows with the rows."""
    gathered: torch.Tensor | None = None
    for rows, pooled in capture(loaded, sequences, **options):
        if gathered is None:
            gathered = pooled.new_empty(len(sequences.ids), *pooled.shape[1:])
        gathered[rows] = pooled
    if gathered is None:
        raise ValueError("there is nothing to capture: no sequences were given")
    return gathered


def capture_moments(loaded: LoadedModel, sequences: Sequences, **options) -> Moments:
    """Means and variances over rows in float64. Memory does not grow with the number of rows."""
    moments = Moments()
    for _, pooled in capture(loaded, sequences, **options):
        moments.update(pooled)
    return moments


@dataclass(frozen=True)
class Prefix:
    """The first tokens that all rows share, as keys and values of one row; `length` 0 where nothing is shared."""

    length: int
    cache: DynamicCache | None = None

    def cached(self, rows: Sequence[int]) -> dict[str, Any]:
        """For `Inputs.arguments` of so many rows after the prefix."""
        if self.cache is None:
            return {"use_cache": False}
        cache = copy.deepcopy(self.cache)  # the pass will write into it
        cache.batch_repeat_interleave(len(rows))
        return {"cache": cache}


NO_PREFIX = Prefix(0)


@torch.inference_mode()
def shared_prefix(
    loaded: LoadedModel, sequences: Sequences, pooling: Pooling, adapter: Adapter | None, final: int
) -> Prefix:
    """Run what all sequences begin with through the blocks up to `final`, once.

    Only for caches of plain attention: the state of a recurrent or convolutional block is not one that rows share,
    and a sliding window must not have slid yet.
    """
    length = _common(sequences.ids)
    first = {
        "last_prompt": [len(ids) - 1 for ids in sequences.ids],
        "prompt_mean": [0],
        "response_mean": sequences.starts,
    }
    length = min(length, *first[pooling], *(len(ids) - 1 for ids in sequences.ids)) if sequences.ids else 0
    if length < SHORTEST_PREFIX or len(sequences.ids) < 2 or "past_key_values" not in loaded.accepts:
        return NO_PREFIX
    cache = DynamicCache(config=loaded.model.config)
    longest = max(map(len, sequences.ids))
    if not all(_can_be_shared(layer, longest) for layer in cache.layers):
        return NO_PREFIX
    inputs = Inputs.left(loaded, [sequences.ids[0][:length]])
    with attached(loaded, [adapter]), stop_after(loaded, final):
        loaded.model(**inputs.arguments(loaded, cache))
    whole = cache.get_seq_length() == length and len(cache.layers) > 0
    return Prefix(length, cache) if whole else NO_PREFIX


def _common(ids: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all sequences begin with: as many as the first and the last in order have in common."""
    if not ids:
        return 0
    first, last = min(ids), max(ids)
    differing = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(differing, min(len(first), len(last)))


def _can_be_shared(layer: Any, longest: int) -> bool:
    if type(layer) is DynamicSlidingWindowLayer:
        return layer.sliding_window > longest
    return type(layer) is DynamicLayer


@torch.inference_mode()
def _forward(
    loaded: LoadedModel,
    sequences: Sequences,
    rows: list[int],
    blocks: list[int],
    pooling: Pooling,
    adapter: Adapter | None,
    padding_side: str,
    prefix: Prefix,
) -> torch.Tensor:
    chosen, starts = sequences.take(rows).ids, sequences.take(rows).starts
    left = padding_side == "left"
    inputs = Inputs.left(loaded, chosen) if left else Inputs.right(loaded, chosen, prefix.length)
    each, last, pooled_tokens = _places(chosen, starts, pooling, left, loaded.device)
    out = torch.empty(len(rows), len(blocks), loaded.width, dtype=torch.float32, device=loaded.device)
    unread = set(blocks)

    def reader(place: int, block: int) -> Hook:
        def read(_module, _args, output):
            hidden = block_hidden(output)
            out[:, place] = hidden[each, last] if pooling == "last_prompt" else _mean(hidden, pooled_tokens)
            unread.discard(block)

        return read

    readers = [(loaded.blocks[block], reader(place, block)) for place, block in enumerate(blocks)]
    with attached(loaded, [adapter] * len(rows)), hooked(readers), stop_after(loaded, max(blocks)):
        loaded.model(**inputs.arguments(loaded, **prefix.cached(rows)))
    if unread:
        raise UnsupportedModel(
            f"Block {min(unread)} of {loaded.id} does not run on text alone, so nothing can be read there. Choose "
            "other blocks, or another model."
        )
    return out.cpu()


def _places(
    ids: Sequence[Sequence[int]], starts: Sequence[int], pooling: Pooling, left: bool, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each row of a batch its place and its last token, `[rows]`, and the tokens to pool, `[rows, tokens]`."""
    longest = max(map(len, ids))
    pooled = torch.zeros(len(ids), longest, dtype=torch.bool)
    ends = []
    for row, (tokens, start) in enumerate(zip(ids, starts, strict=True)):
        end = longest if left else len(tokens)
        first = {"last_prompt": len(tokens) - 1, "prompt_mean": 0, "response_mean": start}[pooling]
        pooled[row, end - len(tokens) + first : end] = True
        ends.append(end - 1)
    return torch.arange(len(ids), device=device), torch.tensor(ends, device=device), pooled.to(device)


def _mean(hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Mean over the chosen tokens of each row without outliers by norm: `[rows, tokens, width]` to `[rows, width]`."""
    hidden = hidden.float()
    norms = hidden.norm(dim=-1).masked_fill(~tokens, float("nan"))
    median = norms.nanmedian(dim=1, keepdim=True).values
    kept = (tokens & (norms <= OUTLIER_FACTOR * median)).unsqueeze(-1)
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)
