"""The figures of a transfer study: the donor × receiver matrix, a cell beside its controls, who gives and receives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from core.directions.names import MAPPED_CONTROLS, label
from core.figures.grid import Cell, Scale, grid
from core.figures.labels import in_lines, plain_name
from core.figures.palette import BLUE, DIRECTIONS, SLATE, VERMILION, VIOLET, faded
from core.figures.scores import Score
from core.figures.scores import scores as scores_figure
from core.figures.shown import Shown
from core.figures.strip import Marks, strip
from core.results import Result
from core.studies.transfer import tables
from core.studies.transfer.tables import MEASURES, Measure, Row, Summary, is_own, models, shown, shown_with_interval
from core.verdicts import told
from core.words import points, points_span

ROW_HEIGHT, ROOM = 88, 134  # of a row of cells, and of what stands around them
STRIP_HEIGHT = 250
STRONGEST = 0.55  # opacity at the ends of the scale: text in the theme's colour stays legible on it
ROOMY = 3  # models; with more, words in cells are shortened so that a narrow screen holds them
P_END = 3.0  # decades below 1 at which p has the full colour


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    for measure in MEASURES.values():
        yield replace(matrix(result.summary, measure), title=measure.title)
    yield scores(result.summary)


def matrix(summary: Summary, measure: Measure = MEASURES["delta"], chosen: tuple[str, str] | None = None) -> Shown:
    """Donors are rows, receivers columns. `chosen` (donor, receiver) is outlined, own directions are dotted.

    Colours are transparent at 0 and have fixed ends (one for all differences, R² and cosine), so that matrices compare.
    """
    names, scale = models(summary), _scale(measure)
    roomy = len(names) <= ROOMY
    cells = []
    for y, donor in enumerate(names):
        for x, receiver in enumerate(names):
            row = tables.cell(summary, donor, receiver)
            outlines = [{"width": 1.5, "dash": "dot", "color": SLATE}] if is_own(row) else []
            outlines += [{"width": 3.5, "color": VIOLET}] if chosen == (donor, receiver) else []
            text, value = _text(row, measure, roomy), _level(row, measure)
            cells.append(Cell(y, x, (donor, receiver), text, tooltip(row), value, scale, tuple(outlines)))
    lines = [in_lines(name) for name in names]
    titles, height = ("donor", "receiver: its organism is steered"), ROOM + ROW_HEIGHT * len(names)
    figure = grid(cells, lines, lines, height, titles, size=12 if roomy else 11)
    title = f"{measure.title}, n = {summary['n']} a cell"
    return Shown(title, figure, tables.describe_matrix(summary, measure), lambda: tables.cells_table(summary))


def beside_controls(row: Row, measure: Measure = MEASURES["delta"]) -> Shown:
    """A cell's change: the direction with its 95 % interval above, then a level for each kind of control.

    A level's short line is the mean of its draws.

    Args:
        measure: `delta` or `delta_coherent`.
    """
    name = f"{'own' if is_own(row) else 'mapped'} direction"
    said = f"<b>{name}</b><br>{shown_with_interval(row, measure)}, n = {row['n']}"
    interval = row[measure.interval or ""]
    kinds = [Marks("true", name, DIRECTIONS["true"], 0, [row[measure.key]], [said], 15, interval)]
    levels = [name]
    for kind in MAPPED_CONTROLS:
        if kind in row["controls"]:
            kinds.append(_draws(kind, row, measure, len(levels)))
            levels.append(f"{label(kind)} ({row['controls'][kind]['n']})")
    return Shown(
        "Does a control do as much?",
        strip([kinds], STRIP_HEIGHT, f"{measure.title.lower()}, points", levels=levels),
        tables.describe_strip(row, measure),
        lambda: tables.draws_table(row),
    )


def scores(summary: Summary) -> Shown:
    """Mean change in answers with code, in points, with 95 % intervals: as donor across, as receiver upwards.

    Further left gives more, further down receives more. A model without a score is not drawn.
    """
    measure, found = MEASURES["delta"], []
    for name in models(summary):
        given, taken = summary["donor_scores"][name], summary["receiver_scores"][name]
        if None in (given["delta"], taken["delta"]):
            continue
        said = [
            f"as {role} {shown_with_interval(row, measure)}" for role, row in (("donor", given), ("receiver", taken))
        ]
        lines = [f"<b>{plain_name(name)}</b>", *said, f"mean over k = {given['n']} other models"]
        intervals = given["delta_interval"], taken["delta_interval"]
        found.append(Score(name, given["delta"], taken["delta"], intervals, "<br>".join(lines)))
    return Shown(
        "Who gives, who receives?",
        scores_figure(found, "as donor: points in the others (left gives more)", "as receiver (down receives more)"),
        tables.describe_scores(summary),
        lambda: tables.scores_table(summary),
    )


def tooltip(row: Row) -> str:
    """All that is known of a cell: differences with intervals, rates, tests, controls, and the map."""
    head = f"own direction of {row['receiver']}" if is_own(row) else f"{row['donor']} → {row['receiver']}"
    verdict = told(row["verdict"])
    lines = [f"<b>{plain_name(head, 90)}</b>: {verdict.sign} {plain_name(verdict.short)}"]
    for key in ("delta", "delta_coherent", "minus_control", "broken"):
        lines.append(f"{MEASURES[key].title}: {shown_with_interval(row, MEASURES[key])}")
    coherent = shown(row["p_coherent_corrected"], "p")
    lines.append(f"n = {row['n']}, corrected p {shown(row['p_corrected'], 'p')} (among coherent {coherent})")
    for kind, found in row["controls"].items():
        ends = f" ({points_span((found['lowest'], found['highest']), unit=False)})" if found["n"] > 1 else ""
        lines.append(f"{label(kind)}, {found['n']} drawn: {points(found['delta'], unit=False)}{ends}")
    if not is_own(row):
        lines.append(f"map: R² {shown_with_interval(row, MEASURES['r2'])}, cosine {shown(row['cosine'], 'plain')}")
    return "<br>".join([*lines, "[ ] = 95 % interval over prompts; differences in points"])


def _text(row: Row, measure: Measure, roomy: bool) -> str:
    verdict = told(row["verdict"])
    word = plain_name(verdict.short, 14)
    number = row[measure.key]
    first = "no map" if number is None and is_own(row) else shown(number, measure.unit)
    own = ["own direction" if roomy else "(own)"] if is_own(row) else []
    return "<br>".join([f"{verdict.sign} <b>{first}</b>", word if roomy else word.replace("-", "-<br>"), *own])


def _level(row: Row, measure: Measure) -> float | None:
    """What the colour stands for; p counts decades below 1."""
    number = row[measure.key]
    if number is None or measure.unit != "p":
        return number
    return min(P_END, -math.log10(max(number, 1e-12)))


def _scale(measure: Measure) -> Scale:
    if measure.unit == "p":
        ticks = ((0, "1"), (1, "0.1"), (-math.log10(0.05), "0.05"), (2, "0.01"), (3, "≤ 0.001"))
        return Scale(0, P_END, _rising(BLUE), ticks)
    if measure.unit == "percent":
        return Scale(0, 1, _rising(VERMILION), ((0, "0 %"), (0.5, "50 %"), (1, "100 %")))
    texts = ("−100", "−50", "0", "+50", "+100") if measure.unit == "points" else ("−1", "−0.5", "0", "0.5", "1")
    # what is wanted is blue: less code, or a map that explains much
    low, high = (BLUE, VERMILION) if measure.unit == "points" else (VERMILION, BLUE)
    colors = ((0, faded(low, STRONGEST)), (0.5, faded(low, 0)), (0.5, faded(high, 0)), (1, faded(high, STRONGEST)))
    return Scale(-1, 1, colors, tuple(zip((-1, -0.5, 0, 0.5, 1), texts, strict=True)))


def _rising(color: str) -> tuple[tuple[float, str], ...]:
    return (0, faded(color, 0)), (1, faded(color, STRONGEST))


def _draws(kind: str, row: Row, measure: Measure, level: int) -> Marks:
    found = row["controls"][kind]
    tooltips = [
        f"<b>{label(kind)}, draw {draw['seed']}</b><br>{shown(draw[measure.key], 'points')} points, n = {row['n']}<br>"
        f"{shown(draw['broken'], 'percent')} broken, corrected p {shown(draw['p_corrected'], 'p')}"
        for draw in found["draws"]
    ]
    values = [draw[measure.key] for draw in found["draws"]]
    mean = found[measure.key] if found["n"] > 1 else None
    return Marks(kind, label(kind), DIRECTIONS[kind], level, values, tooltips, 9, opacity=0.75, mean=mean)
