"""A figure as a report or a page hands it out."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Shown:
    """A figure with its heading and what it shows in words."""

    title: str
    figure: go.Figure
    words: str
