"""What the Transfer page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.directions.names import label
from core.results import Result
from core.studies.transfer.settings import KIND
from core.studies.transfer.tables import MEASURES, Row, draws, is_own, models
from core.studies.transfer.words import WORKED
from core.words import points
from pages.parts import choices
from pages.parts.choices import LINKED, take
from pages.parts.study.reading import Reading, read_filters, read_prompt
from pages.parts.study.state import State

CHOICE, NOTES = choices.session_keys("transfer")
PANES = ("organism", "steered", "control")


@dataclass(frozen=True)
class Choice(Reading):
    """What was chosen; None is the usual. `matrix` is a key of `MEASURES`, `donor` and `receiver` name the cell.

    `control` is the draw in the last pane, as `random-7`.
    """

    result: str | None = None
    matrix: str = "delta"
    donor: str | None = None
    receiver: str | None = None
    control: str | None = None


@dataclass(frozen=True)
class Shown:
    """What the choices come to: a result, its cell, and the control beside it; no result where there is none."""

    choice: Choice
    candidates: tuple[Result, ...]
    result: Result | None
    row: Row
    controls: dict[str, Row]

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.summary if self.result else {}

    @property
    def cell(self) -> tuple[str, str]:
        return self.row["donor"], self.row["receiver"]

    @property
    def control(self) -> str | None:
        """Which control is looked at: the chosen one, else the strongest; None where none was drawn."""
        if self.choice.control in self.controls:
            return self.choice.control
        return min(self.controls, key=lambda name: self.controls[name]["delta"], default=None)


def settle(values: dict[str, Any]) -> dict[str, Any]:
    """`cell` is (donor, receiver). Another result has other cells, another cell other controls."""
    if "cell" in values:
        donor, receiver = values.pop("cell")
        values = {"donor": donor, "receiver": receiver, "control": None, **values}
    if "result" in values:
        values = {"donor": None, "receiver": None, "control": None, "prompt": 1, **values}
    return values


def resolve(choice: Choice, there: Sequence[Result]) -> Shown:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    result = choices.pick_result(there, choice.result)
    if result is None:
        return Shown(choice, (), None, {}, {})
    cells = result.summary["cells"]
    row = next((row for row in cells if (row["donor"], row["receiver"]) == (choice.donor, choice.receiver)), None)
    row = row or usual_cell(result.summary)
    return Shown(choice, tuple(there), result, row, controls_of(row))


def usual_cell(summary: Mapping[str, Any]) -> Row:
    """Of the pairs, the one with the largest effect that holds; where none does, with the largest fall."""
    order = [*WORKED, "uncertain", "no effect", "broke the model"]

    def rank(row: Row) -> tuple[int, float]:
        return order.index(row["verdict"]) if row["verdict"] in order else len(order), row["delta"]

    return min((row for row in summary["cells"] if not is_own(row)), key=rank)


def controls_of(row: Row) -> dict[str, Row]:
    """Every control draw of a cell by its name in a link: `shuffled_map-0`."""
    return {f"{kind}-{draw['seed']}": draw for kind, draw in draws(row)}


def control_name(key: str, drawn: Mapping[str, Row] | None = None) -> str:
    """What a control draw is called in a list, with its change where that is given."""
    kind, _, seed = key.rpartition("-")
    name = f"{label(kind)}, draw {seed}"
    return f"{name}: {points(drawn[key]['delta'])}" if drawn and key in drawn else name


def read_link(given: Mapping[str, str], there: Sequence[Result]) -> tuple[Choice, list[str]]:
    """(choices, notes) of query parameters; what a link gets wrong is left out, with a note."""
    notes: list[str] = []
    choice = choices.take_result(Choice(), given, there, (), notes)
    choice = take(choice, "matrix", given, MEASURES, notes)
    now = resolve(choice, there)
    if now.result is not None:
        names = models(now.summary)
        choice = take(choice, "donor", given, names, notes)
        choice = take(choice, "receiver", given, names, notes)
        if (choice.donor is None) != (choice.receiver is None):
            choice = replace(choice, donor=None, receiver=None)
            if not notes:
                notes.append("The link names half a cell, which was left out: give donor and receiver.")
        there_are = resolve(choice, there).controls
        choice = take(choice, "control", given, there_are, notes, "this cell has no such draw")
        choice = read_prompt(choice, given, now.summary, notes)
    return read_filters(choice, given, PANES, notes), notes


def parameters(now: Shown, whole: bool = False) -> dict[str, str]:
    """Query parameters that restore what is shown; without `whole`, only what is not as usual."""
    found = choices.unusual(now.choice)
    if now.result is None:
        return found
    fallen_back = {
        "result": True,
        "donor": now.cell[0] != now.choice.donor,
        "receiver": now.cell[1] != now.choice.receiver,
        "control": now.control != now.choice.control,
    }
    found = {name: value for name, value in found.items() if not fallen_back.get(name)}
    if whole:
        found |= {"matrix": now.choice.matrix, "donor": now.cell[0], "receiver": now.cell[1]}
    if whole or now.result is not now.candidates[0]:
        found["result"] = now.result.key[:LINKED]
    return found


STATE: State[Choice, Shown] = State("Transfer", KIND, Choice(), resolve, read_link, parameters, settle)
