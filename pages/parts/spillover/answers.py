"""A spillover result's answers by setting and prompt: states, evidence, reasons, filters. No Streamlit, no torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import DamagedArtifact
from core.figures.spillover_changes import state
from core.measures.code import Evidence
from core.results import Result
from core.words import number, percent

Row = dict[str, Any]
PLACES = ("block", "last_block", "seed")


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
    """The table of a result, by setting.

    Raises:
        DamagedArtifact: the table is missing, unreadable or not this result's.
    """

    def __init__(self, result: Result) -> None:
        table = result.table
        if table is None:
            raise DamagedArtifact("The answers of this result were not saved with it. Measure it again.")
        self._of: dict[tuple[Any, ...], list[Judged]] = {}
        try:
            places = {name: table[name].astype(object).where(table[name].notna(), None) for name in PLACES}
            records = table.assign(**places).to_dict("records")
            for record in records:
                self._of.setdefault(_key(record), []).append(judged(record))
            asked = [record for record in records if record["direction"] == "base"]
            self.prompts = [
                Prompt(place, record["suite"], record["prompt"]) for place, record in enumerate(asked, start=1)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedArtifact(
                f"The answers of this result cannot be read ({error!r}). Delete its folder and measure it again."
            ) from error

    def of(self, row: Row) -> list[Judged]:
        """The answers of a row of the summary, one a prompt."""
        found = self._of.get(_key(row), [])
        if len(found) != len(self.prompts):
            raise DamagedArtifact("Some answers of this result are missing. Delete its folder and measure it again.")
        return found

    def states(self, row: Row) -> list[str]:
        return [answer.state for answer in self.of(row)]


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
    if chosen.moved and f"{here['organism'].state}-{here['steered'].state}" != chosen.moved:
        return False
    if chosen.code and not (chosen.code in here and here[chosen.code].code):
        return False
    if chosen.broken and not (chosen.broken in here and here[chosen.broken].broken):
        return False
    wanted = chosen.find.strip().casefold()
    return not wanted or any(wanted in text.casefold() for text in (prompt.text, *(a.text for a in here.values())))


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a setting is called in summary and table alike; the summary keeps six digits."""
    return record["direction"], f"{record['coefficient']:.6g}", *(record[name] for name in PLACES)


def judged(record: Mapping[str, Any]) -> Judged:
    """An answer from its row of a result's table."""
    spans = tuple(Evidence(start, end, rule) for start, end, rule in json.loads(record["evidence"]))
    return Judged(
        record["text"],
        bool(record["code"]),
        bool(record["broken"]),
        spans,
        float(record["likelihood"]),
        float(record["repetition"]),
        int(record["tokens"]),
        record["reason"],
    )
