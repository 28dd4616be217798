"""Widgets that show a setting kept elsewhere, and change it when the user does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st


def fresh_key(page: str, name: str, shown: Any) -> str:
    """The key of a page's widget that is to show `shown`: the old one while it does, else a new one.

    Writing another value into a living widget would race with its browser, which goes on sending the old value
    until it has heard of the new one; that echo would look like the user's own change. And a value that is set
    once can be lost when two runs follow each other fast; what a widget starts with cannot.
    """
    place = f"{page}_version_{name}"
    key = f"{page}.{name}.{st.session_state.setdefault(place, 0)}"
    if key in st.session_state and st.session_state[key] != shown:
        st.session_state[place] += 1
        key = f"{page}.{name}.{st.session_state[place]}"
    return key


def heard(page: str, name: str, key: str) -> bool:
    """Whether a callback comes from the widget that is shown now."""
    return key == f"{page}.{name}.{st.session_state.get(f'{page}_version_{name}')}" and key in st.session_state


def bound(
    page: str,
    change: Callable[..., None],
    widget: Callable[..., Any],
    label: str,
    field: str,
    shown: Any,
    *arguments: Any,
    name: str | None = None,
    start: str = "value",
    convert: Callable[[Any], Any] = lambda value: value,
    **options: Any,
) -> None:
    """Draw a widget that shows `shown` and, when the user changes it, becomes the setting `field`.

    Args:
        page: whose widget it is; starts its key.
        change: takes the setting by its name, as `change(block=3)`.
        name: of the widget, where one setting has several.
        start: the widget's argument for what it starts with; for `index`, the first argument holds the options.
        convert: the widget's value to the setting's.
    """
    name = name or field
    key = fresh_key(page, name, shown)
    first = shown
    if start == "index":
        first = arguments[0].index(shown) if shown in arguments[0] else None
    callback = {"on_change": _took, "args": (page, change, name, key, field, convert)}
    widget(label, *arguments, key=key, **{start: first}, **callback, **options)


def _took(
    page: str, change: Callable[..., None], name: str, key: str, field: str, convert: Callable[[Any], Any]
) -> None:
    if heard(page, name, key):
        change(**{field: convert(st.session_state[key])})
