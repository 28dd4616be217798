"""The figures of a transfer study."""

from __future__ import annotations

from collections.abc import Iterator

from core.figures.shown import Shown
from core.figures.transfer import matrix
from core.figures.transfer_scores import scores
from core.figures.transfer_tables import MEASURES, describe_matrix, describe_scores
from core.results import Result


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    for measure in MEASURES.values():
        yield Shown(measure.title, matrix(result.summary, measure), describe_matrix(result.summary, measure))
    yield Shown("Who gives, who receives?", scores(result.summary), describe_scores(result.summary))
