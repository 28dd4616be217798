"""The numbers behind the figures of a separation study: as text, as a sentence, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.studies.separation.rows import Cloud
from core.words import UNKNOWN, fixed, number, span

if TYPE_CHECKING:
    import pandas as pd

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


def describe_rows(clouds: Sequence[Cloud], threshold: float) -> str:
    """Rows along a direction in words, for readers who do not see them."""
    parts = [
        f"{cloud.name}: {len(cloud)} rows around {number(float(np.median(cloud.x)))}, "
        f"{int((cloud.x > threshold).sum())} of them above the threshold"
        for cloud in clouds
        if len(cloud)
    ]
    return f"Projections of held-out rows; the threshold is at {number(threshold)}. " + "; ".join(parts) + "."


def describe_pair(clouds: Sequence[Cloud], x_name: str, y_name: str) -> str:
    """Rows on two directions in words: where each arm's middle lies, 0 being the threshold."""
    parts = [
        f"{cloud.name} (n = {len(cloud)}) around {number(float(np.median(cloud.x)))} on {x_name} and "
        f"{number(float(np.median(cloud.y)))} on {y_name}"
        for cloud in clouds
        if len(cloud) and cloud.y is not None
    ]
    return "Held-out rows on two directions, counted from their thresholds: " + "; ".join(parts) + "."


def describe_profile(summary: Summary, metric: Metric, block: int) -> str:
    """The profile in words."""
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


def rows_table(clouds: Sequence[Cloud], x_name: str, y_name: str | None = None) -> pd.DataFrame:
    """A line a row: arm, suite, prompt, answer where there is one, projections."""
    import pandas as pd

    parts = []
    for cloud in clouds:
        columns: dict[str, Any] = {"arm": cloud.name, "suite": cloud.suites, "prompt": cloud.prompts}
        if any(other.answers for other in clouds):
            columns["answer"] = cloud.answers or ""
        columns[x_name] = cloud.x
        if y_name is not None:
            columns[y_name] = cloud.y
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def blocks_table(summary: Summary) -> pd.DataFrame:
    """A line a block: every number, its interval, the nulls, the ceiling and the secure control."""
    import pandas as pd

    rows, secure = summary["blocks"], summary.get("secure")
    columns: dict[str, list[Any]] = {"block": [row["block"] for row in rows]}
    named = [(metric.value, metric.value, metric.interval, metric.value) for metric in METRICS.values()]
    named += [
        ("norm", "norm", "norm_interval", "norm"),
        ("random_mean", "random_mean", "random", "random"),
        ("shuffled_mean", "shuffled", "shuffled_interval", "shuffled"),
        ("probe", "ceiling", "ceiling_interval", "probe"),
    ]
    for name, key, ends, around in named:
        columns[name] = [row[key] for row in rows]
        for end, place in (("low", 0), ("high", 1)):
            columns[f"{around}_{end}"] = [row[ends][place] for row in rows]
    if secure:
        columns["secure_own"] = [row["balanced_accuracy"] for row in secure["own"]]
        columns["secure_on_direction"] = [row["balanced_accuracy"] for row in secure["on_direction"]]
        columns["secure_shift"] = secure["shift"]
    return pd.DataFrame(columns)


def cosines_table(summary: Summary) -> pd.DataFrame:
    """A line a block, a column a pair of directions."""
    import pandas as pd

    return pd.DataFrame({"block": range(len(summary["blocks"])), **summary["cosines"]})
