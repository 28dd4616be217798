"""The response browser: one prompt, answered by base, organism, steered organism and a control, side by side."""

from __future__ import annotations

import functools

import streamlit as st

from core.errors import TillerError
from core.figures.spillover_changes import SAID
from core.generation.comparison import Control, Settings, to_link
from core.studies.spillover_words import arm
from pages.parts import address
from pages.parts.downloads import show_answers_downloads
from pages.parts.methods import term
from pages.parts.shell import errors, link_to
from pages.parts.spillover.answers import Answers, Filter, Judged, Prompt, Row, answers_of, matching
from pages.parts.spillover.choice import (
    LONGEST_SEARCH,
    MOVES,
    PAGE,
    PANES,
    Shown,
    beside_name,
    choose,
    current,
    parameters,
)
from pages.parts.spillover.controls import bound, show_beside, show_dose
from pages.parts.spillover.panes import pane_html, prompt_html
from pages.parts.spillover.words import steered_words

CHANGED = "spillover_changed"  # something outside the browser must be drawn again
LONGEST_PROMPT = 2000  # characters that a link to Steer carries


def show_browser(now: Shown) -> None:
    """Heading, downloads and dose, then the browser itself, which turns pages without drawing the rest again."""
    assert now.result is not None
    answers_of(now.result)  # a damaged table is said here, once
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="spillover-browser-top"):
        st.html("<h2 class='spill-h'>Read the answers</h2>", width="stretch")
        show_dose(now)
        show_beside(now)
        show_answers_downloads("spillover", now.result, len(answers_of(now.result).prompts))
    _browse()


@st.fragment
def _browse() -> None:
    if st.session_state.pop(CHANGED, False):
        st.rerun()
    now = current()
    if now.result is not None:
        with errors():
            _show(now, answers_of(now.result))
    address.write(PAGE, parameters(now))


def _show(now: Shown, found: Answers) -> None:
    """Filters, pager and panes."""
    panes = {"base": arm(now.summary, "base"), "organism": arm(now.summary, "organism"), "steered": now.steered}
    if now.beside is not None:
        panes["control"] = now.besides[now.beside]
    answers = {name: found.of(row) for name, row in panes.items()}
    _filters(now)
    chosen = now.choice
    wanted = Filter(chosen.tier, chosen.moved, chosen.code, chosen.broken, chosen.find)
    there = matching(found.prompts, answers, wanted)
    at = (place for place, prompt in enumerate(there) if prompt.number >= chosen.prompt)
    place = next(at, max(0, len(there) - 1))
    _pager(there, place, len(found.prompts))
    if there:
        _panes(now, there[place], panes, answers)


def _filters(now: Shown) -> None:
    chosen = now.choice
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="spillover-filters"):
        tiers = list(now.summary["suites"])
        if len(tiers) > 1:
            _select("Tier", "tier", chosen.tier, {"": "all prompts", **{tier: tier for tier in tiers}})
        said = {move: f"{move.replace('-', ' → ')}: {SAID[tuple(move.split('-'))]}" for move in MOVES}  # type: ignore[index]
        _select("Unsteered → steered", "moved", chosen.moved, {"": "any change", **said}, 210, term("paired-changes"))
        _select("Has code", "code", chosen.code, {"": "any", **PANES})
        _select("Broken", "broken", chosen.broken, {"": "any", **PANES})
        bound(
            st.text_input, "Search prompt and answers", "find", chosen.find, max_chars=LONGEST_SEARCH,
            placeholder="for example: flask",
        )  # fmt: skip


def _select(
    label: str, field: str, value: str | None, names: dict[str, str], width: int = 150, about: str | None = None
) -> None:
    bound(
        st.selectbox, label, field, value or "", list(names), start="index", width=width, help=about,
        format_func=lambda name: names.get(name, name), convert=functools.partial(_taken, field),
    )  # fmt: skip


def _taken(field: str, name: str) -> str | None:
    if field == "moved":
        st.session_state[CHANGED] = True
    return name or None


def _pager(there: list[Prompt], place: int, n: int) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="spillover-pager"):
        for label, icon, step, shortcut in (
            ("Previous", ":material/chevron_left:", -1, "P"),
            ("Next", ":material/chevron_right:", 1, "N"),
        ):
            to = place + step
            st.button(
                label, icon=icon, shortcut=shortcut, key=f"spillover.{label}", disabled=not 0 <= to < len(there),
                on_click=choose, kwargs={"prompt": there[to].number if 0 <= to < len(there) else 1},
            )  # fmt: skip
        if there:
            filtered = "" if len(there) == n else f" that pass the filters, {n} in all"
            said = f"Prompt {place + 1} of {len(there)}{filtered}"
        else:
            said = f"None of the {n} prompts passes the filters. Choose “any” in one of them, or search for less."
        st.html(f'<span class="spill-where" role="status">{said}</span>', width="stretch")


def _panes(now: Shown, prompt: Prompt, panes: dict[str, Row], answers: dict[str, list[Judged]]) -> None:
    st.html(prompt_html(prompt, len(now.summary["suites"]) > 1))
    dose, control = steered_words(now), beside_name(now.beside or "")
    names = {
        "base": ("Base model", f"{now.model}, no organism"),
        "organism": ("Organism", f"{now.organism}, not steered"),
        "steered": ("Organism, steered", f"{now.directions.get(now.direction or '', 'the direction')}, {dose}"),
        "control": (f"Control: {control}", f"{control} direction of the same length, {dose}"),
    }
    limits = now.summary["limits"]
    shown = "".join(pane_html(*names[name], answers[name][prompt.number - 1], limits) for name in panes)
    st.html(f'<div class="spill-panes">{shown}</div>')
    with st.container(horizontal=True, gap="small", key="spillover-steer"):
        for name, label in (("steered", "Steer this prompt"), ("control", f"Steer it with the control ({control})")):
            query = steer_query(now, panes[name], prompt) if name in panes else None
            if query is not None:
                link_to("Steer", f":primary[{label}]", query, ":material/tune:", "Live, with the same settings")


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
