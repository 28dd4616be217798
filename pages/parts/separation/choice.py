"""What the Separation page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core import results
from core.errors import TillerError
from core.figures.separation_tables import METRICS
from core.models.catalog import CATALOG, DEFAULT_ID
from core.organisms.library import organisms
from core.results import Result
from core.studies import separation
from core.studies.separation_rows import suites
from pages.parts import address

PAGE = "separation"
CHOICE, NOTES = "separation_choice", "separation_notes"
WIDGET = "separation.measure"  # there while the page has not been left
USUAL_ORGANISM = "insecure"
CONTRASTS = {
    "model": "organism − base, on the same prompts: which model made this activation?",
    "content": "this organism − the secure one, trained alike: what is left when the habit of code cancels?",
    "response": "inside one organism, answers with code − answers in prose: what is being written?",
}
SHORTEST_KEY = 6
LINKED = 10  # characters of a result's key in a link


@dataclass(frozen=True)
class Choice:
    """What was chosen; None is the usual. `others` draws the arm that is in neither class."""

    model: str | None = None
    organism: str | None = None
    contrast: str = "model"
    result: str | None = None
    block: int | None = None
    x: str | None = None
    y: str | None = None
    suite: str | None = None
    profile: str = "accuracy"
    others: bool = True


@dataclass(frozen=True)
class Shown:
    """What the choices come to. `result` is None where that contrast has not been measured here."""

    choice: Choice
    models: tuple[str, ...]
    organisms: tuple[str, ...]
    model: str
    organism: str
    candidates: tuple[Result, ...]
    result: Result | None
    block: int
    x: str
    y: str
    suite: str | None

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.summary if self.result else {}


def shown() -> tuple[Shown, Sequence[str]]:
    """What to show now, and notes on a link that was not understood, until the next choice."""
    there = list(results.results(separation.KIND))
    given = address.news(PAGE, WIDGET in st.session_state)
    if given is not None:
        choice, notes = read_link(given, there)
        st.session_state.update({CHOICE: choice, NOTES: notes})
    choice = st.session_state.setdefault(CHOICE, Choice())
    return resolve(choice, there), st.session_state.get(NOTES, ())


def choose(**values: Any) -> None:
    """Change some choices. Another model, organism or contrast has other results and directions."""
    if {"model", "organism", "contrast"} & set(values):
        values = {"result": None, "x": None, "y": None, **values}
    st.session_state.update({CHOICE: replace(st.session_state.get(CHOICE, Choice()), **values), NOTES: ()})


def open_result(summary: Mapping[str, Any]) -> None:
    """Show a result."""
    choose(model=summary["model"], organism=summary["organism"], contrast=summary["contrast"], result=summary["key"])


def resolve(choice: Choice, there: Sequence[Result]) -> Shown:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    models = tuple(dict.fromkeys([*(item.summary["model"] for item in there), *filter(None, [choice.model])]))
    usual = DEFAULT_ID if DEFAULT_ID in models or not models else models[0]
    model = choice.model or usual
    of_model = [item for item in there if item.summary["model"] == model]
    names = tuple(dict.fromkeys([*(item.summary["organism"] for item in of_model), *filter(None, [choice.organism])]))
    organism = choice.organism or (USUAL_ORGANISM if USUAL_ORGANISM in names or not names else names[0])
    candidates = tuple(
        item for item in of_model if (item.summary["organism"], item.summary["contrast"]) == (organism, choice.contrast)
    )
    named = [item for item in candidates if choice.result and item.key.startswith(choice.result)]
    result = next(iter([*named, *candidates]), None)
    if result is None:
        return Shown(choice, models, names, model, organism, (), None, 0, "", "", None)
    summary = result.summary
    axes = list(summary["axes"])
    fits = choice.block is not None and choice.block < len(summary["blocks"])
    block = choice.block if fits and choice.block is not None else separation.best_block(summary)
    x, y = usual_axes(axes)
    return Shown(
        choice, models, names, model, organism, candidates, result, block,
        choice.x if choice.x and choice.x in axes else x, choice.y if choice.y and choice.y in axes else y,
        choice.suite if choice.suite in suites(summary) else None,
    )  # fmt: skip


def usual_axes(axes: Sequence[str]) -> tuple[str, str]:
    """The model direction across and the content direction up, where both are there; else the first two."""
    x = "model" if "model" in axes and "content" in axes else axes[0]
    return x, "content" if "content" in axes else axes[min(1, len(axes) - 1)]


def read_link(given: Mapping[str, str], there: Sequence[Result]) -> tuple[Choice, list[str]]:
    """(choices, notes) of query parameters; what a link gets wrong is left out, with a note."""
    notes: list[str] = []
    choice = Choice()
    if "result" in given:
        found = [item.summary for item in there if _names(given["result"], item.key)]
        if found:
            same = {name: found[0][name] for name in ("model", "organism", "contrast")}
            choice = replace(choice, result=found[0]["key"], **same)
        else:
            notes.append(_left_out("result", given["result"], "it is not on this machine"))
    known_models = {*CATALOG, *(item.summary["model"] for item in there)}
    if choice.result is None:
        choice = _take(choice, "model", given, known_models, "no such model", notes)
        known = _known_organisms(choice.model or DEFAULT_ID, there)
        choice = _take(choice, "organism", given, known, "there is no such organism", notes)
        contrasts = f"choose {', '.join(CONTRASTS)}"
        choice = _take(choice, "contrast", given, set(CONTRASTS), contrasts, notes)
    summary = resolve(choice, there).summary
    if summary:
        blocks = len(summary["blocks"])
        numbers = {str(block) for block in range(blocks)}
        choice = _take(choice, "block", given, numbers, f"blocks run from 0 to {blocks - 1}", notes, int)
        axes = set(summary["axes"])
        for name in ("x", "y"):
            choice = _take(choice, name, given, axes, f"choose {', '.join(sorted(axes))}", notes)
        there_are = set(suites(summary))
        choice = _take(choice, "suite", given, there_are, f"choose {', '.join(sorted(there_are))}", notes)
    choice = _take(choice, "profile", given, set(METRICS), f"choose {', '.join(METRICS)}", notes)
    return _take(choice, "others", given, {"0", "1"}, "0 or 1", notes, lambda text: text == "1"), notes


def parameters(now: Shown, whole: bool = False) -> dict[str, str]:
    """Query parameters that restore what is shown; without `whole`, only what is not as usual."""
    usual, found = Choice(), {}
    for name in (field.name for field in fields(Choice)):
        value = getattr(now.choice, name)
        if value != getattr(usual, name):
            found[name] = str(int(value)) if isinstance(value, bool) else str(value)
    if now.result is not None:
        found.pop("result", None)
        for name in ("x", "y", "suite", "block"):
            if name in found and getattr(now.choice, name) != getattr(now, name):
                del found[name]
        if whole:
            placed = {name: str(getattr(now, name)) for name in ("model", "organism", "block", "x", "y")}
            found |= {**placed, "contrast": now.choice.contrast, "result": now.result.key[:LINKED]}
        elif now.result is not now.candidates[0]:
            found["result"] = now.result.key[:LINKED]
    return found


def link(now: Shown) -> str:
    """The whole address to copy."""
    base = (st.context.url or "").rstrip("/").removesuffix("/Separation")
    query = urlencode(parameters(now, whole=True))
    return f"{base}/Separation{'?' + query if query else ''}"


def organism_names(model: str) -> list[str]:
    """Organisms of a model on this machine; none where the list is damaged."""
    try:
        return list(dict.fromkeys(item.name for item in organisms(model)))
    except TillerError:
        return []  # the Overview names the damaged file


def _known_organisms(model: str, there: Sequence[Result]) -> set[str]:
    return {*organism_names(model), *(item.summary["organism"] for item in there if item.summary["model"] == model)}


def _take(
    choice: Choice,
    name: str,
    given: Mapping[str, str],
    known: set[str],
    reason: str,
    notes: list[str],
    convert: Any = str,
) -> Choice:
    if name not in given:
        return choice
    if given[name] in known:
        return replace(choice, **{name: convert(given[name])})
    notes.append(_left_out(name, given[name], reason))
    return choice


def _left_out(name: str, value: str, reason: str) -> str:
    return f"The link’s {name} {value[:40]!r} was left out: {reason}."


def _names(text: str, key: str) -> bool:
    return len(text) >= SHORTEST_KEY and key.startswith(text)
