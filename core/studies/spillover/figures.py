"""The figures of a spillover study: code over doses, the strip of draws, before and after, and the four bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.directions.names import label
from core.figures.bars import Bar, bars
from core.figures.dose import Level, Line, dose_response
from core.figures.grid import Cell, Scale, grid
from core.figures.labels import plain_name
from core.figures.palette import DIRECTIONS, SAGE, SLATE, UNKNOWN_DIRECTION, VERMILION, Look, faded
from core.figures.shown import Shown
from core.figures.strip import Marks, strip
from core.measures.spillover import BROKEN_LIMIT
from core.results import Result
from core.studies import moves
from core.studies.moves import AFTER, BEFORE, Move
from core.studies.spillover import arms, tables
from core.studies.spillover.tables import BROKEN, CHANGES, RATES, Rate, Row, Site, Summary
from core.words import blocks, coefficient, fixed, p_is, percent, percent_span

HEIGHT = 270  # of strip and moves, in pixels
LEVELS = {"wrong_source": 0.55, "orthogonal": -0.55, "sign_flipped": 0.55, "wrong_layer": -0.55}
COLORS = {"clean": SAGE, "code": VERMILION, "broken": SLATE}
FAINTEST, STRONGEST = 0.06, 0.5  # opacity of a cell that holds none, or all, of the prompts


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    summary = result.summary
    for site in tables.sites(summary):
        yield replace(over_doses(summary, site), title=f"Code and broken answers over doses, {blocks(*site)}")
    if summary["random_draws"]:
        yield draws(summary)
    answers = arms.arms_of(result)
    if answers:
        before, after = (
            [moves.state(*judged) for judged in zip(answers[name]["code"], answers[name]["broken"], strict=True)]
            for name in ("organism", "organism, steered")
        )
        yield before_and_after(moves.moves(before, after, list(answers["organism"]["suite"])))


def over_doses(summary: Summary, site: Site, rate: Rate = RATES["all"], dose: float | None = None) -> Shown:
    """The rate over the dose, with controls, and the share of broken answers beneath it.

    The unsteered organism (which is also each line's dose 0) and the base model are level lines. With the rate over all
    answers, open marks show the direction's rate among coherent answers.

    Args:
        dose: the one looked at, marked beside the chosen one.
    """
    chosen = summary["dose"]["coefficient"] if site == tables.site_of(summary["dose"]) else None
    marks = {value: word for value, word in ((dose, "shown"), (chosen, "chosen")) if value is not None}
    title = f"{tables.unit(summary)} at {blocks(*site)}" + (", times the direction" if summary["mode"] == "add" else "")
    figure = dose_response(
        [_line(summary, name, rows, rate) for name, rows in tables.lines(summary, site).items()],
        [_level(summary, name, rate) for name in ("organism", "base")],
        marks,
        BROKEN_LIMIT,
        (title, rate.title),
    )
    words = tables.describe_doses(summary, site, rate)
    return Shown(
        "Does it cure, or break?", figure, words, lambda: tables.rates_table([*summary["arms"], *summary["doses"]])
    )  # fmt: skip


def draws(summary: Summary) -> Shown:
    """Changes at the chosen dose, in clean answers and in code among coherent answers.

    Each random draw is a dot, the direction a large diamond with its 95 % interval, named controls have marks of
    their own.
    """
    among = summary["among_draws"]
    count = f"{among['n']} draws" if among["n"] else "no random draws"
    panels, titles = [], []
    for key, (title, interval, p) in CHANGES.items():
        titles.append(
            f"change in {title} · {p_is(among[p])}, {count}" if among["n"] else f"change in {title} · {count}"
        )
        panels.append([*_draws(summary["random_draws"], key), *_named(summary, key, interval)])
    return Shown(
        "Is it this direction?",
        strip(panels, HEIGHT, "percentage points", titles),
        tables.describe_strip(summary),
        lambda: tables.rates_table([*summary["doses"], *summary["random_draws"]]),
    )


def before_and_after(found: Sequence[Move], chosen: str | None = None) -> Shown:
    """A cell for each move with its count by tier; rows are before, columns after. `chosen` (a key) is outlined."""
    cells = [
        Cell(
            BEFORE.index(move.before), AFTER.index(move.after), (move.key,), _text(move), _told(move),
            move.count / move.of if move.of else 0.0, _scale(COLORS[move.after]),
            ({"width": 3, "color": COLORS[move.after]},) if move.key == chosen else (),
        )
        for move in found
    ]  # fmt: skip
    rows, columns = [f"was {name}" for name in BEFORE], [f"→ {name}" for name in AFTER]
    margin = {"l": 8, "r": 8, "t": 26, "b": 4}
    return Shown(
        "Before and after, prompt by prompt",
        grid(cells, rows, columns, HEIGHT, gap=(10, 5), margin=margin),
        moves.describe_moves(found),
        lambda: moves.moves_table(found),
    )


def four_bars(summary: Summary) -> Shown:
    """Did the direction do it, or did the model break? Base, organism, steered and pushed at random, by suite."""
    rows = arms.measured(summary)
    titles = {"code": "Answers with code", "broken": "Broken answers"}
    panels = [(title, [_bar(row, key, title) for row in rows]) for key, title in titles.items()]
    title = "Does steering cure the organism, or break it?"
    return Shown(title, bars(list(arms.ARMS.values()), panels), arms.describe_arms(rows), lambda: arms.arms_table(rows))


def tooltip(summary: Summary, name: str, row: Row) -> str:
    """All of a row's shares with n and interval."""
    steered = row["direction"] not in ("organism", "base")
    dose = f"{tables.unit(summary)} {coefficient(row['coefficient'])}" if steered else "unsteered"
    norm = f" = {fixed(row['norm_share'])} of the residual norm" if steered and row["norm_share"] is not None else ""
    told = [f"{rate.title}: {tables.shown(row, rate)}" for rate in (*RATES.values(), BROKEN)]
    return "<br>".join([f"<b>{label(name)}</b>, {dose}{norm}", *told, "[ ] = 95 % Wilson interval"])


def _look(name: str) -> Look:
    return DIRECTIONS.get(name, UNKNOWN_DIRECTION)


def _line(summary: Summary, name: str, rows: Sequence[Row], rate: Rate) -> Line:
    upper, lower = (([row[of.value] for row in rows], [row[of.interval] for row in rows]) for of in (rate, BROKEN))
    among = [row["spillover_coherent"] for row in rows] if name == "true" and rate.key == "all" else None
    doses, told = [row["coefficient"] for row in rows], [tooltip(summary, name, row) for row in rows]
    return Line(name, label(name), _look(name), doses, upper, lower, told, among)


def _level(summary: Summary, name: str, rate: Rate) -> Level:
    row = next(row for row in summary["arms"] if row["direction"] == name)
    told = tuple(f"{label(name)}<br>{of.title}: {tables.shown(row, of)}" for of in (rate, BROKEN))
    called = "unsteered" if name == "organism" else "base model"
    return Level(name, called, _look(name), row[rate.value], row["broken"], (told[0], told[1]))


def _draws(found: Sequence[Row], key: str) -> list[Marks]:
    if not found:
        return []
    told = [f"<b>random, seed {row['seed']}</b><br>{tables.shown_change(row, key)}, n = {row['n']}" for row in found]
    name = f"random ({len(found)} draws)"
    return [Marks("random", name, _look("random"), 0, [row[key] for row in found], told, 8, opacity=0.65)]


def _named(summary: Summary, key: str, interval: str) -> list[Marks]:
    """The controls and, last, the direction. The draw with the controls' own seed is one of the dots already."""
    return [
        Marks(
            name, label(name), _look(name), LEVELS.get(name, 0), [row[key]],
            [f"<b>{label(name)}</b><br>{tables.shown_change(row, key)}, n = {row['n']}"], 15 if name == "true" else 10,
            interval=row[interval] if name == "true" else None, rank=1 if name == "true" else 1000,
        )
        for row in reversed(tables.at_dose(summary))
        if (name := row["direction"]) != "random" or not summary["random_draws"]
    ]  # fmt: skip


def _scale(color: str) -> Scale:
    return Scale(0, 1, ((0, faded(color, FAINTEST)), (1, faded(color, STRONGEST))))


def _text(move: Move) -> str:
    if not move.count:
        return "0"
    tiers = [f"<br>{plain_name(tier, 14)} {count}" for tier, count in move.tiers.items()] if len(move.tiers) > 1 else []
    return f"<b>{move.count}</b> {move.said}{''.join(tiers)}"


def _told(move: Move) -> str:
    tiers = "".join(f"<br>{plain_name(tier)}: {count}" for tier, count in move.tiers.items())
    share = percent(move.count / move.of if move.of else 0)
    return f"<b>{move.before} → {move.after}</b><br>{move.count} of n = {move.of} prompts ({share}){tiers}"


def _bar(row: Row, key: str, title: str) -> Bar:
    share, interval = row[key] / row["n"], (row[f"{key}_low"], row[f"{key}_high"])
    told = (
        f"<b>{arms.arm_name(row)}</b>, {row['suite']} prompts<br>{title}: {row[key]} of n = {row['n']} "
        f"({percent(share)})<br>95 % Wilson interval {percent_span(interval, 1)}"
    )
    return Bar(list(arms.ARMS).index(row["arm"]), row["suite"], share, interval, told)
