"""What a spillover study found, in words with its numbers. Needs neither torch nor the model."""

from __future__ import annotations

from typing import Any

from core.measures.spillover import BROKEN_LIMIT

LABELS = {
    "base": "base model",
    "organism": "organism, unsteered",
    "true": "the direction",
    "random": "random",
    "orthogonal": "orthogonal",
    "sign_flipped": "sign flipped",
    "wrong_layer": "wrong layer",
    "wrong_source": "wrong source",
}


def said(summary: dict[str, Any]) -> str:
    """The verdict: what happened at the chosen dose, whether the model broke, and what the controls do."""
    return " ".join(part for part in (_effect(summary), _breakage(summary), _draws(summary), _source(summary)) if part)


def table(summary: dict[str, Any]) -> str:
    """Arms, doses and draws as text for a terminal, and the verdict."""
    lines = ["direction             site          coefficient  spillover        coherent  broken  clean   corrected p"]
    for row in [*summary["arms"], *summary["doses"], *summary["random_draws"]]:
        low, high = (100 * end for end in row["interval"])
        where = "" if row["block"] is None else site(row)
        p = _p(row["p_corrected"]) if "p_corrected" in row else ""
        lines.append(
            f"{LABELS[row['direction']]:<20}  {where:<12}  {row['coefficient']:>11g}  "
            f"{100 * row['spillover']:3.0f} % {low:3.0f}–{high:3.0f}  {percent(row['spillover_coherent']):>8}  "
            f"{percent(row['broken']):>6}  {percent(row['clean']):>5}   {p}"
        )
    return "\n".join([*lines, "", summary["verdict"]])


def chosen_row(summary: dict[str, Any], direction: str = "true") -> dict[str, Any] | None:
    """The dose row of a direction at the chosen dose and block."""
    return next((row for row in summary["doses"] if row["direction"] == direction and row["chosen"]), None)


def arm(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of `base` or `organism`."""
    return next(row for row in summary["arms"] if row["direction"] == name)


def percent(share: float | None, digits: int = 0) -> str:
    """`0.25` is `25 %`; unknown is said."""
    return "unknown" if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, signed."""
    return "unknown" if difference is None else f"{100 * difference:+.0f} points".replace("-", "−")


def site(row: dict[str, Any]) -> str:
    """`block 13`, `blocks 0 to 29`."""
    if row["last_block"] is not None:
        return f"blocks {row['block']} to {row['last_block']}"
    return f"block {row['block']}"


def dose_words(summary: dict[str, Any], row: dict[str, Any]) -> str:
    """How the organism was steered."""
    number = f"{row['coefficient']:g}".replace("-", "−")
    how = f"Coefficient {number}" if summary["mode"] == "add" else f"Ablating a share of {number}"
    return f"{how} at {site(row)}"


def _effect(summary: dict[str, Any]) -> str:
    row, before = chosen_row(summary), arm(summary, "organism")
    assert row is not None
    low, high = row["delta_coherent_interval"]
    head = {
        "specific": "Specific.",
        "non-specific": "Real but non-specific.",
        "untested": "Real; too few random directions to call it specific.",
        "uncertain": "Not certain.",
        "no effect": "No effect.",
        "broke the model": "It broke the model.",
    }[summary["verdict_code"]]
    return (
        f"{head} {dose_words(summary, row)} takes code spillover among coherent answers from "
        f"{percent(before['spillover_coherent'])} to {percent(row['spillover_coherent'])}: "
        f"{points(row['delta_coherent'])} [{points(low).removesuffix(' points')}, "
        f"{points(high).removesuffix(' points')}], n = {row['n']}, corrected p {_p(row['p_coherent_corrected'])}."
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
    low, high = (points(end) for end in among["range_clean"] or (None, None))
    where = "it lies outside all of them" if among["outside"] else "it does not lie outside them"
    return (
        f"{among['n']} random directions of the same length change clean answers by {low} to {high}, this one by "
        f"{points(row['delta_clean'])}: {where} (p {_p(among['p_clean'])})."
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


def _p(value: float | None) -> str:
    if value is None or value != value:
        return "unknown"
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"
