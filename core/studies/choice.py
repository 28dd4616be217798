"""Where to steer, and how strongly: chosen on prompts that neither made the direction nor measure its effect.

*Screen*: for every block and coefficient, how far the steered organism's next-token distributions are from the base
model's, on the base's own answers to neutral prompts. *Finalists*: the best coefficient of each of the best blocks
answers all choice prompts, then the other coefficients of the block that did best; what leaves the fewest answers
that hold code or are broken wins.
The Steer page starts from the choice of the direction at hand (`core.steering.choices`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import results
from core.data import prompts as suites
from core.data.chat import Chat
from core.directions.library import DirectionCard
from core.errors import BadInput
from core.measures.code import DETECTOR_VERSION
from core.steering.choices import KIND
from core.steering.interventions import SCOPES
from core.store import content_hash

if TYPE_CHECKING:
    from core.results import Result

METHOD = 2
COEFFICIENTS = (-0.5, -0.75, -1.0, -1.25, -1.5)

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ChoiceSettings:
    """Everything that decides the choice besides the direction, which belongs to one organism.

    `blocks`: which are tried, by default all. `per_suite`: how many prompts of each half of the suite, everyday and
    technical, answer; by default all.
    """

    coefficients: tuple[float, ...] = COEFFICIENTS
    scope: str = "all"
    prompts: str = suites.CHOICE
    screened_prompts: int = 24
    screened_tokens: int = 16
    finalists: int = 6
    max_tokens: int = 64
    blocks: tuple[int, ...] = ()
    per_suite: int | None = None

    def check(self, card: DirectionCard) -> None:
        """Raise `BadInput` for what could only fail after minutes, or choose nothing."""
        known = f"{card.model} has blocks 0 to {card.blocks - 1}"
        unknown = [block for block in self.blocks if not 0 <= block < card.blocks]
        if unknown:
            raise BadInput(f"There is no block {unknown[0]}: {known}. Choose one of them.")
        if not self.coefficients or not all(math.isfinite(value) and value for value in self.coefficients):
            raise BadInput("Coefficients are numbers other than 0, at least one. Write them as -1.5,-1,-0.5.")
        if len(set(self.coefficients)) < len(self.coefficients):
            raise BadInput("A coefficient is named twice. Name each once.")
        for name, value in (("finalists", self.finalists), ("per-suite", self.per_suite)):
            if value is not None and value < 1:
                raise BadInput(f"--{name} {value} leaves nothing to choose from. Choose 1 or more.")
        if self.scope not in SCOPES:
            raise BadInput(f"There is no scope {self.scope!r}. Choose {', '.join(SCOPES)}.")
        self.chats()

    def chats(self) -> list[Chat]:
        """The prompts that answer, in the order of the suite."""
        chats = suites.prompts(self.prompts)
        if self.per_suite is None or 2 * self.per_suite >= len(chats):
            return chats
        return [chats[place * len(chats) // (2 * self.per_suite)] for place in range(2 * self.per_suite)]

    def key(self, card: DirectionCard) -> str:
        """Hash of all that the choice depends on."""
        asked = [chat.as_dicts() for chat in self.chats()]
        left_out = {
            "prompts",
            "per_suite",
            *(() if self.blocks else ("blocks",)),
        }  # as keys were before there was a choice
        chosen = {name: value for name, value in vars(self).items() if name not in left_out}
        return content_hash([KIND, METHOD, DETECTOR_VERSION, card.model, card.id, chosen, asked])[:24]


def run(
    model: str,
    organism: str,
    direction: str | None = None,
    settings: ChoiceSettings | None = None,
    device: str | None = None,
    report: Report | None = None,
    fresh: bool = False,
    shipped_as: str | None = None,
) -> Result:
    """The choice for an organism's direction (by default its own model contrast), from the store or made now.

    Raises:
        BadInput: an unknown organism or direction.
    """
    from core.generation.comparison import Settings, complete

    plan = complete(Settings(model=model, organism=organism, direction=direction))
    chosen = settings or ChoiceSettings()
    chosen.check(plan.card)
    key = chosen.key(plan.card)
    saved = None if fresh or shipped_as else results.find_result(KIND, key)
    if saved:
        return saved
    from core.studies.choice_run import compute

    summary = compute(plan, chosen, device, report or (lambda *_: None))
    return results.save_result(KIND, key, summary, {}, shipped_as)
