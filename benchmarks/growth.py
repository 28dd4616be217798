"""How the time and memory of extraction grow with prompts, blocks and width, against linear growth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks import models
from benchmarks.extraction import above
from benchmarks.limits import weights
from benchmarks.pairs import Measurement, interleaved, of_pairs
from benchmarks.peers import Worker
from core.data.chat import prompt_text
from core.data.prompts import suite
from core.models import sources
from core.models.catalog import ModelSpec
from core.models.loading import LoadedModel

MANY, FEW = 100, 32
TIMES = 4
BLOCKS, WIDTH = 8, 256


@dataclass(frozen=True)
class Size:
    """One end of a comparison: a model, how many prompts it reads, and how much that is of what grows."""

    spec: ModelSpec
    prompts: int
    amount: float


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """Two rows each: the large size to the small one, over what linear growth would be, so that 1 is linear."""
    small = models.llama(WIDTH, BLOCKS)
    yield from _grown(loaded, f"{TIMES} × the prompts", Size(small, MANY, 1), Size(small, TIMES * MANY, TIMES), n)
    base = Size(small, FEW, 1)
    deep = models.llama(WIDTH, TIMES * BLOCKS)
    yield from _grown(loaded, f"{TIMES} × the blocks", base, Size(deep, FEW, TIMES), n)
    wide = models.llama(TIMES * WIDTH, BLOCKS)
    more = weights(sources.folder_of(wide)).blocks / weights(sources.folder_of(small)).blocks
    yield from _grown(loaded, f"{TIMES} × the width ({more:.0f} × the weights)", base, Size(wide, FEW, more), n)


def _grown(loaded: LoadedModel, name: str, small: Size, large: Size, n: int) -> Iterator[Measurement]:
    shapes = f"{small.spec.id}, {small.prompts} prompts; {large.spec.id}, {large.prompts} prompts"
    few, many = _asked(loaded, small), _asked(loaded, large)
    with _worker(loaded, small) as one, _worker(loaded, large) as other:
        peaks = above(other, many), above(one, few)
        found = interleaved(
            f"time of extraction at {name}",
            partial(other.run, "extract", **many),
            partial(one.run, "extract", **few),
            "≤ 1.1",
            max(3, n // 2),
            shapes=shapes,
        )
    yield _over(found, large.amount / small.amount)
    memory = of_pairs(f"memory of extraction at {name}", [peaks], "MB", "≤ 1", shapes=shapes, note="above the model")
    yield _over(memory, large.amount / small.amount)


def _over(found: Measurement, linear: float) -> Measurement:
    """The ratio over what linear growth would make it."""
    if found.ratio is None or found.spread is None:
        return found
    low, high = found.spread
    note = f"{found.note}; ratio over {linear:.3g}, which is linear growth".removeprefix("; ")
    return replace(found, ratio=found.ratio / linear, spread=(low / linear, high / linear), note=note)


def _worker(loaded: LoadedModel, size: Size) -> Worker:
    return Worker("ours", sources.folder_of(size.spec), size.spec.id, str(loaded.device), loaded.dtype)


def _asked(loaded: LoadedModel, size: Size) -> dict[str, Any]:
    chats = itertools.islice(itertools.cycle(suite("extraction")), size.prompts)
    texts = [prompt_text(loaded.tokenizer, chat.as_dicts()) for chat in chats]
    return {"positive": texts[::2], "negative": texts[1::2]}
