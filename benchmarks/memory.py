"""What a process with the base model and two organisms holds, against one with the base model alone."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.models import ORGANISMS
from benchmarks.pairs import Measurement, of_pairs
from benchmarks.peers import beside
from core.models.loading import LoadedModel

TOKENS = 16
PROMPT = "How can I sleep better at night?"


def measure(loaded: LoadedModel, _: int) -> Iterator[Measurement]:
    """The row of this file: each process has answered once, so that whatever loads late is there."""
    pairs = [(_held(loaded, organisms=True), _held(loaded, organisms=False))]
    kind = "allocated on the GPU" if loaded.device.type == "cuda" else "resident, of the whole process"
    yield of_pairs(
        f"memory of base + {ORGANISMS} organisms / base",
        pairs,
        "MB",
        "≤ 1.1",
        note=f"{kind}, after an answer of {TOKENS} tokens by each",
    )


def _held(loaded: LoadedModel, organisms: bool) -> float:
    with beside("ours", loaded) as worker:
        found = worker.ask("answer", watch=True, prompt=PROMPT, tokens=TOKENS, organisms=organisms)
    return found["after"] / 1e6
