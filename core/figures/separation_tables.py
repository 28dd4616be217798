"""The numbers behind the figures over blocks: as text, as a sentence, and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.words import UNKNOWN, fixed, span

Row = dict[str, Any]
Summary = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """One number over blocks: its keys in a block's row and in the secure control, and how it is shown."""

    key: str
    title: str
    value: str
    interval: str
    factor: float = 1
    unit: str = ""
    digits: int = 1


METRICS = {
    metric.key: metric
    for metric in (
        Metric("accuracy", "balanced accuracy", "balanced_accuracy", "interval", 100, " %"),
        Metric("auroc", "AUROC", "auroc", "auroc_interval", digits=3),
        Metric("d", "Cohen’s d", "cohens_d", "cohens_d_interval", digits=2),
        Metric("norm", "‖v‖, share of the residual norm", "norm_share", "norm_share_interval", 100, " %"),
    )
}


def describe_profile(summary: Summary, metric: Metric, block: int) -> str:
    """The profile in words, for readers who do not see it."""
    rows = [row for row in summary["blocks"] if row[metric.value] is not None]
    if not rows:
        return f"{metric.title} over blocks: unknown."
    low, high = (pick(rows, key=lambda row: row[metric.value]) for pick in (min, max))
    return (
        f"{metric.title} over {len(summary['blocks'])} blocks: from {described(low, metric)} at block {low['block']} "
        f"to {described(high, metric)} at block {high['block']}; at the chosen block {block} "
        f"{described(summary['blocks'][block], metric)}."
    )


def describe_cosines(summary: Summary, block: int) -> str:
    """The cosines in words."""
    parts = [f"{pair} {fixed(values[block])}" for pair, values in summary["cosines"].items()]
    return f"Cosines between directions at block {block}: " + "; ".join(parts) + "."


def profile_csv(summary: Summary) -> str:
    """A line a block: every number, its interval, the nulls, the ceiling and the secure control."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    columns = _columns(summary)
    lines.writerow(columns)
    for row in summary["blocks"]:
        lines.writerow(["" if value is None else value for value in (get(row) for get in columns.values())])
    return out.getvalue()


def cosines_csv(summary: Summary) -> str:
    """A line a block, a column a pair of directions."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    pairs = summary["cosines"]
    lines.writerow(["block", *pairs])
    for block in range(len(summary["blocks"])):
        lines.writerow([block, *("" if values[block] is None else values[block] for values in pairs.values())])
    return out.getvalue()


def shown_value(row: Row, metric: Metric) -> tuple[str, str]:
    """(value, 95 % interval) of a block's number as text; unknown is called so."""

    def one(value: float | None) -> str:
        return fixed(None if value is None else metric.factor * value, metric.digits)

    said, around = one(row[metric.value]), span(row[metric.interval], one)
    return said + (metric.unit if said != UNKNOWN else ""), around + (metric.unit if around != UNKNOWN else "")


def described(row: Row, metric: Metric) -> str:
    """Value and interval in one text."""
    value, interval = shown_value(row, metric)
    return f"{value} (95 % interval {interval})"


def _columns(summary: Summary) -> dict[str, Callable[[Row], Any]]:
    columns: dict[str, Callable[[Row], Any]] = {"block": lambda row: row["block"]}

    def add(name: str, key: str, ends: str, around: str | None = None) -> None:
        columns[name] = lambda row: row[key]
        columns[f"{around or name}_low"] = lambda row: row[ends][0]
        columns[f"{around or name}_high"] = lambda row: row[ends][1]

    for metric in METRICS.values():
        add(metric.value, metric.value, metric.interval)
    add("norm", "norm", "norm_interval")
    add("random_mean", "random_mean", "random", "random")
    add("shuffled_mean", "shuffled", "shuffled_interval", "shuffled")
    add("probe", "ceiling", "ceiling_interval")
    secure = summary.get("secure")
    if secure:
        columns["secure_own"] = lambda row: secure["own"][row["block"]]["balanced_accuracy"]
        columns["secure_on_direction"] = lambda row: secure["on_direction"][row["block"]]["balanced_accuracy"]
        columns["secure_shift"] = lambda row: secure["shift"][row["block"]]
    return columns
