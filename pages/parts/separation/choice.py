"""What the Separation page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.results import Result
from core.studies.separation.rows import suites
from core.studies.separation.settings import KIND
from core.studies.separation.summary import best_block
from core.studies.separation.tables import METRICS
from pages.parts import choices
from pages.parts.choices import take
from pages.parts.study.levels import ORGANISM, Levels
from pages.parts.study.state import State

CHOICE, NOTES = choices.session_keys("separation")
NAMES = ("model", "organism", "contrast")
CONTRASTS = {
    "model": "organism − base, on the same prompts: which model made this activation?",
    "content": "this organism − the secure one, trained alike: what is left when the habit of code cancels?",
    "response": "inside one organism, answers with code − answers in prose: what is being written?",
}
LEVELS = Levels({**ORGANISM, "contrast": "model"}, ("x", "y"), known={"contrast": CONTRASTS})


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


def resolve(choice: Choice, there: Sequence[Result]) -> Shown:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    found = LEVELS.look(choice, there)
    result, candidates = found.result, found.candidates
    models, names = found.there["model"], found.there["organism"]
    model, organism = found.named["model"], found.named["organism"]
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
    choice = LEVELS.read(Choice(), given, there, notes)
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
    placed = {name: str(value) for name in ("x", "y", "suite", "block") if (value := getattr(now, name)) is not None}
    return LEVELS.parameters(LEVELS.look(now.choice, now.candidates), whole, **placed)


STATE: State[Choice, Shown] = State("Separation", KIND, Choice(), resolve, read_link, parameters, LEVELS.settle, NAMES)
