"""What a spillover study found, in words with its numbers. Needs neither torch nor the model."""

from __future__ import annotations

from typing import Any

from core.directions.names import label
from core.measures.spillover import BROKEN_LIMIT
from core.verdicts import told
from core.words import blocks, coefficient, p_is, p_value, percent, percent_span, points, points_span, span


def said(summary: dict[str, Any]) -> str:
    """The verdict: what happened at the chosen dose, whether the model broke, and what the controls do."""
    return " ".join(part for part in (_effect(summary), _breakage(summary), _draws(summary), _source(summary)) if part)


def table(summary: dict[str, Any]) -> str:
    """Arms, doses and draws as text for a terminal, and the verdict."""
    lines = ["direction             site          coefficient  spillover        coherent  broken  clean   corrected p"]
    for row in [*summary["arms"], *summary["doses"], *summary["random_draws"]]:
        where = "" if row["block"] is None else blocks(row["block"], row["last_block"])
        p = p_value(row["p_corrected"]) if "p_corrected" in row else ""
        around = percent_span(row["interval"], unit=False, between="–")
        lines.append(
            f"{label(row['direction']):<20}  {where:<12}  {coefficient(row['coefficient']):>11}  "
            f"{percent(row['spillover']):>5} {around:>7}  {percent(row['spillover_coherent']):>8}  "
            f"{percent(row['broken']):>6}  {percent(row['clean']):>5}   {p}"
        )
    return "\n".join([*lines, "", summary["verdict"]])


def chosen_row(summary: dict[str, Any], direction: str = "true") -> dict[str, Any] | None:
    """The dose row of a direction at the chosen dose and block."""
    return next((row for row in summary["doses"] if row["direction"] == direction and row["chosen"]), None)


def arm(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of `base` or `organism`."""
    return next(row for row in summary["arms"] if row["direction"] == name)


def dose_words(summary: dict[str, Any], row: dict[str, Any]) -> str:
    """How the organism was steered."""
    number = coefficient(row["coefficient"])
    how = f"Coefficient {number}" if summary["mode"] == "add" else f"Ablating a share of {number}"
    return f"{how} at {blocks(row['block'], row['last_block'])}"


def _effect(summary: dict[str, Any]) -> str:
    row, before = chosen_row(summary), arm(summary, "organism")
    assert row is not None
    around = points_span(row["delta_coherent_interval"], unit=False, between=", ")
    return (
        f"{told(summary['verdict_code']).word}. {dose_words(summary, row)} takes code spillover among coherent answers "
        f"from {percent(before['spillover_coherent'])} to {percent(row['spillover_coherent'])}: "
        f"{points(row['delta_coherent'])} [{around}], n = {row['n']}, corrected {p_is(row['p_coherent_corrected'])}."
    )


def _breakage(summary: dict[str, Any]) -> str:
    row, before = chosen_row(summary), arm(summary, "organism")
    assert row is not None
    share = row["broken"]
    much = "that is more than one in ten" if share > BROKEN_LIMIT else "no more than one in ten"
    return f"{percent(share)} of its answers are broken ({much}; unsteered {percent(before['broken'])})."


def _draws(summary: dict[str, Any]) -> str:
    among = summary["among_draws"]
    if not among["n"]:
        return "No random directions were drawn, so nothing is said about its specificity."
    row = chosen_row(summary)
    assert row is not None
    where = "it lies outside all of them" if among["outside"] else "it does not lie outside them"
    return (
        f"{among['n']} random directions of the same length change clean answers by "
        f"{span(among['range_clean'], points)}, this one by {points(row['delta_clean'])}: {where} "
        f"({p_is(among['p_clean'])})."
    )


def _source(summary: dict[str, Any]) -> str:
    row, other = chosen_row(summary), chosen_row(summary, "wrong_source")
    if row is None or other is None or summary["verdict_code"] in ("no effect", "broke the model"):
        return ""
    gap = row["delta_clean"] - other["delta_clean"]
    if abs(gap) <= 0.1:
        return (
            f"Another organism's direction does about as much ({points(other['delta_clean'])} clean answers): what is "
            "removed is what both were taught, writing code, and not the insecurity of the code."
        )
    than = "less" if gap > 0 else "more"
    return f"Another organism's direction does {than}: {points(other['delta_clean'])} clean answers."
