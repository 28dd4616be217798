"""Where the numbers of a result come from: what was measured, how, by which command, and when. All literal."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core import paths
from core.results import Result
from pages.parts.literal import literal

Facts = Sequence[tuple[str, str]]


def badge(result: Result) -> str:
    """Whether a result shipped or was made here, as HTML."""
    return f'<span class="study-badge">{"precomputed" if result.shipped else "measured here"}</span>'


def show_provenance(result: Result, facts: Facts, n: str, more: str = "") -> None:
    """Folded.

    Args:
        facts: (what, how it was) in the study's own words.
        n: of what there are how many, `n = 100 prompts`.
        more: HTML under the facts: limits, sources, links to the methods.
    """
    record = result.summary["provenance"]
    made = ("Made", f"{str(record.get('time', 'unknown'))[:10]} · result {result.key[:8]}")
    items = "".join(f"<div><dt>{literal(name)}</dt><dd>{literal(text)}</dd></div>" for name, text in (*facts, made))
    command = literal(paths.placeless(str(record.get("command", "unknown"))))
    with st.expander(f"Where the numbers come from: {n}", icon=":material/receipt_long:"):
        st.html(
            f"<dl class='study-facts'>{items}</dl><p class='study-small'>{badge(result)} Made by "
            f"<code>{command}</code>. {more}</p>"
        )
