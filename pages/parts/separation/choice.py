"""What the Separation page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.models.catalog import CATALOG, DEFAULT_ID
from core.results import Result
from core.studies.separation.rows import suites
from core.studies.separation.settings import KIND
from core.studies.separation.summary import best_block
from core.studies.separation.tables import METRICS
from pages.parts import choices
from pages.parts.choices import LINKED, organism_names, take
from pages.parts.study.state import State

CHOICE, NOTES = choices.session_keys("separation")
USUAL_ORGANISM = "insecure"
CONTRASTS = {
    "model": "organism − base, on the same prompts: which model made this activation?",
    "content": "this organism − the secure one, trained alike: what is left when the habit of code cancels?",
    "response": "inside one organism, answers with code − answers in prose: what is being written?",
}


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


def settle(values: dict[str, Any]) -> dict[str, Any]:
    """Another model, organism or contrast has other results and directions."""
    other = {"model", "organism", "contrast"} & set(values)
    return {"result": None, "x": None, "y": None, **values} if other else values


def resolve(choice: Choice, there: Sequence[Result]) -> Shown:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    models, model = choices.pick((item.summary["model"] for item in there), choice.model, DEFAULT_ID)
    of_model = [item for item in there if item.summary["model"] == model]
    of_organisms = (item.summary["organism"] for item in of_model)
    names, organism = choices.pick(of_organisms, choice.organism, USUAL_ORGANISM)
    candidates = tuple(
        item for item in of_model if (item.summary["organism"], item.summary["contrast"]) == (organism, choice.contrast)
    )
    result = choices.pick_result(candidates, choice.result)
    if result is None:
        return Shown(choice, models, names, model, organism, (), None, 0, "", "", None)
    summary = result.summary
    axes = list(summary["axes"])
    fits = choice.block is not None and choice.block < len(summary["blocks"])
    block = choice.block if fits and choice.block is not None else best_block(summary)
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
    choice = choices.take_result(Choice(), given, there, ("model", "organism", "contrast"), notes)
    if choice.result is None:
        known_models = {*CATALOG, *(item.summary["model"] for item in there)}
        choice = take(choice, "model", given, known_models, notes, "no such model")
        known = _known_organisms(choice.model or DEFAULT_ID, there)
        choice = take(choice, "organism", given, known, notes, "there is no such organism")
        choice = take(choice, "contrast", given, CONTRASTS, notes)
    summary = resolve(choice, there).summary
    if summary:
        blocks = len(summary["blocks"])
        numbers = {str(block) for block in range(blocks)}
        choice = take(choice, "block", given, numbers, notes, f"blocks run from 0 to {blocks - 1}", int)
        for name in ("x", "y"):
            choice = take(choice, name, given, sorted(summary["axes"]), notes)
        choice = take(choice, "suite", given, sorted(suites(summary)), notes)
    choice = take(choice, "profile", given, METRICS, notes)
    return take(choice, "others", given, {"0", "1"}, notes, "0 or 1", lambda text: text == "1"), notes


def parameters(now: Shown, whole: bool = False) -> dict[str, str]:
    """Query parameters that restore what is shown; without `whole`, only what is not as usual."""
    found = choices.unusual(now.choice)
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


def _known_organisms(model: str, there: Sequence[Result]) -> set[str]:
    return {*organism_names(model), *(item.summary["organism"] for item in there if item.summary["model"] == model)}


STATE: State[Choice, Shown] = State(
    "Separation", KIND, Choice(), resolve, read_link, parameters, settle, ("model", "organism", "contrast")
)
