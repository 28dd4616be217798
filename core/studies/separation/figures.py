"""The figures of a separation study, at its best block."""

from __future__ import annotations

from collections.abc import Iterator

from core.figures.separation import describe_histogram, histogram
from core.figures.separation_blocks import cosines, profile
from core.figures.separation_tables import METRICS, describe_cosines, describe_profile
from core.figures.shown import Shown
from core.results import Result
from core.studies.separation.rows import classes, clouds, negative_mean, shifted, threshold
from core.studies.separation.summary import best_block


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    summary, block = result.summary, best_block(result.summary)
    axis, zero = next(iter(summary["axes"])), negative_mean(summary, block)
    found = [shifted(cloud, zero) for cloud in clouds(result, axis, block)]
    limit = threshold(result, axis, block) - zero
    third = [cloud.arm for cloud in found if cloud.arm not in classes(summary)]
    title = f"along {summary['axes'][axis]}"
    yield Shown(
        f"Held-out rows at block {block}", histogram(found, limit, title, third), describe_histogram(found, limit)
    )
    for name in ("accuracy", "d"):
        metric = METRICS[name]
        yield Shown(
            f"{metric.title} over blocks", profile(summary, metric, block), describe_profile(summary, metric, block)
        )
    yield Shown("Directions compared", cosines(summary, block), describe_cosines(summary, block))
