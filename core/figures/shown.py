"""A figure as a report or a page hands it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shown:
    """A figure with its heading, what it shows in words, and its numbers as a table where someone asks for them."""

    title: str
    figure: go.Figure
    words: str
    table: Callable[[], pd.DataFrame] | None = None

    def csv(self) -> str:
        """The table; numbers to six digits."""
        return "" if self.table is None else self.table().to_csv(index=False, float_format="%.6g")
