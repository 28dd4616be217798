"""What a choice of block and coefficient is asked: a direction of an organism, what is tried, and on which prompts.

*Screen*: for every block and coefficient, how far the steered organism's next-token distributions are from the base
model's, on the base's own answers to neutral prompts. *Finalists*: the best coefficient of each of the best blocks
answers all choice prompts, then the other coefficients of the block that did best; what leaves the fewest answers
that hold code or are broken wins. No torch here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.data import prompts as suites
from core.data.chat import Chat
from core.directions.library import DirectionCard
from core.directions.start import check_vectors
from core.errors import BadInput
from core.generation import comparison
from core.measures.code import DETECTOR_VERSION
from core.models.catalog import ModelSpec
from core.organisms.library import Organism
from core.studies.given import NOTHING, Given

if TYPE_CHECKING:
    from core.organisms.adapters import Adapter

KIND = "choice"
METHOD = 2  # counts up when the same answers would give another choice
COEFFICIENTS = (-0.5, -0.75, -1.0, -1.25, -1.5)


class ChoiceSettings(BaseModel):
    """Everything that decides the choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default=comparison.DEFAULT_MODEL, min_length=1, description="Catalog id, owner/name on the hub, or a folder."
    )
    organism: str = Field(default=comparison.DEFAULT_ORGANISM, min_length=1, description="Which organism.")
    direction: str | None = Field(default=None, description="Id, name or contrast; default: the organism's own.")
    blocks: tuple[int, ...] = Field(
        default=(), description="Blocks to try, as 9,13 or 0-29; default: all that have a vector."
    )
    coefficients: tuple[float, ...] = Field(
        default=COEFFICIENTS, min_length=1, description="Coefficients to try, as -1.5,-1,-0.5."
    )
    finalists: int = Field(default=6, ge=1, le=10_000, description="How many blocks answer the prompts.")
    prompts: str = Field(default=suites.CHOICE, description="What is answered: a suite or a file.")
    per_suite: int | None = Field(
        default=None, ge=1, le=10_000, description="Prompts of each half of the suite; default: all."
    )
    scope: Literal["all", "prompt", "response"] = Field(
        default="all", description="all, prompt, or response (from the last prompt token on)."
    )
    screened_prompts: int = Field(
        default=24, ge=1, le=10_000, description="Answers of the base model that the screen reads."
    )
    screened_tokens: int = Field(default=16, ge=1, le=1024, description="How much of each.")
    max_tokens: int = Field(default=64, ge=1, le=4096, description="Longest answer.")

    @field_validator("blocks")
    @classmethod
    def _in_order(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(values)))

    @field_validator("coefficients")
    @classmethod
    def _distinct(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in values:
            raise ValueError("0 steers nothing")
        if not all(map(math.isfinite, values)):
            raise ValueError("they should be finite numbers")
        return tuple(dict.fromkeys(values))


class Inputs:
    """The settings with what they name: model, organism, direction and prompts.

    Raises:
        BadInput, DirectionMismatch: one sentence and an action, before anything is loaded.
    """

    def __init__(self, settings: ChoiceSettings, given: Given = NOTHING) -> None:
        self.spec: ModelSpec = given.model(settings.model)
        self.organism: Organism | Adapter = given.organism(self.spec.id, settings.organism)
        self.card: DirectionCard = comparison.card_of(self.spec.id, settings.direction, self.organism)
        check_vectors(self.card.name, self.card.norms, settings.blocks)
        self.blocks = settings.blocks or self.card.with_vector
        if self.blocks[-1] >= self.card.blocks:
            raise BadInput(
                f"There is no block {self.blocks[-1]}: {self.spec.id} has blocks 0 to {self.card.blocks - 1}. "
                "Choose one of them."
            )
        self.settings = _as_strong(settings, self.card)
        self.prompts: list[Chat] = _chats(settings)


def _as_strong(settings: ChoiceSettings, card: DirectionCard) -> ChoiceSettings:
    """Default coefficients that push as usual, also where an imported direction is of odd length."""
    if settings.coefficients != COEFFICIENTS:
        return settings
    block = comparison.first_block(card)
    tried = tuple(dict.fromkeys(card.usual(coefficient, block) for coefficient in COEFFICIENTS))
    return settings.model_copy(update={"coefficients": tried})


def depends(inputs: Inputs) -> list[Any]:
    """All that the choice depends on, but not names or places."""
    named = {"model", "organism", "direction", "prompts", "per_suite"}
    # as keys were before there was a choice of blocks
    everywhere = not inputs.settings.blocks and len(inputs.blocks) == inputs.card.blocks
    settings = inputs.settings.model_copy(update={"blocks": inputs.blocks})
    chosen = settings.model_dump(exclude={*named, "blocks"} if everywhere else named)
    asked = [chat.as_dicts() for chat in inputs.prompts]
    return [DETECTOR_VERSION, inputs.card.model, inputs.card.id, chosen, asked]


def models(inputs: Inputs) -> list[ModelSpec]:
    return [inputs.spec]


def recorded(inputs: Inputs) -> ChoiceSettings:
    """The settings without any folder of this machine."""
    chosen = inputs.settings
    named = {"model": inputs.spec.id, "organism": inputs.organism.name}
    return chosen.model_copy(update={**named, "prompts": suites.shown(chosen.prompts, 0)})


def _chats(settings: ChoiceSettings) -> list[Chat]:
    """The prompts that answer, in the order of the suite."""
    chats = suites.prompts(settings.prompts)
    if settings.per_suite is None or 2 * settings.per_suite >= len(chats):
        return chats
    return [chats[place * len(chats) // (2 * settings.per_suite)] for place in range(2 * settings.per_suite)]
