"""What a saved separation study says: its table for a terminal, and its best block."""

from __future__ import annotations

from typing import Any

from core.studies.separation_words import reading, reading_of_secure


def table(summary: dict[str, Any]) -> str:
    """The blocks as text for a terminal, and the reading at the best one."""
    lines = ["block  accuracy  interval        AUROC  Cohen's d   norm  shuffled  random       ceiling"]
    for row in summary["blocks"]:
        low, high = row["interval"]
        lines.append(
            f"{row['block']:5d}  {100 * row['balanced_accuracy']:6.1f} %  {100 * low:5.1f}–{100 * high:5.1f} %  "
            f"{row['auroc']:6.3f}  {row['cohens_d'] or float('nan'):8.2f}  {row['norm']:6.4g}  "
            f"{100 * row['shuffled']:6.1f} %  {100 * row['random'][0]:3.0f}–{100 * row['random'][1]:3.0f} %  "
            f"{100 * row['ceiling']:6.1f} %"
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
