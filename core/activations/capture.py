"""Read the residual stream leaving chosen blocks, with as little work as possible.

The forward pass stops after the last block needed, so no vocabulary logits are computed.
Rows are sorted by length and padded on the right: in a causal model no real token ever
attends to padding on its right, so no attention mask is needed either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from core.activations.moments import Moments
from core.errors import UnsupportedModel
from core.models.blocks import block_hidden
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter, attached

Pooling = Literal["last_prompt", "prompt_mean", "response_mean"]
OUTLIER_FACTOR = 10.0


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


class _Enough(Exception):
    """Raised inside the last block's hook to end the forward pass early."""


def capture(
    loaded: LoadedModel,
    sequences: Sequences,
    blocks: Sequence[int] | None = None,
    pooling: Pooling = "last_prompt",
    adapter: Adapter | None = None,
    batch_tokens: int = 2048,
    padding_side: Literal["right", "left"] = "right",
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Pooled residual streams, a batch at a time.

    Args:
        blocks: which blocks to read; by default all.
        pooling: `last_prompt` takes the last token; the means leave out tokens whose residual norm is more
            than ten times the row's median (attention sinks), by norm and not by position. `response_mean`
            averages from `sequences.starts` on.
        adapter: the organism to read; None reads the base model.
        batch_tokens: rows times longest row of one batch.

    Yields:
        indices of the rows in `sequences`, and their activations `[rows, blocks, width]`, float32, on the CPU.
        Batches come in order of length, not in the order given.
    """
    chosen = list(range(len(loaded.blocks))) if blocks is None else list(blocks)
    order = sorted(range(len(sequences.ids)), key=lambda row: len(sequences.ids[row]))
    done = 0
    for rows in batches(order, sequences.ids, batch_tokens):
        yield rows, _forward(loaded, sequences, rows, chosen, pooling, adapter, padding_side)
        done += len(rows)
        if progress:
            progress(done, len(order))


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


def batches(order: list[int], ids: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) + 1) * len(ids[row]) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _forward(
    loaded: LoadedModel,
    sequences: Sequences,
    rows: list[int],
    blocks: list[int],
    pooling: Pooling,
    adapter: Adapter | None,
    padding_side: str,
) -> torch.Tensor:
    lengths = [len(sequences.ids[row]) for row in rows]
    longest = max(lengths)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    pooled_tokens = torch.zeros(len(rows), longest, dtype=torch.bool)
    real = torch.zeros(len(rows), longest, dtype=torch.bool)
    for place, row in enumerate(rows):
        offset = longest - lengths[place] if padding_side == "left" else 0
        ids[place, offset : offset + lengths[place]] = torch.tensor(sequences.ids[row])
        real[place, offset : offset + lengths[place]] = True
        first = {"last_prompt": lengths[place] - 1, "prompt_mean": 0, "response_mean": sequences.starts[row]}[pooling]
        pooled_tokens[place, offset + first : offset + lengths[place]] = True
    pooled_tokens = pooled_tokens.to(loaded.device)
    inputs = {"input_ids": ids.to(loaded.device), "use_cache": False}
    if padding_side == "left" and not real.all():
        inputs["attention_mask"] = real.long().to(loaded.device)
        if "position_ids" in loaded.accepts:
            inputs["position_ids"] = (real.long().cumsum(-1) - 1).clamp(min=0).to(loaded.device)
    last = torch.tensor([longest - 1 if padding_side == "left" else length - 1 for length in lengths])
    last = last.to(loaded.device)
    each = torch.arange(len(rows), device=loaded.device)
    out = torch.empty(len(rows), len(blocks), loaded.width, dtype=torch.float32, device=loaded.device)
    final = max(blocks)
    handles = []
    unread = set(blocks)

    def reader(place: int, block: int):
        def read(_module, _args, output):
            hidden = block_hidden(output)
            out[:, place] = hidden[each, last] if pooling == "last_prompt" else _mean(hidden, pooled_tokens)
            unread.discard(block)
            if block == final:
                raise _Enough

        return read

    with attached(loaded, [adapter] * len(rows)):
        try:
            for place, block in enumerate(blocks):
                handles.append(loaded.blocks[block].register_forward_hook(reader(place, block)))
            with contextlib.suppress(_Enough):
                loaded.model(**inputs)
        finally:
            for handle in handles:
                handle.remove()
    if unread:
        raise UnsupportedModel(
            f"Block {min(unread)} of {loaded.id} does not run on text alone, so nothing can be read there. Choose "
            "other blocks, or another model."
        )
    return out.cpu()


def _mean(hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Mean over the chosen tokens of each row without outliers by norm: `[rows, tokens, width]` to `[rows, width]`."""
    hidden = hidden.float()
    norms = hidden.norm(dim=-1).masked_fill(~tokens, float("nan"))
    median = norms.nanmedian(dim=1, keepdim=True).values
    kept = (tokens & (norms <= OUTLIER_FACTOR * median)).unsqueeze(-1)
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)
