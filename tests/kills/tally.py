"""What a row of kills did, counted and told in one line; and what a cache folder is looked at for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas
import pyarrow.parquet
from safetensors import SafetensorError, safe_open

from core.scratch import TEMPORARY

LEFT_OUT = ("time", "seconds", "table_sha256")
# nats a token: in bfloat16 a likelihood depends on the prompts that share its batch, and a run that goes on shares anew
ROUNDING = 0.05


@dataclass
class Tally:
    """`faults` holds a sentence for each kill that did something, by its kind."""

    name: str
    kills: int = 0
    seconds: float = 0.0
    faults: dict[str, list[str]] = field(default_factory=lambda: {"torn": [], "wrong": [], "left over": []})

    def add(self, kind: str, found: list[str]) -> None:
        """Count a kill as a fault if anything was found."""
        if found:
            self.faults[kind].append(f"{self.name}, kill {self.kills}, {kind}: {', '.join(found[:5])}")

    @property
    def clean(self) -> bool:
        return not any(self.faults.values())

    def __str__(self) -> str:
        counts = "   ".join(f"{len(found)} {kind}" for kind, found in self.faults.items())
        told = [sentence for found in self.faults.values() for sentence in found]
        return "\n  ".join([f"{self.name:<10} {self.kills:>4} kills   {counts}   ({self.seconds:.0f} s)", *told])


def names(cache: Path) -> set[str]:
    """Everything in the cache by its place."""
    return {str(path.relative_to(cache)) for path in cache.rglob("*")}


def unreadable(cache: Path) -> list[str]:
    """Files in their place that cannot be read. Half a training checkpoint may be there: its state is written last."""
    found = []
    for path in cache.rglob("*"):
        place = path.relative_to(cache)
        if not path.is_file() or TEMPORARY in place.parts or place.parts[0] == "runs":
            continue
        try:
            _read(path)
        except (OSError, ValueError, SafetensorError) as error:
            found.append(f"{place} ({error})")
    return found


def half_made(folder: Path) -> list[str]:
    """What a writer of ours left."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(f"{TEMPORARY}*"))


def held(cache: Path) -> list[str]:
    """Locks that somebody still holds."""
    found = []
    for path in cache.rglob("*.lock"):
        lock = filelock.FileLock(path, timeout=0)
        try:
            lock.acquire()
            lock.release()
        except filelock.Timeout:
            found.append(f"{path.relative_to(cache)} is held")
    return found


def comparable(value: Any) -> Any:
    """A result without when it was made, how long that took, and the hash of its table (see `other_tables`)."""
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items() if name not in LEFT_OUT}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def other_tables(cache: Path, whole: Path) -> list[str]:
    """Columns of the studies' tables that differ between two caches, a likelihood by more than `ROUNDING`."""
    found = []
    for path in sorted(whole.glob("studies/*/*/table.parquet")):
        expected, table = (pandas.read_parquet(root / path.relative_to(whole)) for root in (whole, cache))
        for name, column in expected.items():
            rounded = name == "likelihood" and np.allclose(column, table[name], rtol=0, atol=ROUNDING, equal_nan=True)
            if not rounded and not column.equals(table[name]):
                found.append(f"the table's {name} differs")
    return found


def _read(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".safetensors":
        with safe_open(path, "np") as file:
            file.keys()
    elif path.suffix == ".parquet":
        pyarrow.parquet.read_table(path)
