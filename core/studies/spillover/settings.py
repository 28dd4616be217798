"""What a spillover study is asked: one organism, one direction, doses at blocks, controls beside each.

Many random draws of equal length are made at one dose (arXiv 2606.20225). No torch here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.data import prompts as suites
from core.data.chat import Chat
from core.directions import library
from core.directions.library import DirectionCard
from core.directions.names import Control
from core.errors import BadInput
from core.generation import comparison
from core.measures.code import DETECTOR_VERSION
from core.models.catalog import ModelSpec
from core.organisms.library import Organism
from core.studies.choice.start import start_for
from core.studies.given import NOTHING, Given

if TYPE_CHECKING:
    from core.organisms.adapters import Adapter

KIND = "spillover"
METHOD = 4  # counts up when the same answers would give other numbers
COEFFICIENTS = (-1.5, -1.25, -1.0, -0.875, -0.75, -0.625, -0.5, -0.4, -0.3, -0.2, -0.1)
SHARES = (0.25, 0.5, 0.75, 1.0)
CONTROLS: tuple[Control, ...] = ("random", "orthogonal", "wrong_source")
CONTROLS_AT_DOSE: dict[str, tuple[Control, ...]] = {"add": ("sign_flipped", "wrong_layer"), "ablate": ("wrong_layer",)}


class SpilloverSettings(BaseModel):
    """Everything that decides the numbers; what is unset is filled in by `Inputs`.

    A coefficient of 0 is always measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default=comparison.DEFAULT_MODEL, min_length=1, description="Catalog id, owner/name on the hub, or a folder."
    )
    organism: str = Field(default=comparison.DEFAULT_ORGANISM, min_length=1, description="Which organism.")
    direction: str | None = Field(default=None, description="Id, name or contrast; default: the organism's own.")
    mode: Literal["add", "ablate"] = Field(default="add", description="add or ablate.")
    blocks: tuple[int, ...] = Field(
        default=(), description="Blocks, as 13 or 9,13 or 0-29; default: what was chosen for the direction."
    )
    together: bool = Field(default=False, description="Steer all of the blocks at once, each with its own vector.")
    coefficients: tuple[float, ...] = Field(
        default=(), description="Doses, as -1.5,-1,-0.5; default: eleven from -1.5 to -0.1, or shares."
    )
    dose: float | None = Field(
        default=None, allow_inf_nan=False, description="Where random draws are made; default: the chosen one."
    )
    controls: tuple[Control, ...] = Field(
        default=CONTROLS, description="Beside every dose at every block: names joined by commas, or none."
    )
    draws: int = Field(default=20, ge=0, le=1000, description="Random directions at the dose.")
    scope: Literal["all", "prompt", "response"] = Field(
        default="all", description="all, prompt, or response (from the last prompt token on)."
    )
    prompts: str | None = Field(
        default=None, description="A suite or a file of one's own; default: the measuring suites."
    )
    per_suite: int = Field(default=50, ge=1, le=10_000, description="Prompts of each measuring suite, evenly spread.")
    max_tokens: int = Field(default=64, ge=1, le=4096, description="Longest answer.")
    temperature: float = Field(default=0.0, ge=0, le=5, description="0 is greedy.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of controls, draws, sampling and resamples.")
    n_resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples of an interval.")

    @field_validator("blocks")
    @classmethod
    def _each_once(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(values))  # in their order: the dose is at the first

    @field_validator("coefficients")
    @classmethod
    def _distinct(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(map(math.isfinite, values)):
            raise ValueError("they should be finite numbers")
        return tuple(dict.fromkeys(values))


class Inputs:
    """The settings with what they name: model, organism, direction, doses, controls and prompts.

    Raises:
        BadInput, DirectionMismatch: one sentence and an action.
    """

    def __init__(self, settings: SpilloverSettings, given: Given = NOTHING) -> None:
        self.spec: ModelSpec = given.model(settings.model)
        self.organism: Organism | Adapter = given.organism(self.spec.id, settings.organism)
        self.card: DirectionCard = comparison.card_of(self.spec.id, settings.direction, self.organism)
        start = start_for(self.card.id)
        asked = comparison.Settings(
            model=settings.model,
            organism=settings.organism,
            direction=settings.direction,
            mode=settings.mode,
            coefficient=settings.dose,
            block=settings.blocks[0] if settings.blocks else None,
            scope=settings.scope,
            max_tokens=settings.max_tokens,
        )
        plan = comparison.completed(asked, self.card, start)
        self.dose = float(plan.settings.coefficient or 0.0)
        if self.dose == 0:
            raise BadInput("A dose of 0 steers nothing. Choose another dose.")
        self.blocks = settings.blocks or (plan.block,)
        for block in self.blocks:
            comparison.completed(asked.model_copy(update={"block": block}), self.card, start)
        usual = tuple(self.card.usual(c, self.blocks[0]) for c in COEFFICIENTS) if settings.mode == "add" else SHARES
        self.coefficients = tuple(sorted({*(settings.coefficients or usual), self.dose} - {0.0}))
        for coefficient in self.coefficients:
            comparison.completed(asked.model_copy(update={"coefficient": coefficient}), self.card, start)
        self.controls = tuple(name for name in settings.controls if self._can_be_made(name, settings))
        self.prompts: list[tuple[str, Chat]] = suites.measuring(settings.prompts, settings.per_suite)
        self.settings = settings

    def _can_be_made(self, control: str, settings: SpilloverSettings) -> bool:
        """Whether a control exists here; a model with one organism has no wrong source."""
        if control == "wrong_source" and not library.wrong_sources(self.card):
            return False
        return not (control == "sign_flipped" and settings.mode == "ablate")


def depends(inputs: Inputs) -> list[Any]:
    """All that the numbers depend on, but not names or places."""
    named = ("model", "organism", "direction", "prompts", "per_suite", "blocks", "coefficients", "controls", "dose")
    chosen = inputs.settings.model_dump(exclude=set(named))
    asked = [[suite, chat.as_dicts()] for suite, chat in inputs.prompts]
    seed = inputs.settings.seed
    controls = [library.control_reference(inputs.card, control, seed) for control in inputs.controls]
    return [
        DETECTOR_VERSION, inputs.spec.id, inputs.organism.sha256, inputs.card.id, inputs.dose, inputs.blocks,
        inputs.coefficients, controls, chosen, asked,
    ]  # fmt: skip


def models(inputs: Inputs) -> list[ModelSpec]:
    return [inputs.spec]


def recorded(inputs: Inputs) -> SpilloverSettings:
    """The settings without any folder of this machine."""
    chosen = inputs.settings
    named = {"model": inputs.spec.id, "organism": inputs.organism.name}
    if chosen.prompts is not None:
        named["prompts"] = suites.shown(chosen.prompts, chosen.per_suite)
    return chosen.model_copy(update=named)
