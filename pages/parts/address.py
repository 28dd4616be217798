"""A page's choices and its address, kept in step: one step of Back a change.

The address is written whenever a choice changes; one that this session did not write itself (opened, typed, Back)
is followed. The browser's address lags behind what was written, so the one before it is no news for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st

LAG_SECONDS = 3.0


def news(page: str, on_page: bool) -> dict[str, str] | None:
    """The query parameters where they came from outside, else None.

    Args:
        page: whose address it is; each page keeps its own place in the session.
        on_page: whether the last run of the session was of this page; coming from another page with a plain link
            keeps the session's choices.
    """
    given = st.query_params.to_dict()
    seen = st.session_state.get(f"{page}_address")
    if seen is None:
        return _followed(page, given)
    if not on_page:
        return _followed(page, given) if given and given != seen else None
    before, when = st.session_state.get(f"{page}_address_before", (None, 0.0))
    lagging = given == before and time.monotonic() - when < LAG_SECONDS
    return None if given == seen or lagging else _followed(page, given)


def write(page: str, wanted: dict[str, str]) -> None:
    """Put the parameters that restore what is shown into the address."""
    seen = st.session_state.get(f"{page}_address")
    if wanted != seen:
        st.session_state[f"{page}_address_before"] = (seen, time.monotonic())
        st.session_state[f"{page}_address"] = wanted
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)


def whole(page: str, wanted: Mapping[str, str]) -> str:
    """The address to copy: of a page by its title, with parameters."""
    base = (st.context.url or "").rstrip("/").removesuffix(f"/{page}")
    query = urlencode(wanted)
    return f"{base}/{page}{'?' + query if query else ''}"


def _followed(page: str, given: dict[str, str]) -> dict[str, str]:
    st.session_state[f"{page}_address"] = given
    return given
