"""Measure two ways of doing a thing in turn, A B B A …, so that a drifting machine cannot favour one."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.limits import Passes

PATIENCE_SECONDS = 10.0
FEWEST = 3


class Seconds(float):
    """What a run gives back that has measured itself, such as one in another process."""


class PeerFailed(Exception):
    """A peer cannot be had or did not do what it was asked; the message is the peer's own."""


@dataclass(frozen=True)
class Measurement:
    """A ratio of ours to the peer, both in `unit`; `spread` is the ratio's quartiles over `n` pairs.

    Of seconds and bytes, less is better; of speeds (`tokens/s` and the like), more. `seconds` is what our run took and
    `work` what it must do at least, for the share of the machine's limit. Where the peer does not run, `error` says
    why, and `ratio`, `spread` and `peer` are None.
    """

    name: str
    ratio: float | None
    spread: tuple[float, float] | None
    ours: float | None
    peer: float | None
    unit: str
    wanted: str
    n: int
    note: str = ""
    limit_share: float | None = None
    seconds: float | None = None
    work: tuple[Passes, ...] = ()
    shapes: str = ""
    versions: str = ""
    error: str | None = None


def seconds(run: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, as the run itself says or by the clock here."""
    synchronise()
    start = time.perf_counter()
    found = run()
    synchronise()
    return found if isinstance(found, Seconds) else time.perf_counter() - start


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def interleaved(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    wanted: str,
    n: int = 15,
    unit: str = "s",
    note: str = "",
    *,
    amount: float | None = None,
    work: tuple[Passes, ...] = (),
    shapes: str = "",
    versions: str = "",
    patience: float = PATIENCE_SECONDS,
) -> Measurement:
    """Time `ours` and `peer` in `n` pairs after a warm-up each; the order within a pair alternates.

    The ratio is the median of the pairs' ratios, ours over peer.

    Args:
        amount: how many units (tokens, prompts, rows) one run makes: the ratio is one of speeds, `unit` a second.
        work: what one run of ours must do at least.
        patience: after so many seconds no pair is begun any more, but `FEWEST` are made.
    """
    about: dict[str, Any] = {"wanted": wanted, "note": note, "work": work, "shapes": shapes, "versions": versions}
    ours()
    try:
        peer()
        pairs = _pairs(ours, peer, n, patience)
    except PeerFailed as failure:
        alone = statistics.median(seconds(ours) for _ in range(min(n, FEWEST)))
        value = amount / alone if amount else alone
        return Measurement(
            name, None, None, value, None, unit, n=min(n, FEWEST), seconds=alone, error=str(failure), **about
        )
    return of_pairs(name, pairs, unit, amount=amount, **about)


def _pairs(ours: Callable[[], Any], peer: Callable[[], Any], n: int, patience: float) -> list[tuple[float, float]]:
    pairs: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(pairs) < n and (len(pairs) < FEWEST or time.perf_counter() - start < patience):
        if len(pairs) % 2:
            b, a = seconds(peer), seconds(ours)
        else:
            a, b = seconds(ours), seconds(peer)
        pairs.append((a, b))
    return pairs


def of_pairs(
    name: str, pairs: list[tuple[float, float]], unit: str, wanted: str, amount: float | None = None, **about: Any
) -> Measurement:
    """The measurement that pairs of (ours, peer) make: seconds, or any other amount of which less is better.

    Args:
        amount: of units that one run makes; then all figures are speeds.
    """
    if amount:
        spent = statistics.median(a for a, _ in pairs)
        found = of_pairs(name, [(amount / a, amount / b) for a, b in pairs], unit, wanted, **about)
        return replace(found, seconds=spent)
    ratios = [a / b for a, b in pairs]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    ours, peer = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    return Measurement(
        name,
        statistics.median(ratios),
        (low, high),
        ours,
        peer,
        unit,
        wanted,
        len(pairs),
        seconds=ours if unit == "s" else None,
        **about,
    )


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    names = [line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": names[0] if names else platform.processor(),
        "threads": str(torch.get_num_threads()),
        "gpu": gpu,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "peft")},
    }


def _cpu_lines() -> list[str]:
    described = Path("/proc/cpuinfo")
    return described.read_text(encoding="utf-8").splitlines() if described.exists() else []
