"""What every page shares: its frame and navigation, the one engine, and how an error is shown."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core import paths, scratch
from core.errors import TillerError

if TYPE_CHECKING:
    from core.generation.engine import Engine

NAME = "Tiller"
ABOUT = "**Tiller** — an interactive lab for emergent misalignment: finetune, find the direction, steer it back live."


@dataclass(frozen=True)
class Page:
    """An entry of the navigation; `file` is relative to the project."""

    title: str
    file: str
    icon: str


PAGES = (
    Page("Overview", "app.py", ":material/explore:"),
    Page("Steer", "pages/Steer.py", ":material/tune:"),
    Page("Separation", "pages/Separation.py", ":material/join_inner:"),
    Page("Spillover", "pages/Spillover.py", ":material/water_drop:"),
    Page("Transfer", "pages/Transfer.py", ":material/swap_horiz:"),
    Page("Organisms", "pages/Organisms.py", ":material/model_training:"),
    Page("Runs", "pages/Runs.py", ":material/history:"),
    Page("Methods", "pages/Methods.py", ":material/menu_book:"),
)


_clean = functools.cache(scratch.clean)  # once a process: what killed writers left in the cache


def bootstrap(title: str, page: str) -> None:
    """Draw the frame of a page; the first Streamlit call of `app.py` and of every page.

    `st.navigation` is not used: with a sibling `pages/` folder, the first deep link to a cold server would run
    the page without `app.py`.

    Args:
        title: for the browser tab; without it the tab only says the project's name.
        page: title of the entry in `PAGES` where we are.
    """
    st.set_page_config(
        page_title=f"{title} · {NAME}" if title else NAME,
        page_icon=_ICON,
        layout="wide",
        initial_sidebar_state="collapsed",
        menu_items={"About": ABOUT},  # without an entry the minimal toolbar would hide the choice of theme
    )
    _clean()
    st.html(f"<style>{_STYLE}</style>")
    with st.container(key="navigation", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<span class="tiller-name">{NAME}</span>', width="content")
        for entry in PAGES:
            link_to(entry.title, entry.title, icon=entry.icon)


def link_to(
    page: str, label: str, query: Mapping[str, str] | None = None, icon: str | None = None, help: str | None = None
) -> None:
    """A link to a page of `PAGES` by its title, with query parameters; nothing while that page does not exist."""
    entry = next((entry for entry in PAGES if entry.title == page), None)
    if entry is not None and (paths.ROOT / entry.file).is_file():
        st.page_link(entry.file, label=label, icon=icon, help=help, query_params=dict(query) if query else None)


def icon_of(page: str) -> str | None:
    """The icon of a page in the navigation; None for a page that does not exist."""
    return next((entry.icon for entry in PAGES if entry.title == page), None)


@st.cache_resource(show_spinner=False, on_release=lambda engine: engine.close())
def engine() -> Engine:
    """The process's one engine. Making it costs nothing: torch comes with its first job."""
    from core.generation.engine import Engine

    return Engine()


def show_error(error: TillerError | str, details: str | None = None) -> None:
    """One sentence and an action, as the error says them; what lies behind it is folded. No place of this machine."""
    st.error(literal_markdown(paths.placeless(str(error))), icon=":material/error:")
    if details is None and isinstance(error, TillerError) and error.__cause__ is not None:
        details = f"{type(error.__cause__).__name__}: {error.__cause__}"
    if details:
        with st.expander("Details"):
            st.code(paths.placeless(details), language=None, wrap_lines=True)


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Show a `TillerError` of the enclosed part of a page instead of a stack trace; other faults go on.

    Example: `with errors(): plan = complete(settings)`; what follows the block runs in either case.
    """
    try:
        yield
    except TillerError as error:
        show_error(error)


def literal_markdown(text: str) -> str:
    """`text` with the signs that Markdown would interpret escaped."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()<>#+-.!|$~:" else sign for sign in text)


# A picture of our own: Streamlit fetches its material icons for the browser's tab from another host.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b6170"/>'
    '<path d="M7 24 25 8" stroke="#9adbe3" stroke-width="3" stroke-linecap="round"/>'
    '<path d="M25 8h-8M25 8v8" stroke="#9adbe3" stroke-width="3" stroke-linecap="round"/>'
    '<circle cx="7" cy="24" r="3" fill="#fff"/></svg>'
)

# Streamlit's own header lies over the top of the page: it is made see-through, and the navigation takes its place.
# Captions, chart labels and, in the dark theme, the text of primary buttons are below 4.5 : 1 by default, a page link
# shows no focus, and a link in `st.html` has the browser's blue in both themes.
_STYLE = """
header.stAppHeader { background: transparent; pointer-events: none; height: 2.6rem; min-height: 0; }
[data-testid="stToolbar"] { pointer-events: none; }
header.stAppHeader :is(button, a, [role="menu"], [data-testid="stMainMenu"], [data-testid="stStatusWidget"]) {
  pointer-events: auto;
}
.stMainBlockContainer { padding-top: 0.5rem; padding-bottom: 2rem; max-width: 84rem; }
.stMainBlockContainer h1 { padding-top: 0; }
.st-key-navigation {
  padding: 0 3rem 0.35rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 16%, transparent);
}
.tiller-name { font-weight: 700; font-size: 1.15rem; letter-spacing: -0.01em; margin-right: 0.5rem; }
[class*="st-key-card"] a { padding-left: 0; }
[data-testid="stPageLink-NavLink"]:focus-visible { outline: 2px solid currentColor; outline-offset: 1px; }
.stApp button[kind="primary"]:not(:disabled) { color: light-dark(#fff, #0b1216); }
[data-testid="stCaptionContainer"] { opacity: 0.85; }
.stHtml a { color: inherit; }
.js-plotly-plot .main-svg text { fill: currentColor !important; }
"""
