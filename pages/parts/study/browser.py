"""The answer browser: one prompt, and what each arm answered to it, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.results import Result
from core.studies.moves import SAID
from pages.parts.downloads import show_answers_downloads
from pages.parts.methods import term
from pages.parts.shell import errors, link_to
from pages.parts.study.answers import Answers, Filter, Judged, Prompt, answers_of, matching
from pages.parts.study.bar import bound, show_list
from pages.parts.study.panes import pane_html, prompt_html
from pages.parts.study.reading import LONGEST_SEARCH, MOVES, Reading
from pages.parts.study.state import Looked, State

LONGEST_PROMPT = 2000  # characters that a link to Steer carries


@dataclass(frozen=True)
class Pane:
    """One arm: what it is called, who answered and how, and where its answers are.

    `steer` gives the query that opens it on Steer, `label` what that is called, `absent` why it cannot be.
    """

    name: str
    made_by: str
    setting: Mapping[str, Any]
    limits: Mapping[str, float]
    label: str = ""
    steer: Callable[[Prompt], Mapping[str, str] | None] | None = None
    absent: str = ""


@dataclass(frozen=True)
class Browser:
    """What a study puts into it.

    Attributes:
        panes: by key, at most `base`, `organism`, `steered` and `control`, of what is looked at.
        controls: drawn beside the heading.
        paging: drawn beside the pager.
    """

    title: str
    panes: Callable[[Any, Answers], Mapping[str, Pane]]
    controls: Callable[[Any], None] | None = None
    paging: Callable[[Any], None] | None = None


def show_browser(state: State[Any, Any], browser: Browser, now: Looked, result: Result) -> None:
    """Heading, controls and downloads, then the answers, which turn pages without drawing the rest again."""
    found = answers_of(result)  # a damaged table is said here, once
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"{state.name}-browser-top"):
        st.html(f"<h2 class='study-h'>{browser.title}</h2>", width="stretch")
        if browser.controls:
            browser.controls(now)
        show_answers_downloads(state.name, result, len(found.prompts))
    _browse(state, browser)


@st.fragment
def _browse(state: State[Any, Any], browser: Browser) -> None:
    if st.session_state.pop(_changed(state), False):
        st.rerun()
    now = state.current()
    if now.result is not None:
        with errors():
            _show(state, browser, now, answers_of(now.result))
    state.write_address()


def _show(state: State[Any, Any], browser: Browser, now: Looked, found: Answers) -> None:
    """Filters, pager and panes."""
    panes = browser.panes(now, found)
    answers = {key: found.of(pane.setting) for key, pane in panes.items()}
    chosen: Reading = now.choice
    _filters(state, now, panes)
    wanted = Filter(chosen.tier, chosen.moved, chosen.code, chosen.broken, chosen.find)
    there = matching(found.prompts, answers, wanted)
    at = (place for place, prompt in enumerate(there) if prompt.number >= chosen.prompt)
    place = next(at, max(0, len(there) - 1))
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key=f"{state.name}-pager"):
        _pager(state, there, place, len(found.prompts))
        if browser.paging:
            browser.paging(now)
    if there:
        _panes(state, now, there[place], panes, answers)


def _filters(state: State[Any, Any], now: Looked, panes: Mapping[str, Pane]) -> None:
    chosen: Reading = now.choice
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key=f"{state.name}-filters"):
        tiers = list(now.summary["suites"])
        if len(tiers) > 1:
            _select(state, "Tier", "tier", chosen.tier, {"": "all prompts", **{tier: tier for tier in tiers}})
        moves = {move: f"{move.replace('-', ' → ')}: {SAID[tuple(move.split('-'))]}" for move in MOVES}  # type: ignore[index]
        said = {"": "any change", **moves}
        _select(state, "Unsteered → steered", "moved", chosen.moved, said, 210, term("paired-changes"))
        names = {"": "any", **{key: key for key in panes}}
        _select(state, "Has code", "code", chosen.code, names)
        _select(state, "Broken", "broken", chosen.broken, names)
        bound(state)(
            st.text_input, "Search prompt and answers", "find", chosen.find, max_chars=LONGEST_SEARCH,
            placeholder="for example: flask",
        )  # fmt: skip


def _select(
    state: State[Any, Any], label: str, field: str, value: str | None, names: Mapping[str, str], width: int = 150,
    about: str | None = None,
) -> None:  # fmt: skip
    def taken(name: str) -> str | None:
        if field == "moved":  # a figure outside the browser outlines it
            st.session_state[_changed(state)] = True
        return name or None

    show_list(state, label, field, value or "", names, width=width, help=about, convert=taken)


def _changed(state: State[Any, Any]) -> str:
    """Where the session notes that something outside the browser must be drawn again."""
    return f"{state.name}_changed"


def _pager(state: State[Any, Any], there: Sequence[Prompt], place: int, n: int) -> None:
    for label, icon, step, shortcut in (
        ("Previous", ":material/chevron_left:", -1, "P"),
        ("Next", ":material/chevron_right:", 1, "N"),
    ):
        to = place + step
        st.button(
            label, icon=icon, shortcut=shortcut, key=f"{state.name}.{label}", disabled=not 0 <= to < len(there),
            on_click=state.choose, kwargs={"prompt": there[to].number if 0 <= to < len(there) else 1},
        )  # fmt: skip
    if there:
        filtered = "" if len(there) == n else f" that pass the filters, {n} in all"
        said = f"Prompt {place + 1} of {len(there)}{filtered}"
    else:
        said = f"None of the {n} prompts passes the filters. Choose “any” in one of them, or search for less."
    st.html(f'<span class="study-where" role="status">{said}</span>', width="stretch")


def _panes(
    state: State[Any, Any], now: Looked, prompt: Prompt, panes: Mapping[str, Pane],
    answers: Mapping[str, Sequence[Judged]],
) -> None:  # fmt: skip
    shown = "".join(
        pane_html(pane.name, pane.made_by, answers[key][prompt.number - 1], pane.limits) for key, pane in panes.items()
    )
    st.html(prompt_html(prompt, len(now.summary["suites"]) > 1) + f'<div class="study-panes">{shown}</div>')
    with st.container(horizontal=True, gap="small", key=f"{state.name}-steer"):
        for pane in panes.values():
            query = pane.steer(prompt) if pane.steer else None
            if query is not None:
                link_to("Steer", f":primary[{pane.label}]", query, ":material/tune:", "Live, with the same settings")
            elif pane.absent:
                st.caption(pane.absent)
