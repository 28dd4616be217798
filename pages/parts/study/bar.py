"""The bar over a study: what is looked at, which measurement of it, and the link that restores it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.models.catalog import CATALOG
from core.results import Result
from pages.parts import widgets
from pages.parts.choices import organism_names
from pages.parts.literal import literal
from pages.parts.study.state import Looked, State


def bound(state: State[Any, Any]) -> Callable[..., None]:
    """`widgets.bound` for the choices of a page."""
    return functools.partial(widgets.bound, state.name, state.choose)


def show_list(
    state: State[Any, Any], label: str, field: str, value: Any, names: Mapping[Any, str] | Sequence[Any], **options: Any
) -> None:
    """One of several, each by the name it is to be called; one that is not among them is shown as it is."""
    said = names if isinstance(names, Mapping) else {}
    bound(state)(
        st.selectbox, label, field, value, list(names), start="index",
        format_func=lambda item: said.get(tuple(item) if isinstance(item, list) else item, str(item)), **options,
    )  # fmt: skip


def show_switch(
    state: State[Any, Any], label: str, field: str, value: Any, names: Mapping[str, str], **options: Any
) -> None:
    """One of a few, side by side."""
    bound(state)(
        st.segmented_control, label, field, value, list(names), start="default", required=True,
        format_func=lambda name: names.get(name, name), **options,
    )  # fmt: skip


def show_organism(state: State[Any, Any], model: str, there: Sequence[str], organism: str, **options: Any) -> None:
    """Of those that were measured or are on this machine."""
    names = list(dict.fromkeys([*there, *organism_names(model), organism]))
    show_list(state, "Organism", "organism", organism, names, **options)


def show_model(state: State[Any, Any], there: Sequence[str], model: str, **options: Any) -> None:
    """Where several were measured."""
    if len(there) > 1:
        titles = {name: CATALOG[name].title if name in CATALOG else name for name in there}
        show_list(state, "Model", "model", model, titles, width=260, **options)


def show_measurement(
    state: State[Any, Any], now: Looked, said: Callable[[Result], str], label: str = "Measurement", **options: Any
) -> None:
    """Where there are several of what is looked at."""
    if len(now.candidates) > 1 and now.result is not None:
        made = {item.key: said(item) for item in now.candidates}
        show_list(state, label, "result", now.result.key, made, **options)


def show_link(state: State[Any, Any], now: Looked, **options: Any) -> None:
    """The address that restores what is shown."""
    with st.popover("Link", icon=":material/link:", **options):
        st.caption("Restores exactly this, on any machine that has the result.")
        st.code(state.link(now), language=None, wrap_lines=True)


def made(result: Result) -> str:
    """Whether it shipped, or when it was measured."""
    time = str(result.summary["provenance"].get("time", "unknown date"))[:10]
    return "precomputed" if result.shipped else f"measured {time}"


def note_html(texts: Sequence[str]) -> str:
    """Notes on a link, as one."""
    return f'<div class="study-note" role="status">{literal(" ".join(texts))}</div>'
