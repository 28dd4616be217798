"""Measure it here: what the folded forms of the studies share, and the job until its result opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core import paths
from core.errors import TillerError
from core.models import sources
from core.models.catalog import CATALOG, ModelSpec
from core.studies.study import Study, arguments, find
from pages.parts import jobs as work
from pages.parts.choices import organism_names
from pages.parts.models import by_id, on_command_line, take_typed
from pages.parts.shell import errors, show_error

MOST_MEGABYTES = 20  # of a file of prompts
PROMPT_FILES = ["txt", "jsonl"]
MODEL_HELP = "One that is on this machine, or type a folder on this computer or `owner/name` of the hub."
START_HELP = "Runs beside the app and takes turns with other long work. Saved results are shown at once."

OpenResult = Callable[[Mapping[str, Any]], None]


def show_measuring(
    verb: str, slot: str, expanded: bool, form: Callable[[Any], None], now: Any, open_result: OpenResult
) -> None:
    """The folded form, and what runs.

    Args:
        verb: the study's command.
        slot: where the session keeps its own job of it.
        expanded: open even while nothing runs.
        form: draws the form for what the page shows `now`.
        open_result: shows the result with a summary, which a finished job of this session made.
    """
    running = work.live(verb)
    label = "Measure it here" + (" · running" if running else "")
    with st.expander(label, icon=":material/straighten:", expanded=bool(running) or expanded):
        st.fragment(form)(now)
        st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(verb, slot, open_result, bool(running))


def show_model(page: str, model: str) -> tuple[str, ModelSpec] | None:
    """(what the command line takes as the chosen or typed model, the model); None, with the error shown, for none."""
    known = list(dict.fromkeys([model, *(spec.id for spec in CATALOG.values() if sources.is_ready(spec))]))
    typed = st.selectbox("Model", known, key=f"{page}.form.model.{model}", accept_new_options=True, help=MODEL_HELP)
    try:
        if typed in (None, model):
            return on_command_line(model), by_id(model)
        return typed, take_typed(typed)
    except TillerError as error:
        show_error(error)
        return None


def show_organism(page: str, model: str, usual: str) -> str | None:
    """Which organism of a model; None where it has none."""
    names = organism_names(model)
    place = names.index(usual) if usual in names else 0
    return st.selectbox("Organism", names, place, key=f"{page}.form.organism.{model}.{usual}")


def show_start(key: str, trouble: str, ready: bool, start: Callable[[], None]) -> None:
    """The button that measures; under it what was wrong when it was last pressed.

    Args:
        trouble: where the session keeps that.
        start: may raise `TillerError`.
    """
    if st.button("Measure", type="primary", icon=":material/play_arrow:", key=key, disabled=not ready, help=START_HELP):
        attempt(trouble, start)
    show_trouble(trouble)


def open_or_begin(study: Study[Any, Any], settings: Any, title: str, slot: str, open_result: OpenResult) -> None:
    """Show the saved result of these settings, else start measuring; `slot` is where the session keeps the job.

    Raises:
        TillerError: settings that do not fit together, or a job that cannot be started.
    """
    saved = find(study, settings)
    if saved is not None:
        open_result(saved.summary)
    else:
        work.begin(arguments(study, settings), title, slot)


def attempt(trouble: str, action: Callable[[], None]) -> None:
    """Do it and draw the page again; what was wrong is kept in the session under `trouble`."""
    st.session_state[trouble] = None
    try:
        with paths.writable_errors():
            action()
    except TillerError as error:
        st.session_state[trouble] = str(error)
    st.rerun()


def show_trouble(trouble: str) -> None:
    """What was wrong when it was last tried."""
    if st.session_state.get(trouble):
        show_error(st.session_state[trouble])


def _watch(verb: str, slot: str, open_result: OpenResult, polling: bool) -> None:
    running = work.live(verb)
    for job in running:
        work.show_job(job)
    mine = work.own(slot)
    if mine is not None and mine.state == "done":
        st.session_state.pop(slot)
        with errors():
            open_result(mine.result())
        st.rerun()
    if polling and not running:
        st.rerun()
    if mine is not None and not mine.live:
        work.show_end(mine)
