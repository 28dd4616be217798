"""Where the numbers of a result come from: what was measured, how, by which command, and when. All literal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import paths
from core.results import Result
from pages.parts.literal import literal

Facts = Sequence[tuple[str, str]]


def badge(result: Result) -> str:
    """Whether a result shipped or was made here, as HTML."""
    return f'<span class="study-badge">{"precomputed" if result.shipped else "measured here"}</span>'


def show_provenance(result: Result, facts: Facts, n: str, more: str = "", folded: bool = True) -> None:
    """The facts, the command, the date.

    Args:
        facts: (what, how it was) in the study's own words.
        n: of what there are how many, `n = 100 prompts`.
        more: HTML under the facts: limits, sources, links to the methods.
    """
    record = result.summary["provenance"]
    made = ("Made", f"{str(record.get('time', 'unknown'))[:10]} · result {result.key[:8]}")
    items = "".join(f"<div><dt>{literal(name)}</dt><dd>{literal(text)}</dd></div>" for name, text in (*facts, made))
    command = literal(paths.placeless(str(record.get("command", "unknown"))))
    with st.expander(f"Where the numbers come from: {n}", icon=":material/receipt_long:", expanded=not folded):
        st.html(
            f"<dl class='study-facts'>{items}</dl><p class='study-small'>{badge(result)} Made by "
            f"<code>{command}</code>. {more}</p>"
        )


def organism_facts(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Model, adapter, direction and answers of a study of one organism."""
    record, settings = summary["provenance"], summary["settings"]
    return [
        ("Model", f"{summary['model']}, {record.get('dtype', 'unknown')} on {record.get('device', 'unknown')}"),
        ("Adapter", f"{summary['organism']} {str(record.get('adapter', 'unknown'))[:8]}"),
        ("Direction", f"{summary['direction_name']} ({summary['direction'][:8]})"),
        ("Answers", f"up to {settings.get('max_tokens', 'unknown')} tokens, {record.get('decoding', 'unknown')}"),
    ]


def show_verdict(result: Result, word: str, rest: str, look: str = "none", sign: str = "", about: str = "",
                 numbers: Sequence[str] = ()) -> None:  # fmt: skip
    """What was found: the word with its sign, and the sentences with their numbers.

    Args:
        look: `good`, `mixed`, `bad` or `none`.
        about: HTML after the word: what it means.
        numbers: HTML, each a number by itself.
    """
    mark = f'<span aria-hidden="true">{sign}</span> ' if sign else ""
    said = f'<span class="study-small">{about}</span>' if about else ""
    beside = f'<dl class="study-numbers">{"".join(numbers)}</dl>' if numbers else ""
    st.html(
        f'<section class="study-verdict is-{look}" role="status" aria-label="Verdict"><h1>{mark}{literal(word)}</h1>'
        f"{badge(result)}{said}<p>{literal(rest)}</p>{beside}</section>"
    )
