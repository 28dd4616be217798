"""The page of a study: bar, what was found, the answers, where the numbers come from, and measuring it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.literal import literal
from pages.parts.shell import errors, show_error
from pages.parts.study.bar import note_html
from pages.parts.study.browser import Browser, show_browser
from pages.parts.study.form import Form, show_measuring
from pages.parts.study.provenance import Facts, show_provenance
from pages.parts.study.state import State

STYLE = Path(__file__).with_name("study.css")


@dataclass(frozen=True)
class StudyPage:
    """What a study adds to the page that all share; each part takes what is looked at.

    Attributes:
        bar: what is looked at, and the link.
        missing: said where nothing of that was measured here.
        body: verdict and figures.
        facts: where the numbers come from, of what there are how many, and HTML beneath.
        below_answers, below: what comes after the answers, and after the form.
        folded: where the numbers come from; a page without answers has room for it.
    """

    state: State[Any, Any]
    form: Form
    bar: Callable[[Any], None]
    missing: Callable[[Any], str]
    body: Callable[[Any], None]
    facts: Callable[[Any], tuple[Facts, str, str]]
    browser: Browser | None = None
    below_answers: Callable[[Any], None] | None = None
    below: Callable[[Any], None] | None = None
    folded: bool = True


def show(page: StudyPage) -> None:
    """Draw it. The frame of the page (`shell.bootstrap`) is there already."""
    st.html(STYLE)
    state = page.state
    now, notes = state.shown()
    page.bar(now)
    if notes:
        st.html(note_html(notes))
    for sentence in state.saved().damaged:
        show_error(sentence)
    if now.result is None:
        st.html(f'<p class="study-missing" role="status">{literal(page.missing(now))}</p>')
    else:
        page.body(now)
        if page.browser:
            with errors():
                show_browser(state, page.browser, now, now.result)
        if page.below_answers:
            page.below_answers(now)
        show_provenance(now.result, *page.facts(now), page.folded)
    show_measuring(state, page.form, now)
    if page.below:
        page.below(now)
    state.write_address()
