"""Beside processes that want the cores too: what is left of the speed, and what OpenMP's own waiting would leave."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.models import ORGANISMS
from benchmarks.pairs import Measurement, interleaved
from benchmarks.peers import beside
from core.models.loading import LoadedModel
from core.waiting import SPIN

COMPETITORS = (0, 1, 2, 4)
LIBRARY = {SPIN: "300000"}  # how long libgomp spins where nobody says anything
TOKENS = 64
PROMPT = "How can I sleep better at night?"
WANTED = {0: "≥ 0.95"}


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """Three answers at once, ours and ours with the library's own waiting in turn, beside 0 to 4 busy processes."""
    if loaded.device.type != "cpu":
        return
    tokens = TOKENS * (1 + ORGANISMS)
    quiet = None
    with beside("ours", loaded) as ours, beside("ours", loaded, LIBRARY) as library:
        for count in COMPETITORS:
            with competitors(count):
                found = interleaved(
                    f"three answers, {count} busy beside / OpenMP's own waiting",
                    lambda: ours.run("answer", prompt=PROMPT, tokens=TOKENS, organisms=True),
                    lambda: library.run("answer", prompt=PROMPT, tokens=TOKENS, organisms=True),
                    WANTED.get(count, "> 1"), max(3, n // 3), "tokens/s",
                    "" if quiet is None else f"the quiet speed was {quiet:.0f} tokens/s",
                    amount=tokens, shapes=f"{1 + ORGANISMS} rows of {TOKENS} tokens, bfloat16",
                )  # fmt: skip
            quiet = quiet or found.ours
            yield found


@contextlib.contextmanager
def competitors(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
