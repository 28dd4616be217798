"""What a study's results are of, level by level: which there are, which is shown, and the link that says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.models.catalog import CATALOG, DEFAULT_ID
from core.results import Result
from pages.parts import choices
from pages.parts.choices import LINKED, organism_names, take

Choice = TypeVar("Choice", bound=Any)
ORGANISM = {"model": DEFAULT_ID, "organism": "insecure"}


@dataclass(frozen=True)
class Looking:
    """What the choices come to: `there` is what can be chosen at each level, `named` what is shown there."""

    choice: Any
    there: Mapping[str, tuple[str, ...]]
    named: Mapping[str, str]
    candidates: tuple[Result, ...]
    result: Result | None

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.summary if self.result else {}


@dataclass(frozen=True)
class Levels:
    """Names in a summary with what is usual, each level with others of what comes after it.

    Attributes:
        anew: choices that start anew with another result.
        reads: whether answers are read, which then start anew too.
        known: values of a level that there are without a result.
    """

    usual: Mapping[str, str] = field(default_factory=lambda: ORGANISM)
    anew: tuple[str, ...] = ()
    reads: bool = False
    known: Mapping[str, Collection[str]] = field(default_factory=dict)

    def look(self, choice: Any, results: Sequence[Result]) -> Looking:
        """What does not exist falls back to the usual."""
        there, named, found = {}, {}, list(results)
        for name, usual in self.usual.items():
            there[name], named[name] = choices.pick(_at(name, found), getattr(choice, name), usual)
            found = [item for item in found if item.summary[name] == named[name]]
        return Looking(choice, there, named, tuple(found), choices.pick_result(found, choice.result))

    def settle(self, values: dict[str, Any]) -> dict[str, Any]:
        """Another model has other organisms, another organism other results, another result other doses."""
        order = (*self.usual, "result")
        changed = [place for place, name in enumerate(order) if name in values]
        if not changed:
            return values
        reading = {"moved": None, "prompt": 1} if self.reads else {}
        return {**dict.fromkeys((*order[min(changed) + 1 :], *self.anew)), **reading, **values}

    def read(self, choice: Choice, given: Mapping[str, str], there: Sequence[Result], notes: list[str]) -> Choice:
        """The choices with a link's result or, where it names none, with its levels."""
        choice = choices.take_result(choice, given, there, self.usual, notes)
        if choice.result is None:
            for name, usual in self.usual.items():
                choice = take(choice, name, given, [*self._known(name, choice), *_at(name, there)], notes)
                there = [item for item in there if item.summary[name] == (getattr(choice, name) or usual)]
        return choice

    def parameters(self, now: Looking, whole: bool, **shown: str) -> dict[str, str]:
        """Query parameters; `shown` are choices that a result settles, as they are shown: others fell back."""
        found = choices.unusual(now.choice)
        if now.result is None:
            return found
        found = {name: value for name, value in found.items() if name != "result" and shown.get(name, value) == value}
        if whole:
            found |= {**now.named, **shown}
        if whole or now.result is not now.candidates[0]:
            found["result"] = now.result.key[:LINKED]
        return found

    def _known(self, name: str, choice: Any) -> Collection[str]:
        if name == "organism":
            return organism_names(choice.model or DEFAULT_ID)
        return CATALOG if name == "model" else self.known.get(name, ())


def _at(name: str, results: Sequence[Result]) -> list[str]:
    return [item.summary[name] for item in results]
