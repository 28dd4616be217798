"""A transfer result's answers by receiver and setting, one a prompt. No Streamlit, no torch."""

from __future__ import annotations

import functools
from typing import Any

from core.errors import DamagedArtifact
from core.figures.transfer_tables import Row
from core.results import Result
from pages.parts.spillover.answers import Judged, Prompt, judged

Setting = tuple[str, str, str | None, int | None]  # receiver, direction, donor, seed


class Answers:
    """The table of a result, by setting.

    Raises:
        DamagedArtifact: the table is missing, unreadable or not this result's.
    """

    def __init__(self, result: Result) -> None:
        table = result.table
        if table is None:
            raise DamagedArtifact("The answers of this result were not saved with it. Measure it again.")
        self._rows: dict[Setting, list[dict[str, Any]]] = {}
        try:
            places = {name: table[name].astype(object).where(table[name].notna(), None) for name in ("donor", "seed")}
            for record in table.assign(**places).to_dict("records"):
                setting = (record["receiver"], record["direction"], record["donor"], record["seed"])
                self._rows.setdefault(setting, []).append(record)
            asked = next(rows for (_, direction, *_), rows in self._rows.items() if direction == "base")
            self.prompts = [
                Prompt(place, record["suite"], record["prompt"]) for place, record in enumerate(asked, start=1)
            ]
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise DamagedArtifact(
                f"The answers of this result cannot be read ({error!r}). Delete its folder and measure it again."
            ) from error

    def unsteered(self, receiver: str, prompt: Prompt) -> Judged:
        """The receiver's organism, not steered."""
        return self._one((receiver, "organism", None, None), prompt)

    def steered(self, row: Row, prompt: Prompt) -> Judged:
        """The receiver's organism with a cell's direction."""
        return self._one((row["receiver"], "mapped", row["donor"], None), prompt)

    def control(self, row: Row, name: str, prompt: Prompt) -> Judged:
        """The receiver's organism with a control of a cell, named as `random-7`."""
        kind, _, seed = name.rpartition("-")
        shared = (row["receiver"], kind, None, int(seed))  # a random draw may serve the whole column
        setting = shared if shared in self._rows else (row["receiver"], kind, row["donor"], int(seed))
        return self._one(setting, prompt)

    def _one(self, setting: Setting, prompt: Prompt) -> Judged:
        rows = self._rows.get(setting, [])
        if len(rows) != len(self.prompts):
            raise DamagedArtifact("Some answers of this result are missing. Delete its folder and measure it again.")
        return judged(rows[prompt.number - 1])


@functools.lru_cache(maxsize=4)
def answers_of(result: Result) -> Answers:
    """The answers of a result, kept while it is looked at."""
    return Answers(result)
