"""Reading activations: against a plain loop, and how memory grows with the number of prompts."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import torch

from benchmarks.pairs import Measurement, interleaved
from core.activations.capture import Sequences, capture_moments
from core.data.chat import prompt_ids
from core.data.prompts import suite
from core.models.loading import LoadedModel


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file."""
    ids = [prompt_ids(loaded.tokenizer, chat) for chat in suite("extraction")]
    some = Sequences.prompts(ids[:40])
    yield interleaved(
        "capture at all blocks / loop over output_hidden_states, 40 prompts",
        lambda: capture_moments(loaded, some),
        lambda: _plain_loop(loaded, ids[:40]),
        "≤ 0.5 (aim)",
        max(3, n // 3),
        note="last prompt token, mean in float64",
    )
    few = _peak(lambda: capture_moments(loaded, Sequences.prompts(ids[:50])))
    many = _peak(lambda: capture_moments(loaded, Sequences.prompts(ids)))
    longer = _peak(lambda: capture_moments(loaded, Sequences.prompts(ids * 4)))
    yield Measurement(
        "peak memory of capture, 200 prompts / 50 prompts, all blocks",
        many / few,
        (longer / many, longer / many),
        many / 1e6,
        few / 1e6,
        "MB",
        "≈ 1",
        1,
        note="resident set of the process at its highest; spread: 800 prompts / 200 prompts",
    )


@torch.inference_mode()
def _plain_loop(loaded: LoadedModel, ids: list[tuple[int, ...]]) -> torch.Tensor:
    total = torch.zeros(len(loaded.blocks), loaded.width, dtype=torch.float64)
    for prompt in ids:
        states = loaded.model(
            torch.tensor([prompt], device=loaded.device), output_hidden_states=True, use_cache=False
        ).hidden_states
        total += torch.stack([state[0, -1] for state in states[1:]]).double().cpu()
    return total / len(ids)


def _peak(run: Callable[[], object]) -> float:
    """Highest resident set in bytes while `run` works."""
    gc.collect()
    process, highest, done = psutil.Process(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return float(highest)
