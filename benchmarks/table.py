"""Rows as they are saved and as they are printed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.limits import Limits
from benchmarks.pairs import Measurement
from core import store

LATEST = Path(__file__).parent / "latest.json"
WIDTH = 120
HEADER = "  ratio      quartiles     ours     peer  unit       limit  wanted    n  what"
INDENT = HEADER.index("what")


def as_row(part: str, found: Measurement, limits: Limits, machine: dict[str, Any]) -> dict[str, Any]:
    """A measurement as plain data. `limit_share`: the least time its work could take over what it took."""
    share = found.limit_share
    if share is None and found.work and found.seconds:
        share = limits.seconds(found.work) / found.seconds
    return {
        "part": part,
        "name": found.name,
        "ratio": found.ratio,
        "spread": found.spread and list(found.spread),
        "ours": found.ours,
        "peer": found.peer,
        "unit": found.unit,
        "limit_share": share,
        "wanted": found.wanted,
        "n": found.n,
        "note": found.note,
        "shapes": found.shapes,
        "versions": found.versions,
        "error": found.error,
        "machine": machine,
    }


def merged(old: Iterable[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`new` in place of all old rows of the same part, model and device; the others stay."""
    fresh = set(map(_place, new))
    return [row for row in old if _place(row) not in fresh] + list(new)


def save(new: Sequence[dict[str, Any]], path: Path = LATEST) -> None:
    """Put `new` into the file, whole or not at all."""
    old = store.read_json(path) if path.is_file() else []
    store.write_json(path, merged((row for row in old if "part" in row), new))


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["part"], row["machine"]["model"], row["machine"]["device"]


def line(row: dict[str, Any]) -> str:
    """A row for a terminal of 120 columns; a peer's error in its own words below the name."""
    ratio = "—" if row["ratio"] is None else f"{row['ratio']:.3f}"
    spread = "" if row["spread"] is None else "{:.3f}–{:.3f}".format(*row["spread"])
    share = "" if row["limit_share"] is None else f"{row['limit_share']:.0%}"
    figures = (
        f"{ratio:>7}  {spread:>13}  {number(row['ours']):>7}  {number(row['peer']):>7}  {row['unit']:<9}  {share:>5}  "
        f"{row['wanted']:<7}  {row['n']:>2}  "
    )
    said = row["name"] if row["error"] is None else f"{row['name']}: {row['error']}"
    return textwrap.fill(said, WIDTH, initial_indent=figures, subsequent_indent=" " * INDENT)


def number(value: float | None) -> str:
    """Three or four digits, whatever the size."""
    if value is None:
        return "—"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"
