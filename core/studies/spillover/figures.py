"""The figures of a spillover study."""

from __future__ import annotations

from collections.abc import Iterator

from core.figures.shown import Shown
from core.figures.spillover import dose_response
from core.figures.spillover_changes import describe_moves, matrix, moves, state
from core.figures.spillover_strip import strip
from core.figures.spillover_tables import RATES, describe_doses, describe_strip, sites
from core.results import Result
from core.studies.spillover.arms import arms_of


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    summary = result.summary
    for site in sites(summary):
        where = f"block {site[0]}" if site[1] is None else f"blocks {site[0]} to {site[1]}"
        yield Shown(
            f"Code and broken answers over doses, {where}",
            dose_response(summary, site),
            describe_doses(summary, site, RATES["all"]),
        )
    if summary["random_draws"]:
        yield Shown("Is it this direction?", strip(summary), describe_strip(summary))
    arms = arms_of(result)
    if arms:
        states = [
            [state(code, broken) for code, broken in zip(arms[name]["code"], arms[name]["broken"], strict=True)]
            for name in ("organism", "organism, steered")
        ]
        found = moves(states[0], states[1], list(arms["organism"]["suite"]))
        yield Shown("Before and after, prompt by prompt", matrix(found), describe_moves(found))
