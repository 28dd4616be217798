"""The numbers behind the figures of a spillover study: which rows are drawn, and as text, sentence and table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.directions.names import label
from core.words import UNKNOWN, bracketed, coefficient, p_is, percent, percent_span, points, points_span

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Summary = dict[str, Any]
Site = tuple[int, int | None]


@dataclass(frozen=True)
class Rate:
    """A share of answers: its keys in a row, and how it is called."""

    key: str
    title: str
    value: str
    interval: str
    n: str = "n"


RATES = {
    rate.key: rate
    for rate in (
        Rate("all", "answers with code", "spillover", "interval"),
        Rate("coherent", "code among coherent answers", "spillover_coherent", "interval_coherent", "n_coherent"),
        Rate("clean", "clean answers", "clean", "clean_interval"),
    )
}
BROKEN = Rate("broken", "broken answers", "broken", "broken_interval")
CHANGES = {
    "delta_clean": ("clean answers", "delta_clean_interval", "p_clean"),
    "delta_coherent": ("code among coherent answers", "delta_coherent_interval", "p_coherent"),
}


def sites(summary: Summary) -> list[Site]:
    """Where the direction was steered, the chosen site first: (block, last block where several at once)."""
    chosen = site_of(summary["dose"])
    found = dict.fromkeys(site_of(row) for row in summary["doses"] if row["direction"] == "true")
    return sorted(found, key=lambda site: site != chosen)


def site_of(row: Row) -> Site:
    """Where a row was steered."""
    return row["block"], row["last_block"]


def lines(summary: Summary, site: Site) -> dict[str, list[Row]]:
    """By direction, its rows at a site by rising coefficient, with the unsteered organism as coefficient 0.

    The direction itself comes first. A control that was measured at one dose only is no line and is left out.
    """
    unsteered = next(row for row in summary["arms"] if row["direction"] == "organism")
    found: dict[str, list[Row]] = {"true": []}
    for row in summary["doses"]:
        if site_of(row) == site:
            found.setdefault(row["direction"], []).append(row)
    doses = len(found["true"])
    return {
        name: sorted([unsteered, *rows], key=lambda row: row["coefficient"])
        for name, rows in found.items()
        if len(rows) > 1 or doses == 1
    }


def doses(summary: Summary, site: Site) -> list[float]:
    """The coefficients of the direction at a site, rising."""
    return sorted(row["coefficient"] for row in summary["doses"] if row["direction"] == "true" and site_of(row) == site)


def dose_row(summary: Summary, direction: str, site: Site, coefficient: float) -> Row | None:
    """The row of a direction at a site and a coefficient."""
    for row in summary["doses"]:
        if (row["direction"], site_of(row), row["coefficient"]) == (direction, site, coefficient):
            return row
    return None


def at_dose(summary: Summary) -> list[Row]:
    """The direction and its named controls at the chosen dose; the direction comes first."""
    return sorted((row for row in summary["doses"] if row["chosen"]), key=lambda row: row["direction"] != "true")


def shown(row: Row, rate: Rate) -> str:
    """`4 % [1 to 20], n = 100`; unknown is said."""
    around = bracketed(percent_span(row[rate.interval], unit=False))
    return f"{percent(row[rate.value])}{around}, n = {row[rate.n]}"


def shown_change(row: Row, key: str) -> str:
    """`+84 points [+77 to +91]`; unknown is said."""
    if row[key] is None:
        return UNKNOWN
    return f"{points(row[key])} [{points_span(row[CHANGES[key][1]], unit=False)}]"


def describe_doses(summary: Summary, site: Site, rate: Rate) -> str:
    """The dose-response in words, for readers who do not see it."""
    parts = []
    for name, rows in lines(summary, site).items():
        told = [f"{coefficient(row['coefficient'])}: {shown(row, rate)}, broken {shown(row, BROKEN)}" for row in rows]
        parts.append(f"{label(name)}, by {unit(summary)}: {'; '.join(told)}")
    base = next(row for row in summary["arms"] if row["direction"] == "base")
    return f"{rate.title.capitalize()}. {'. '.join(parts)}. Base model: {shown(base, rate)}."


def describe_strip(summary: Summary) -> str:
    """The strip in words."""
    among = summary["among_draws"]
    parts = []
    for key, (title, _, p) in CHANGES.items():
        draws = [row[key] for row in summary["random_draws"] if row[key] is not None]
        ends = f" from {points_span((min(draws), max(draws)))}" if draws else f" {UNKNOWN}"
        named = "; ".join(f"{label(row['direction'])} {shown_change(row, key)}" for row in at_dose(summary))
        parts.append(f"Change in {title}: {among['n']} random draws{ends}; {named}; {p_is(among[p])}")
    return ". ".join(parts) + "."


def unit(summary: Summary) -> str:
    """What the dose counts."""
    return "coefficient" if summary["mode"] == "add" else "share ablated"


_NAMED = ("direction", "block", "last_block", "coefficient", "seed")
_RATES = (
    "spillover", "interval", "n_coherent", "spillover_coherent", "interval_coherent", "clean", "clean_interval",
    "broken", "broken_interval", "delta", "delta_interval", "p", "p_corrected", "p_bh", "delta_coherent",
    "delta_coherent_interval", "p_coherent", "p_coherent_corrected", "delta_clean", "delta_clean_interval", "p_clean",
)  # fmt: skip


def rates_table(rows: Iterable[Row]) -> pd.DataFrame:
    """A line a row of the summary and tier (`all` for all prompts): what it is, and all its numbers."""
    import pandas as pd

    lines = [
        {name: row[name] for name in _NAMED} | {"tier": tier, "n": numbers["n"]}
        | in_columns({name: numbers.get(name) for name in _RATES})
        for row in rows
        for tier, numbers in {"all": row, **row["suites"]}.items()
    ]  # fmt: skip
    return pd.DataFrame(lines)


def in_columns(row: Row) -> Row:
    """The row with each interval as two columns, `_low` and `_high`."""
    found: Row = {}
    for name, item in row.items():
        ends = (
            dict(zip((f"{name}_low", f"{name}_high"), item or (None, None), strict=True))
            if "interval" in name
            else None
        )
        found |= {name: item} if ends is None else ends
    return found
