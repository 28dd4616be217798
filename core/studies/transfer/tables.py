"""The numbers behind the figures of a transfer study: which matrices there are, and as text, sentence and table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.directions.names import MAPPED_CONTROLS, label
from core.studies.spillover.tables import in_columns
from core.words import UNKNOWN, bracketed, fixed, p_value, percent, points, points_span, span

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Summary = dict[str, Any]
Unit = Literal["points", "percent", "p", "plain"]


@dataclass(frozen=True)
class Measure:
    """A matrix: its key in a cell's row, what it is called on the switch and in full, and its unit."""

    key: str
    short: str
    title: str
    unit: Unit
    interval: str | None = None


MEASURES = {
    measure.key: measure
    for measure in (
        Measure("delta", "Δ spillover", "Change in answers with code", "points", "delta_interval"),
        Measure(
            "delta_coherent", "Δ coherent", "Change in code among coherent answers", "points", "delta_coherent_interval"
        ),
        Measure("minus_control", "Δ − control", "Change beyond the mean control", "points", "minus_control_interval"),
        Measure("broken", "broken", "Broken answers", "percent", "broken_interval"),
        Measure("p_corrected", "corrected p", "Corrected p of the change (Holm over all that was compared)", "p"),
        Measure("r2", "R² of the map", "Held-out R² of the map", "plain", "r2_interval"),
        Measure("cosine", "cosine", "Cosine of the mapped and the receiver’s own direction", "plain"),
    )
}


def models(summary: Summary) -> list[str]:
    """Ids of the models, in the order of the matrix."""
    return [model["model"] for model in summary["models"]]


def member(summary: Summary, model: str) -> Row:
    """What is known of a model of the matrix: organism, direction, block, and its answers unsteered."""
    return next(found for found in summary["models"] if found["model"] == model)


def cell(summary: Summary, donor: str, receiver: str) -> Row:
    """The row of a cell."""
    return next(row for row in summary["cells"] if (row["donor"], row["receiver"]) == (donor, receiver))


def is_own(row: Row) -> bool:
    """Whether it is on the diagonal: the receiver's own direction."""
    return row["donor"] == row["receiver"]


def shown(number: float | None, unit: Unit) -> str:
    """A value in its unit, without the unit's name: `−62`, `4 %`, `0.0012`, `0.36`."""
    match unit:
        case "points":
            return points(number, unit=False)
        case "percent":
            return percent(number)
        case "p":
            return p_value(number)
        case "plain":
            return fixed(number)


def shown_with_interval(row: Row, measure: Measure) -> str:
    """`−62 points [−79 to −42]`; unknown is said."""
    text = shown(row[measure.key], measure.unit)
    if text != UNKNOWN and measure.unit == "points":
        text += " points"
    return text + around(row[measure.interval], measure.unit) if measure.interval else text


def around(interval: Any, unit: Unit = "points") -> str:
    """An interval in brackets, after a space; nothing where it is unknown."""
    return bracketed(span(interval, lambda end: shown(end, unit).removesuffix(" %")))


def draws(row: Row) -> list[tuple[str, Row]]:
    """(kind, draw) of every control of a cell, by kind."""
    return [(kind, draw) for kind in MAPPED_CONTROLS for draw in row["controls"].get(kind, {}).get("draws", ())]


def describe_matrix(summary: Summary, measure: Measure) -> str:
    """A matrix in words, for readers who do not see it."""
    told = [
        f"{'own direction of' if is_own(row) else row['donor'] + ' into'} {row['receiver']}: "
        f"{_known(row, measure)}, {row['verdict']}"
        for row in summary["cells"]
    ]
    return f"{measure.title}, donor into receiver, n = {summary['n']} prompts a cell. {'; '.join(told)}."


def describe_strip(row: Row, measure: Measure) -> str:
    """A cell's strip in words."""
    parts = [f"{'The own' if is_own(row) else 'The mapped'} direction: {shown_with_interval(row, measure)}"]
    for kind, found in row["controls"].items():
        values = [draw[measure.key] for draw in found["draws"] if draw[measure.key] is not None]
        ends = points_span(sorted({min(values), max(values)}) if values else None, unit=False)
        parts.append(f"{label(kind)}, {found['n']} drawn: {ends}")
    return f"{measure.title}, n = {row['n']} prompts. {'; '.join(parts)}."


def describe_scores(summary: Summary) -> str:
    """Givers and receivers in words."""
    measure = MEASURES["delta"]
    told = []
    for name in models(summary):
        scores = [(role, summary[f"{role}_scores"][name]) for role in ("donor", "receiver")]
        said = [f"as {role} {shown_with_interval(score, measure)}" for role, score in scores]
        told.append(f"{name}: {', '.join(said)} (mean over {scores[0][1]['n']} other models)")
    return f"Mean change in answers with code, n = {summary['n']} prompts a cell. {'; '.join(told)}."


def cells_table(summary: Summary) -> pd.DataFrame:
    """A line a cell: every number of it, intervals as two columns, and mean and ends of each kind of control."""
    import pandas as pd

    return pd.DataFrame([_cell_record(row) for row in summary["cells"]])


def scores_table(summary: Summary) -> pd.DataFrame:
    """A line a model: its scores as donor and as receiver."""
    import pandas as pd

    lines = []
    for name in models(summary):
        line: Row = {"model": name}
        for role in ("donor", "receiver"):
            line |= {f"{role}_{key}": item for key, item in in_columns(summary[f"{role}_scores"][name]).items()}
        lines.append(line)
    return pd.DataFrame(lines)


def draws_table(row: Row) -> pd.DataFrame:
    """A line a control draw of a cell, after the cell itself."""
    import pandas as pd

    keys = ("delta", "delta_coherent", "delta_clean", "broken", "p_corrected")
    own = {"kind": "own direction" if is_own(row) else "mapped direction", "seed": None} | {k: row[k] for k in keys}
    rest = [{"kind": kind, "seed": draw["seed"]} | {k: draw[k] for k in keys} for kind, draw in draws(row)]
    return pd.DataFrame([own, *rest])


def _known(row: Row, measure: Measure) -> str:
    if row[measure.key] is None and is_own(row):
        return "no map"
    return shown_with_interval(row, measure)


def _cell_record(row: Row) -> Row:
    kept = {name: item for name, item in row.items() if name not in ("controls", "among_draws")}
    among = {f"among_draws_{name}": row["among_draws"][name] for name in ("n", "p", "p_coherent", "p_clean", "outside")}
    ends = {
        f"{kind}_{name}": row["controls"].get(kind, {}).get(name)
        for kind in MAPPED_CONTROLS
        for name in ("n", "delta", "lowest", "highest", "delta_coherent", "broken")
    }
    return {**in_columns(kept), **among, **ends}
