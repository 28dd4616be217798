"""The Spillover page: what it looks at, reads and says, on the page that all studies share."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import streamlit as st

from core.errors import TillerError
from core.generation.comparison import Control, Settings, to_link
from core.studies.spillover.tables import Row
from core.studies.spillover.words import arm
from pages.parts.shell import errors
from pages.parts.spillover import controls, figures, words
from pages.parts.spillover.choice import STATE, Shown, beside_name
from pages.parts.spillover.measure import FORM
from pages.parts.study.answers import Answers, Prompt
from pages.parts.study.browser import LONGEST_PROMPT, Browser, Pane
from pages.parts.study.page import StudyPage


def missing(now: Shown) -> str:
    return (
        f"Spillover of {now.organism} ({now.model}) has not been measured with this direction and mode ({now.mode}) on "
        "this machine. Measure it below, or choose another organism, direction or mode."
    )


def body(now: Shown) -> None:
    """The verdict, doses on the left, draws and changes on the right."""
    words.show_verdict(now)
    over_doses, beside = st.columns([6, 5], gap="medium")
    with over_doses, st.container(key="spillover-panel-doses"):
        figures.show_doses(now)
        words.show_limits(now)
    with beside:
        with st.container(key="spillover-panel-draws"):
            figures.show_strip(now)
        with st.container(key="spillover-panel-moves"), errors():
            figures.show_moves(now)


def panes(now: Shown, _: Answers) -> Mapping[str, Pane]:
    """Base, organism, steered, and the control that was chosen."""
    limits, dose, control = now.summary["limits"], words.steered_words(now), beside_name(now.beside or "")
    named = now.directions.get(now.direction or "", "the direction")
    found = {
        "base": Pane("Base model", f"{now.model}, no organism", arm(now.summary, "base"), limits),
        "organism": Pane("Organism", f"{now.organism}, not steered", arm(now.summary, "organism"), limits),
        "steered": Pane(
            "Organism, steered", f"{named}, {dose}", now.steered, limits, "Steer this prompt",
            functools.partial(steer_query, now, now.steered),
        ),
    }  # fmt: skip
    if now.beside is not None:
        row = now.besides[now.beside]
        found["control"] = Pane(
            f"Control: {control}", f"{control} direction of the same length, {dose}", row, limits,
            f"Steer it with the control ({control})", functools.partial(steer_query, now, row),
        )  # fmt: skip
    return found


def steer_query(now: Shown, row: Row, prompt: Prompt) -> dict[str, str] | None:
    """The Steer page's link to a setting and a prompt; None where it cannot be made."""
    settings = now.summary["settings"]
    if len(prompt.text) > LONGEST_PROMPT:
        return None
    control: Control | None = None if row["direction"] == "true" else row["direction"]
    try:
        return to_link(
            Settings(
                model=now.model, organism=now.organism, direction=now.direction, control=control,
                control_seed=row["seed"] or 0, mode=settings["mode"], block=row["block"], last_block=row["last_block"],
                coefficient=row["coefficient"], scope=settings["scope"], max_tokens=settings["max_tokens"],
                temperature=settings["temperature"], prompt=prompt.text,
            )
        )  # fmt: skip
    except (TillerError, KeyError, ValueError):
        return None


PAGE = StudyPage(
    STATE,
    FORM,
    controls.show_bar,
    missing,
    body,
    words.facts,
    Browser("Read the answers", panes, controls.show_dose),
)
