"""Measure two ways of doing a thing in turn, A B A B …, so that a drifting machine cannot favour one."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Measurement:
    """A ratio of ours to the peer. `ours` and `peer` are medians in `unit`; `spread` is the ratio's quartiles."""

    name: str
    ratio: float
    spread: tuple[float, float]
    ours: float
    peer: float
    unit: str
    wanted: str
    n: int
    note: str = ""
    limit_share: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "machine": machine()}


def seconds(run: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    wanted: str,
    n: int = 15,
    unit: str = "s",
    note: str = "",
) -> Measurement:
    """Time `ours` and `peer` in `n` pairs after a warm-up each; the order within a pair alternates.

    The ratio is the median of the pairs' ratios, ours over peer in seconds: below 1 means ours is faster.
    """
    ours(), peer()
    first, second, ratios = [], [], []
    for place in range(n):
        if place % 2:
            b, a = seconds(peer), seconds(ours)
        else:
            a, b = seconds(ours), seconds(peer)
        first.append(a)
        second.append(b)
        ratios.append(a / b)
    low, _, high = statistics.quantiles(ratios, n=4)
    return Measurement(
        name,
        statistics.median(ratios),
        (low, high),
        statistics.median(first),
        statistics.median(second),
        unit,
        wanted,
        n,
        note,
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
