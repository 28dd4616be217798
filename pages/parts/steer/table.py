"""The numbers behind the colours, a line a token: what a tooltip shows, without a mouse."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.parts.methods import term
from pages.parts.steer.compare import results
from pages.parts.steer.panes import title
from pages.parts.steer.results import Now, Result, tint_of


def show_table(now: Now) -> None:
    """A folded table; its rows are worked out only when it is opened."""
    found = results(now)
    if not any(answer.tokens for result in found for answer in result.answers):
        return
    folded = st.expander("Numbers per token", icon=":material/table_rows:", on_change="rerun", key="steer.table")
    if folded.open:
        with folded:
            st.dataframe(lines(found, now), hide_index=True, height=320)
            st.caption(term("projection"))


def lines(found: list[Result], now: Now) -> list[dict[str, Any]]:
    """One record a token; missing is None, not 0."""
    tint = tint_of(found, now)
    return [
        {
            "pane": title(answer.row),
            "token": place,
            "text": repr(token.text)[1:-1],
            "projection": token.projection,
            "from the base mean": None if tint is None or token.projection is None else token.projection - tint.centre,
            "log-probability": token.logprob,
        }
        for result in found
        for answer in result.answers
        for place, token in enumerate(answer.tokens)
    ]
