"""A page's choices: kept in the session, read from a link and written into one, and what they come to.

Choices are a frozen dataclass of plain values, each with the usual as its default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from core.errors import TillerError
from core.organisms.library import organisms
from core.results import Result
from pages.parts import address

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Choices = TypeVar("Choices", bound=DataclassInstance)

SHORTEST_KEY, LINKED = 6, 10  # characters of a result's key that a link needs, and has


def session_keys(page: str) -> tuple[str, str]:
    """Where the session keeps a page's choices, and the notes on its link."""
    return f"{page}_choice", f"{page}_notes"


def follow(
    page: str, on_page: bool, read_link: Callable[[Mapping[str, str]], tuple[Choices, list[str]]]
) -> Sequence[str]:
    """Take in an address that came from outside.

    Args:
        on_page: whether the last run of the session was of this page.
        read_link: (choices, notes) of query parameters.

    Returns:
        Notes on a link that was not understood, until the next choice.
    """
    kept, notes = session_keys(page)
    given = address.news(page, on_page)
    if given is not None:
        st.session_state[kept], st.session_state[notes] = read_link(given)
    return st.session_state.get(notes, ())


def change(page: str, usual: DataclassInstance, values: Mapping[str, Any]) -> None:
    """Change some of a page's choices; what was said about its link is done with."""
    kept, notes = session_keys(page)
    st.session_state.update({kept: replace(st.session_state.get(kept, usual), **values), notes: ()})


def left_out(name: str, value: str, reason: str) -> str:
    """The note on a query parameter that was not understood."""
    return f"The link’s {name} {value[:40]!r} was left out: {reason}."


def one_of(known: Iterable[str]) -> str:
    """Why something else was left out."""
    there = list(dict.fromkeys(known))
    return f"choose {', '.join(there)}" if there else "there is none"


def take(
    choices: Choices,
    name: str,
    given: Mapping[str, str],
    known: Collection[str],
    notes: list[str],
    reason: str | None = None,
    convert: Callable[[str], Any] = str,
) -> Choices:
    """The choices with a query parameter, where it is there and known; what is unknown gets a note.

    Args:
        reason: for the note; by default which ones are known.
        convert: the parameter's text to the choice.
    """
    if name not in given:
        return choices
    if given[name] in known:
        return replace(choices, **{name: convert(given[name])})
    notes.append(left_out(name, given[name], one_of(known) if reason is None else reason))
    return choices


def take_result(
    choices: Choices, given: Mapping[str, str], there: Iterable[Result], names: Iterable[str], notes: list[str]
) -> Choices:
    """The choices with the result that a link names by the start of its key, and with what that result is of.

    Args:
        names: the choices that a result's summary settles.
    """
    if "result" not in given:
        return choices
    text = given["result"]
    found = next((item for item in there if len(text) >= SHORTEST_KEY and item.key.startswith(text)), None)
    if found is None:
        notes.append(left_out("result", text, "it is not on this machine"))
        return choices
    return replace(choices, result=found.summary["key"], **{name: found.summary[name] for name in names})


def unusual(choices: DataclassInstance) -> dict[str, str]:
    """Query parameters of the choices that are not as usual."""
    shown = {field.name: (getattr(choices, field.name), field.default) for field in fields(choices)}
    return {name: _text(value) for name, (value, usual) in shown.items() if value != usual}


def pick(names: Iterable[str], chosen: str | None, usual: str) -> tuple[tuple[str, ...], str]:
    """(the names that can be chosen, the one that is shown).

    What was chosen is shown, and can be chosen, whether it is there or not; else the usual one, or the first where
    there are others but not that.
    """
    there = tuple(dict.fromkeys([*names, *([chosen] if chosen else [])]))
    return there, chosen or (usual if usual in there or not there else there[0])


def pick_result(candidates: Sequence[Result], key: str | None) -> Result | None:
    """The one whose key begins so, else the first; None where there is none."""
    named = [item for item in candidates if key and item.key.startswith(key)]
    return next(iter([*named, *candidates]), None)


def organism_names(model: str) -> list[str]:
    """Organisms of a model on this machine; none where the list is damaged."""
    try:
        return list(dict.fromkeys(item.name for item in organisms(model)))
    except TillerError:
        return []  # the Overview names the damaged file


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
