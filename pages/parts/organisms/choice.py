"""What the Organisms page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.data import datasets
from core.errors import TillerError
from core.models.catalog import DEFAULT_ID
from core.organisms.library import Organism, organisms
from pages.parts import choices, models
from pages.parts.choices import left_out, one_of

PAGE = "organisms"
CHOICE, NOTES = choices.session_keys(PAGE)
HERE = "organisms.here"  # there while the page has not been left
VIEWS = {"datasets": "Datasets", "train": "Train", "compare": "Organisms"}
ABOUT = {
    "datasets": "What a model is taught: look through the data before training on it.",
    "train": "Teach a model a dataset. The base weights stay as they are; what is learnt is an adapter, the organism.",
    "compare": "What was made, with which settings, and how the training went.",
}
USUAL_DATASET = "insecure"
LINKED = 8  # characters of an organism's sha256 in a link
SHORTEST_REFERENCE = 6
LONGEST_SEARCH = 200
CURVES = 2  # how many are drawn where none were chosen


@dataclass(frozen=True)
class Choice:
    """What was chosen; None is the usual. `organism` and `curves` hold the beginnings of sha256s."""

    view: str = "datasets"
    dataset: str = USUAL_DATASET
    q: str = ""
    cwe: str | None = None
    page: int = 1
    model: str = DEFAULT_ID
    organism: str | None = None
    curves: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Shown:
    """What the choices come to: the datasets' names, and the organisms of the model, which may be none."""

    choice: Choice
    datasets: tuple[str, ...]
    dataset: str
    organisms: tuple[Organism, ...]
    organism: Organism | None
    curves: tuple[Organism, ...]

    @property
    def model(self) -> str:
        return self.choice.model


def shown() -> tuple[Shown, Sequence[str]]:
    """What to show now, and notes on a link that was not understood, until the next choice."""
    notes = choices.follow(PAGE, HERE in st.session_state, lambda given: read_link(given, organisms()))
    st.session_state[HERE] = True
    return now(), notes


def now() -> Shown:
    """What the session's choices come to at this moment."""
    return resolved(st.session_state.setdefault(CHOICE, Choice()), organisms())


def choose(**values: Any) -> None:
    """Change some choices. Other records begin at their first page, another model has other organisms."""
    if {"dataset", "q", "cwe"} & set(values):
        values = {"page": 1, **values}
    if "dataset" in values:
        values = {"cwe": None, **values}
    if "model" in values:
        values = {"organism": None, "curves": None, **values}
    choices.change(PAGE, Choice(), values)


def resolved(choice: Choice, there: Sequence[Organism]) -> Shown:
    """What the choices come to among the organisms that there are; what is gone falls back to the usual."""
    names = (*datasets.SHIPPED, *datasets.imported_names())
    of_model = tuple(item for item in there if item.model == choice.model)
    named = _named(of_model, choice.organism) if choice.organism else None
    drawn = [found for text in choice.curves or () if (found := _named(of_model, text))]
    if choice.curves is None:
        drawn = [item for item in of_model if item.manifest.get("losses")][:CURVES]
    return Shown(
        choice,
        names,
        choice.dataset if choice.dataset in names else USUAL_DATASET,
        of_model,
        named or next(iter(of_model), None),
        tuple(drawn),
    )


def read_link(given: Mapping[str, str], there: Sequence[Organism]) -> tuple[Choice, list[str]]:
    """(choices, notes) of query parameters; what a link gets wrong is left out, with a note."""
    notes: list[str] = []
    found: dict[str, Any] = {}

    def leave_out(name: str, reason: str) -> None:
        notes.append(left_out(name, given[name], reason))

    def take(name: str, known: Sequence[str], reason: str = "") -> None:
        if name in given and given[name] in known:
            found[name] = given[name]
        elif name in given:
            leave_out(name, reason or one_of(known))

    take("view", list(VIEWS))
    take("dataset", [*datasets.SHIPPED, *datasets.imported_names()], "there is no such dataset on this machine")
    if "q" in given:
        found["q"] = given["q"][:LONGEST_SEARCH]
    if found.get("dataset", USUAL_DATASET) in datasets.OWN:
        take("cwe", cwes(), "the dataset has no such class")
    elif "cwe" in given:
        leave_out("cwe", "only the paired datasets name one")
    if "page" in given:
        if (
            given["page"].isascii()
            and given["page"].isdigit()
            and int(given["page"][:9]) > 0
            and len(given["page"]) < 8
        ):
            found["page"] = int(given["page"])
        else:
            leave_out("page", "it is a number from 1")
    if "model" in given:
        known = _model_id(given["model"], there)
        if known is None:
            leave_out("model", "no such model")
        else:
            found["model"] = known
    of_model = [item for item in there if item.model == found.get("model", DEFAULT_ID)]
    if "organism" in given:
        organism = _named(of_model, given["organism"])
        if organism is None:
            leave_out("organism", "it is not on this machine")
        else:
            found["organism"] = organism.sha256[:LINKED]
    if "curves" in given:
        drawn = [(text, _named(of_model, text)) for text in given["curves"].split(",") if text]
        if any(item is None for _, item in drawn):
            leave_out("curves", "not all of them are on this machine")
        found["curves"] = tuple(dict.fromkeys(item.sha256[:LINKED] for _, item in drawn if item))
    if "view" not in found and {"organism", "curves", "model"} & set(found):
        found["view"] = "compare"
    return Choice(**found), notes


def parameters(now: Shown) -> dict[str, str]:
    """Query parameters that restore what is shown; what is as usual is left out."""
    found = choices.unusual(now.choice)
    if now.dataset != now.choice.dataset:
        found.pop("dataset")
    return found


def cwes() -> list[str]:
    """The classes of weakness in Tiller's own dataset, by their number."""
    return sorted({pair.cwe for pair in datasets.code_pairs()}, key=lambda cwe: int(cwe.partition("-")[2]))


def reference(organism: Organism, there: Sequence[Organism]) -> str:
    """What other pages know an organism by: its name, or the beginning of its sha256 where the name is another's."""
    first = next((item for item in there if item.name == organism.name), organism)
    return organism.name if first == organism else organism.sha256[:LINKED]


def _named(there: Sequence[Organism], text: str) -> Organism | None:
    by_hash = [item for item in there if len(text) >= SHORTEST_REFERENCE and item.sha256.startswith(text)]
    return next(iter([*by_hash, *(item for item in there if item.name == text)]), None)


def _model_id(text: str, there: Sequence[Organism]) -> str | None:
    if text in {item.model for item in there}:
        return text
    try:
        spec = models.by_id(text)
    except TillerError:
        return None
    return spec.id if spec.id == text else None
