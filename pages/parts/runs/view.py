"""What the Runs page lists: the session's filters, and the link that restores them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import streamlit as st

from core import jobs
from core.results import places
from pages.parts import address
from pages.parts.choices import left_out
from pages.parts.widgets import bound

PAGE = "runs"
VIEW, NOTES = "runs_view", "runs_notes"
WIDGET = "runs.here"  # there while the page has not been left
ALL = "all"
STATES = ("done", "stopped", "failed", "lost")
STEP = 10  # rows that a list shows at first, and that each "Show more" adds


@dataclass(frozen=True)
class View:
    """Which of the jobs that are over, and which of the results; `jobs` and `results` rows of them at most."""

    state: str = ALL
    command: str = ALL
    kind: str = ALL
    jobs: int = STEP
    results: int = STEP


def shown() -> tuple[View, Sequence[str]]:
    """The filters, and notes on a link that was not understood, until the next choice."""
    given = address.news(PAGE, WIDGET in st.session_state)
    st.session_state[WIDGET] = True
    if given is not None:
        view, notes = read_link(given)
        st.session_state.update({VIEW: view, NOTES: notes})
    return st.session_state.setdefault(VIEW, View()), st.session_state.get(NOTES, ())


def choose(**values: Any) -> None:
    """Change some filters; a list that is filtered anew starts at its top."""
    if {"state", "command"} & set(values):
        values["jobs"] = STEP
    if "kind" in values:
        values["results"] = STEP
    st.session_state.update({VIEW: replace(st.session_state.get(VIEW, View()), **values), NOTES: ()})


def read_link(given: Mapping[str, str]) -> tuple[View, list[str]]:
    """(filters, notes) of query parameters; what a link gets wrong is left out, with a note."""
    known: dict[str, Collection[str]] = {
        "state": STATES,
        "command": {job.arguments[0] for job in jobs.jobs() if job.arguments} if "command" in given else (),
        "kind": {place.kind for place in places()} if "kind" in given else (),
    }
    view, notes = View(), []
    for name, options in known.items():
        if given.get(name) in options:
            chosen: dict[str, Any] = {name: given[name]}
            view = replace(view, **chosen)
        elif name in given:
            there = f"choose {', '.join(sorted(options))}" if options else "there is nothing of it here"
            notes.append(left_out(name, given[name], there))
    return view, notes


def write(view: View) -> None:
    """Put the filters into the address."""
    names = [field.name for field in fields(View) if field.type == "str"]
    address.write(PAGE, {name: str(getattr(view, name)) for name in names if getattr(view, name) != ALL})


def show_filter(label: str, name: str, options: Sequence[str], now: View) -> None:
    """A choice of one of the options, or of all; what is chosen but gone stays choosable."""
    chosen = getattr(now, name)
    there = list(dict.fromkeys([ALL, *options, chosen]))
    bound(PAGE, choose, partial(st.selectbox, width=150), label, name, chosen, there, start="index")


def show_more(name: str, there: int, now: View) -> None:
    """A button for more rows of a list, where it has more than are shown."""
    most = getattr(now, name)
    if there > most:
        st.button(
            f"Show more ({most} of {there})", key=f"runs.more.{name}", on_click=choose, kwargs={name: most + STEP}
        )
