"""A row of the Runs page: what is said, what can be done, and below one part that is folded until asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts.shell import icon_of, link_to

UNFOLDED = "runs_unfolded"  # the name of a row: its part that is shown


@contextlib.contextmanager
def row(name: str) -> Iterator[tuple[DeltaGenerator, DeltaGenerator]]:
    """(what is said, what can be done) side by side, or below each other where there is no room."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"run-row-{name}"):
        said = st.container(key=f"run-said-{name}", gap="xsmall")
        yield said, st.container(horizontal=True, gap="small", width="content", vertical_alignment="center")


def show_link(target: tuple[str, dict[str, str]] | None) -> None:
    """A link to the page that shows what was made; nothing where no page does."""
    if target is not None:
        page, query = target
        link_to(page, f"Open in {page}", query, icon_of(page))


def unfolded(name: str) -> str | None:
    """Which part of a row is shown."""
    return st.session_state.get(UNFOLDED, {}).get(name)


def show_fold(name: str, part: str, label: str, back: str) -> None:
    """A button that shows a part of a row, or hides it again under its other label.

    Not a popover: what that holds comes after everything else on the page for whoever uses the keyboard.
    """
    is_open = unfolded(name) == part
    icon = ":material/expand_less:" if is_open else ":material/expand_more:"
    st.button(
        back if is_open else label, key=f"{part}-{name}", icon=icon, type="tertiary", on_click=_fold, args=(name, part)
    )


def show_confirmation(name: str, warning: str, label: str, delete: Callable[[], Any]) -> None:
    """What deleting means, and the button that does it; the fold's other label keeps the thing."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f'<p class="run-small">{warning}</p>', width="content")
        st.button(label, icon=":material/delete:", key=f"delete-{name}-yes", on_click=_confirmed, args=(name, delete))


def _fold(name: str, part: str) -> None:
    there = dict(st.session_state.get(UNFOLDED, {}))
    st.session_state[UNFOLDED] = {**there, name: None if there.get(name) == part else part}


def _confirmed(name: str, delete: Callable[[], Any]) -> None:
    _fold(name, "delete")
    delete()
