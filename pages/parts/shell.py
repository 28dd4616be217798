"""What every page shares: its frame and navigation, the one engine, and how an error is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from core import paths
from core.errors import TillerError
from core.generation.engine import Engine

NAME = "Tiller"


@dataclass(frozen=True)
class Page:
    """An entry of the navigation; `file` is relative to the project."""

    title: str
    file: str
    icon: str


PAGES = (
    Page("Overview", "app.py", ":material/explore:"),
    Page("Steer", "pages/Steer.py", ":material/tune:"),
)


def bootstrap(title: str, page: str) -> None:
    """Draw the frame of a page; the first Streamlit call of `app.py` and of every page.

    `st.navigation` is not used: with a sibling `pages/` folder, the first deep link to a cold server would run
    the page without `app.py`.

    Args:
        title: for the browser tab; without it the tab only says the project's name.
        page: title of the entry in `PAGES` where we are.
    """
    here = next((entry for entry in PAGES if entry.title == page), PAGES[0])
    st.set_page_config(
        page_title=f"{title} · {NAME}" if title else NAME,
        page_icon=here.icon,
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    st.html(f"<style>{_STYLE}</style>")
    with st.container(key="navigation", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<span class="tiller-name">{NAME}</span>', width="content")
        for entry in PAGES:
            if (paths.ROOT / entry.file).is_file():
                st.page_link(entry.file, label=entry.title, icon=entry.icon)


@st.cache_resource(show_spinner=False, on_release=Engine.close)
def engine() -> Engine:
    """The process's one engine. Making it costs nothing: torch comes with its first job."""
    return Engine()


def show_error(error: TillerError | str, details: str | None = None) -> None:
    """One sentence and an action, as the error says them; what lies behind it is folded."""
    st.error(_literal(str(error)), icon=":material/error:")
    if details is None and isinstance(error, TillerError) and error.__cause__ is not None:
        details = f"{type(error.__cause__).__name__}: {error.__cause__}"
    if details:
        with st.expander("Details"):
            st.code(details, language=None, wrap_lines=True)


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Show a `TillerError` of the enclosed part of a page instead of a stack trace; other faults go on.

    Example: `with errors(): plan = complete(settings)`; what follows the block runs in either case.
    """
    try:
        yield
    except TillerError as error:
        show_error(error)


def _literal(text: str) -> str:
    """`text` with the signs that Markdown would interpret escaped."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()<>#+-.!|$~:" else sign for sign in text)


_STYLE = """
.stMainBlockContainer { padding-top: 0.75rem; padding-bottom: 2rem; max-width: 84rem; }
.st-key-navigation { padding-bottom: 0.25rem; margin-bottom: 0.25rem; }
.tiller-name { font-weight: 700; font-size: 1.15rem; letter-spacing: -0.01em; margin-right: 0.75rem; }
"""
