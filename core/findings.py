"""What a study found, for a notebook: numbers, tables, words and figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from core.results import Result

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from core.studies.study import Report


@dataclass(frozen=True)
class Finding:
    """A study's result.

    Example: `found = lab.spillover("insecure")`, then `print(found)`, `found.table`, `found.figure`
    """

    result: Result

    def __str__(self) -> str:
        """What was found, in a sentence or two with its numbers."""
        from core.studies.catalog import study_of

        return study_of(self.result.kind).says(self.summary)

    @property
    def summary(self) -> dict[str, Any]:
        """All numbers with settings and provenance, as plain data."""
        return self.result.summary

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every list of records in the summary, by its name."""
        from core.exporting import tables

        return tables(self.result)

    @property
    def table(self) -> pd.DataFrame:
        """The main table: blocks of a separation, doses of spillover, finalists of a choice, cells of transfer."""
        from core.studies.catalog import study_of

        return self.tables[study_of(self.result.kind).table]

    @property
    def answers(self) -> pd.DataFrame | None:
        """One row an answer, where the study kept them."""
        return self.result.table

    @cached_property
    def figures(self) -> dict[str, go.Figure]:
        """Plotly figures by title, as the study's page shows them; a choice has none."""
        from core.studies.catalog import study_of

        return {shown.title: shown.figure for shown in study_of(self.result.kind).figures(self.result)}

    @property
    def figure(self) -> go.Figure | None:
        """The first figure."""
        return next(iter(self.figures.values()), None)


def study(kind: str, device: str | None = None, report: Report | None = None, **settings: Any) -> Finding:
    """A study by names, as on the command line: what is saved or shipped comes at once, else it is measured.

    Example: `study("transfer", models=("smollm2-135m:insecure-compact", "qwen2.5-coder-0.5b:insecure"))`
    """
    from core.studies.catalog import study_of
    from core.studies.study import Work, run, silent

    asked = study_of(kind)
    return Finding(run(asked, asked.of(**settings), Work(device, report or silent)))
