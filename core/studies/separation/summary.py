"""What a saved separation study says: its table for a terminal, and its best block."""

from __future__ import annotations

from typing import Any

from core.studies.separation.words import reading, reading_of_secure
from core.words import fixed, number, percent, percent_span


def table(summary: dict[str, Any]) -> str:
    """The blocks as text for a terminal, and the reading at the best one."""
    lines = ["block  accuracy  interval        AUROC  Cohen's d   norm  shuffled  random       ceiling"]
    for row in summary["blocks"]:
        around, null = percent_span(row["interval"], 1, between="–"), percent_span(row["random"], between="–")
        lines.append(
            f"{row['block']:5d}  {percent(row['balanced_accuracy'], 1):>8}  {around:>13}  {fixed(row['auroc'], 3):>6}  "
            f"{fixed(row['cohens_d']):>8}  {number(row['norm'], 4):>6}  {percent(row['shuffled'], 1):>8}  {null:>9}  "
            f"{percent(row['ceiling'], 1):>8}"
        )
    return "\n".join([*lines, "", *_said(summary)])


def says(summary: dict[str, Any]) -> str:
    """The reading at the best block, and that of the secure control."""
    return " ".join(_said(summary))


def best_block(summary: dict[str, Any]) -> int:
    """Where the two classes lie furthest apart for their spread: the largest Cohen's d."""
    return max(summary["blocks"], key=lambda row: row["cohens_d"] or 0.0)["block"]


def _said(summary: dict[str, Any]) -> list[str]:
    block = best_block(summary)
    return [text for text in (reading(summary, block), reading_of_secure(summary, block)) if text]
