"""A result's answers by setting and prompt: states, evidence, reasons, filters. No Streamlit, no torch."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import DamagedArtifact
from core.measures.code import Evidence
from core.results import Result
from core.studies.moves import state
from core.words import number, percent

# columns that name a setting, whichever of them a study's table has; the others are of an answer
LABELS = ("receiver", "donor", "model", "organism", "direction", "block", "last_block", "coefficient", "seed", "system")


@dataclass(frozen=True)
class Prompt:
    """A prompt of the study; `number` counts from 1."""

    number: int
    suite: str
    text: str


@dataclass(frozen=True)
class Judged:
    """One answer as the study judged it. `likelihood` is in nats a token under the base model, NaN where unknown."""

    text: str
    code: bool
    broken: bool
    evidence: tuple[Evidence, ...]
    likelihood: float
    repetition: float
    tokens: int
    reason: str

    @property
    def state(self) -> str:
        return state(self.code, self.broken)

    def faults(self, limits: Mapping[str, float]) -> list[str]:
        """Why it counts as broken, in words; empty where it does not."""
        if not self.broken:
            return []
        if not self.text.strip():
            return ["empty"]
        found = []
        if not self.likelihood >= limits["likelihood"]:
            found.append(f"likelihood {number(self.likelihood)} is below the limit {number(limits['likelihood'])}")
        if self.repetition > limits["repetition"]:
            found.append(
                f"repeats itself: {percent(self.repetition)} of its words, the limit is {percent(limits['repetition'])}"
            )
        return found or ["too short"]


class Answers:
    """The table of a result. What names a setting are those of `LABELS` that it has.

    Raises:
        DamagedArtifact: the table is missing, unreadable or not this result's.
    """

    def __init__(self, result: Result) -> None:
        table = result.table
        if table is None:
            raise DamagedArtifact("The answers of this result were not saved with it. Measure it again.")
        try:
            self._labels = [name for name in LABELS if name in table.columns]
            rows = table.to_dict("records")
            base = [row for row in rows if row["direction"] == "base"] or rows
            first = self._key(base[0]) if base else ()
            asked = [row for row in rows if self._key(row) == first]
            self.prompts = [Prompt(place, row["suite"], row["prompt"]) for place, row in enumerate(asked, start=1)]
            self._of: dict[tuple[Hashable, ...], list[Judged]] = {}
            for row in rows:
                self._of.setdefault(self._key(row), []).append(_judged(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedArtifact(
                f"The answers of this result cannot be read ({error!r}). Delete its folder and measure it again."
            ) from error

    def __contains__(self, setting: Mapping[str, Any]) -> bool:
        return self._key(setting) in self._of

    def of(self, setting: Mapping[str, Any]) -> list[Judged]:
        """The answers of a setting, one a prompt; what it does not name is taken as empty.

        Raises:
            DamagedArtifact: they are not in the table.
        """
        found = self._of.get(self._key(setting), [])
        if len(found) != len(self.prompts):
            raise DamagedArtifact("Some answers of this result are missing. Delete its folder and measure it again.")
        return found

    def states(self, setting: Mapping[str, Any]) -> list[str]:
        return [answer.state for answer in self.of(setting)]

    def _key(self, setting: Mapping[str, Any]) -> tuple[Hashable, ...]:
        return tuple(_label(setting.get(name)) for name in self._labels)


@functools.lru_cache(maxsize=4)
def answers_of(result: Result) -> Answers:
    """The answers of a result, kept while it is looked at."""
    return Answers(result)


@dataclass(frozen=True)
class Filter:
    """Which prompts are shown; None and empty let everything through. `code`, `broken` name a pane."""

    tier: str | None = None
    moved: str | None = None
    code: str | None = None
    broken: str | None = None
    find: str = ""


def matching(prompts: Sequence[Prompt], panes: Mapping[str, Sequence[Judged]], chosen: Filter) -> list[Prompt]:
    """The prompts that the filter lets through.

    Args:
        panes: answers by pane (`base`, `organism`, `steered`, `control`), one a prompt.
    """
    return [prompt for prompt in prompts if _passes(prompt, panes, chosen)]


def _passes(prompt: Prompt, panes: Mapping[str, Sequence[Judged]], chosen: Filter) -> bool:
    here = {name: answers[prompt.number - 1] for name, answers in panes.items()}
    if chosen.tier and prompt.suite != chosen.tier:
        return False
    moved = [here[name].state for name in ("organism", "steered") if name in here]
    if chosen.moved and "-".join(moved) != chosen.moved:
        return False
    if chosen.code and not (chosen.code in here and here[chosen.code].code):
        return False
    if chosen.broken and not (chosen.broken in here and here[chosen.broken].broken):
        return False
    wanted = chosen.find.strip().casefold()
    return not wanted or any(wanted in text.casefold() for text in (prompt.text, *(a.text for a in here.values())))


def _label(value: Any) -> Hashable:
    """A label as summary and table have it alike: the summary keeps six digits, the table writes None as NaN."""
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else f"{value:.6g}"
    return value


def _judged(row: Mapping[str, Any]) -> Judged:
    return Judged(
        row["text"],
        bool(row["code"]),
        bool(row["broken"]),
        tuple(Evidence(start, end, rule) for start, end, rule in json.loads(row["evidence"])),
        float(row["likelihood"]),
        float(row["repetition"]),
        int(row["tokens"]),
        row["reason"],
    )
