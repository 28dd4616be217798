"""The Transfer page: what it looks at, reads and says, on the page that all studies share."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import streamlit as st

from core.directions import library
from core.errors import TillerError
from core.generation.comparison import Settings, to_link
from core.studies.transfer.tables import is_own, member
from core.words import coefficient
from pages.parts.study.answers import Answers, Prompt
from pages.parts.study.browser import LONGEST_PROMPT, Browser, Pane
from pages.parts.study.page import StudyPage
from pages.parts.transfer import controls, figures, words
from pages.parts.transfer.choice import STATE, Shown, control_name
from pages.parts.transfer.measure import FORM

ABSENT = "This direction is not on this machine, so it cannot be steered with live."


def missing(_: Shown) -> str:
    return "No transfer study is on this machine. Measure one below, with organisms of at least two models."


def body(now: Shown) -> None:
    """The reading, the matrix on the left, the chosen cell on the right."""
    words.show_reading(now)
    over_cells, beside = st.columns([6, 5], gap="medium")
    with over_cells, st.container(key="transfer-panel-matrix"):
        figures.show_matrix(now)
    with beside, st.container(key="transfer-panel-cell"):
        words.show_cell(now)
        figures.show_strip(now)
        words.show_rates(now)


def panes(now: Shown, found: Answers) -> Mapping[str, Pane]:
    """The receiver's organism: not steered, with the cell's direction, and with a control."""
    row = now.row
    receiver = row["receiver"]
    of_receiver = member(now.summary, receiver)
    limits, name = of_receiver["limits"], of_receiver["organism_name"]
    dose = f"{coefficient(row['coefficient'])} at block {row['block']}"
    whose = "its own direction" if is_own(row) else f"{row['donor']}’s direction, mapped"
    organism = {"receiver": receiver, "direction": "organism"}
    steered = {"receiver": receiver, "direction": "mapped", "donor": row["donor"]}
    shown = {
        "organism": Pane("Organism", f"{receiver}, {name}, not steered", organism, limits),
        "steered": Pane(
            "Organism, steered", f"{whose}, {dose}", steered, limits, "Steer with it",
            functools.partial(steer_query, now), ABSENT,
        ),
    }  # fmt: skip
    if now.control is not None:
        setting = control(now, now.control, found)
        shown["control"] = Pane(f"Control: {control_name(now.control)}", f"same length, {dose}", setting, limits)
    return shown


def control(now: Shown, name: str, found: Answers) -> dict[str, object]:
    """The setting of a control of the cell, named as `random-7`; a random draw may serve the whole column."""
    kind, _, seed = name.rpartition("-")
    shared = {"receiver": now.row["receiver"], "direction": kind, "seed": int(seed)}
    return shared if shared in found else {**shared, "donor": now.row["donor"]}


def steer_query(now: Shown, prompt: Prompt) -> dict[str, str] | None:
    """The Steer page's link to a cell and a prompt; None where its direction is not on this machine."""
    row, settings = now.row, now.summary["settings"]
    try:
        if all(card.id != row["reference"] for card in library.cards(row["receiver"])):
            return None
        organism = member(now.summary, row["receiver"])["organism_name"]
        steered = Settings(
            model=row["receiver"], organism=organism, direction=row["reference"],
            block=row["block"], coefficient=row["coefficient"], scope=settings["scope"],
            max_tokens=settings["max_tokens"],
        )  # fmt: skip
        if len(prompt.text) <= LONGEST_PROMPT:
            steered = steered.model_copy(update={"prompt": prompt.text})
        return to_link(steered)
    except (TillerError, KeyError, ValueError):
        return None


PAGE = StudyPage(
    STATE,
    FORM,
    controls.show_bar,
    missing,
    body,
    words.facts,
    Browser("Read the answers of this cell", panes, paging=controls.show_control_choice),
    below_answers=figures.show_scores,
)
