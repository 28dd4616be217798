"""What the Transfer page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from core import results
from core.directions.names import label
from core.errors import DamagedArtifact
from core.figures.transfer_tables import MEASURES, Row, draws, is_own, models
from core.results import Place, Result
from core.studies.transfer.settings import KIND
from core.studies.transfer_words import WORKED
from core.words import points
from pages.parts import address, choices
from pages.parts.choices import LINKED, left_out, take

PAGE = "transfer"
CHOICE, NOTES = choices.session_keys(PAGE)
WIDGET = "transfer.measure"  # there while the page has not been left


@dataclass(frozen=True)
class Choice:
    """What was chosen; None is the usual. `matrix` is a key of `MEASURES`, `donor` and `receiver` name the cell.

    `control` is the draw in the last pane, as `random-7`; `prompt` counts from 1.
    """

    result: str | None = None
    matrix: str = "delta"
    donor: str | None = None
    receiver: str | None = None
    control: str | None = None
    prompt: int = 1


@dataclass(frozen=True)
class Saved:
    """The results that there are, shipped ones first, then the newest, and a sentence for each that is damaged."""

    results: tuple[Result, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """What the choices come to: a result, its cell, and the control beside it."""

    choice: Choice
    there: tuple[Result, ...]
    result: Result
    row: Row
    controls: dict[str, Row]

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.summary

    @property
    def cell(self) -> tuple[str, str]:
        return self.row["donor"], self.row["receiver"]

    @property
    def control(self) -> str | None:
        """Which control is looked at: the chosen one, else the strongest; None where none was drawn."""
        if self.choice.control in self.controls:
            return self.choice.control
        return min(self.controls, key=lambda name: self.controls[name]["delta"], default=None)


def shown() -> tuple[Shown | None, Sequence[str]]:
    """What to show now (None: there is no result), and notes on a link that was not understood."""
    there = saved().results
    notes = choices.follow(PAGE, WIDGET in st.session_state, functools.partial(read_link, there=there))
    return current(), notes


def current() -> Shown | None:
    """What to show by the session's choices, whatever the address says."""
    return resolve(st.session_state.setdefault(CHOICE, Choice()), saved().results)


def saved() -> Saved:
    """All results, read again only when one has come, gone or changed."""
    return _saved(tuple(place for place in results.places() if place.kind == KIND))


@functools.lru_cache(maxsize=2)
def _saved(places: tuple[Place, ...]) -> Saved:
    found, damaged = [], []
    for place in places:
        try:
            found.append(place.read())
        except DamagedArtifact as error:
            damaged.append(str(error))
        except FileNotFoundError:
            continue
    found.sort(key=lambda item: (item.shipped, str(item.summary["provenance"].get("time", ""))), reverse=True)
    once: dict[str, Result] = {}  # a shipped one stands for the same made here
    for item in found:
        once.setdefault(item.key, item)
    return Saved(tuple(once.values()), tuple(damaged))


def choose(**values: Any) -> None:
    """Change some choices; `cell` is (donor, receiver). Another result has other cells, another cell other controls."""
    if "cell" in values:
        donor, receiver = values.pop("cell")
        values = {"donor": donor, "receiver": receiver, "control": None, **values}
    if "result" in values:
        values = {"donor": None, "receiver": None, "control": None, "prompt": 1, **values}
    choices.change(PAGE, Choice(), values)


def open_result(summary: Mapping[str, Any]) -> None:
    """Show a result."""
    choose(result=summary["key"])


def resolve(choice: Choice, there: Sequence[Result]) -> Shown | None:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    result = choices.pick_result(there, choice.result)
    if result is None:
        return None
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
    if now is None:
        return choice, notes
    names = models(now.summary)
    choice = take(choice, "donor", given, names, notes)
    choice = take(choice, "receiver", given, names, notes)
    if (choice.donor is None) != (choice.receiver is None):
        choice = replace(choice, donor=None, receiver=None)
        if not notes:
            notes.append("The link names half a cell, which was left out: give donor and receiver.")
    cell = resolve(choice, there)
    assert cell is not None
    choice = take(choice, "control", given, cell.controls, notes, "this cell has no such draw")
    n = now.summary["n"]
    if given.get("prompt", "1") not in {f"{number}" for number in range(1, n + 1)}:
        notes.append(left_out("prompt", given["prompt"], f"prompts run from 1 to {n}"))
    elif "prompt" in given:
        choice = replace(choice, prompt=int(given["prompt"]))
    return choice, notes


def parameters(now: Shown, whole: bool = False) -> dict[str, str]:
    """Query parameters that restore what is shown; without `whole`, only what is not as usual."""
    found = choices.unusual(now.choice)
    fallen_back = {
        "result": True,
        "donor": now.cell[0] != now.choice.donor,
        "receiver": now.cell[1] != now.choice.receiver,
        "control": now.control != now.choice.control,
    }
    found = {name: value for name, value in found.items() if not fallen_back.get(name)}
    if whole:
        found |= {"matrix": now.choice.matrix, "donor": now.cell[0], "receiver": now.cell[1]}
    if whole or now.result is not now.there[0]:
        found["result"] = now.result.key[:LINKED]
    return found


def link(now: Shown) -> str:
    """The whole address to copy."""
    return address.whole("Transfer", parameters(now, whole=True))
