"""What a transfer study is asked: models with organism, direction, block and dose, and the prompts that fit the maps.

Rows of the matrix are donors, columns receivers, the diagonal is each model's own direction (arXiv 2606.20225).
No torch here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core import results
from core.data import prompts as suites
from core.data.chat import Chat
from core.directions.library import DirectionCard
from core.directions.start import check_vectors
from core.errors import BadInput
from core.generation import comparison
from core.measures.code import DETECTOR_VERSION
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import Organism, find_organism
from core.studies.given import NOTHING, Given
from core.studies.plan import complete
from core.studies.separation.summary import best_block

KIND = "transfer"
METHOD = 1  # counts up when the same answers would give other numbers
MODELS = ("smollm2-135m:insecure-compact", "gemma-3-270m-chat:insecure", "qwen2.5-coder-0.5b:insecure")
PLACES = ("choice", "last", "separation")
FEWEST_PAIRS = 50
_ORGANISM = re.compile(r"[A-Za-z0-9._-]+")


class TransferSettings(BaseModel):
    """Everything that decides the numbers; what is unset is filled in by `Inputs`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(
        default=MODELS, min_length=2, description="Models joined by commas, each as model or model:organism."
    )
    at: str = Field(
        default="choice",
        description="Each model's block: choice (what was chosen for its direction), last, separation (the one that "
        "separates best), or a relative depth as 0.5.",
    )
    coefficient: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Multiples of the receiver's own direction; default: what was chosen for it.",
    )
    unscaled: bool = Field(default=False, description="Leave mapped directions at the length the map gives them.")
    fit_prompts: str = Field(default=suites.MAPPING, description="What the maps are fitted on: a suite or a file.")
    fit_on: Literal["base", "both"] = Field(
        default="base",
        description="base: the bare models' activations, so that nothing of the receiver's organism enters; both: the "
        "organisms' too.",
    )
    pooling: Literal["last_prompt", "prompt_mean"] = Field(
        default="last_prompt", description="last_prompt or prompt_mean."
    )
    draws: int = Field(default=20, ge=0, le=1000, description="Random directions a receiver.")
    draws_a_cell: int = Field(default=2, ge=0, le=100, description="Draws of each other control a cell.")
    scope: Literal["all", "prompt", "response"] = Field(
        default="all", description="all, prompt, or response (from the last prompt token on)."
    )
    prompts: str | None = Field(
        default=None, description="A suite or a file of one's own; default: the measuring suites."
    )
    per_suite: int = Field(default=30, ge=1, le=10_000, description="Prompts of each measuring suite.")
    max_tokens: int = Field(default=48, ge=1, le=4096, description="Longest answer.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of splits, controls, draws and resamples.")
    n_resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples of an interval.")

    @field_validator("at")
    @classmethod
    def _a_place(cls, value: str) -> str:
        if value in PLACES:
            return value
        try:
            depth = float(value)
        except ValueError:
            depth = -1.0
        if not 0 <= depth <= 1:
            raise ValueError(f"{value!r} is none of {', '.join(PLACES)} and no relative depth between 0 and 1")
        return f"{depth:g}"


@dataclass(frozen=True)
class Member:
    """One model of the matrix with its organism, the organism's own direction, and where it is read and steered."""

    spec: ModelSpec
    organism: Organism
    card: DirectionCard
    block: int
    coefficient: float

    @property
    def id(self) -> str:
        return self.spec.id


class Inputs:
    """The settings with what they name: models, organisms, directions, blocks, coefficients and prompts.

    One model is in memory at a time, so each has to be there by name, to be loaded when its turn comes.

    Raises:
        BadInput, DirectionMismatch: one sentence and an action.
    """

    def __init__(self, settings: TransferSettings, given: Given = NOTHING) -> None:
        if given != NOTHING:
            raise BadInput("Transfer has one model in memory at a time. Name each model, or give its folder.")
        self.settings = settings
        self.members = tuple(_member(text, settings) for text in settings.models)
        twice = {member.id for member in self.members if [other.id for other in self.members].count(member.id) > 1}
        if twice:
            raise BadInput(f"{twice.pop()} is named twice. Name each model once, with one of its organisms.")
        self.prompts: list[tuple[str, Chat]] = suites.measuring(settings.prompts, settings.per_suite)
        self.fit_prompts: list[Chat] = suites.prompts(settings.fit_prompts)
        if len(self.fit_prompts) < FEWEST_PAIRS:
            raise BadInput(
                f"{len(self.fit_prompts)} prompts are too few to fit a map. Give at least {FEWEST_PAIRS}, or the suite "
                f"{suites.MAPPING}."
            )

    @property
    def alike(self) -> bool:
        """Whether all organisms were trained on the same data with the same recipe."""
        made = [
            [item.organism.manifest.get("dataset", {}).get("hash"), item.organism.manifest.get("recipe")]
            for item in self.members
        ]
        return None not in made[0] and all(other == made[0] for other in made)


def depends(inputs: Inputs) -> list[Any]:
    """All that the numbers depend on, but not names or places."""
    left_out = {"models", "at", "coefficient", "prompts", "per_suite", "fit_prompts"}
    chosen = inputs.settings.model_dump(exclude=left_out)
    members = [
        [member.id, member.organism.sha256, member.card.id, member.block, member.coefficient]
        for member in inputs.members
    ]
    asked = [[suite, chat.as_dicts()] for suite, chat in inputs.prompts]
    fitted = [chat.as_dicts() for chat in inputs.fit_prompts]
    return [DETECTOR_VERSION, members, chosen, asked, fitted]


def models(inputs: Inputs) -> list[ModelSpec]:
    return [member.spec for member in inputs.members]


def recorded(inputs: Inputs) -> TransferSettings:
    """The settings without any folder of this machine."""
    chosen = inputs.settings
    shown: dict[str, Any] = {
        "models": tuple(_shown(text) for text in chosen.models),
        "fit_prompts": suites.shown(chosen.fit_prompts, chosen.per_suite),
    }
    if chosen.prompts is not None:
        shown["prompts"] = suites.shown(chosen.prompts, chosen.per_suite)
    return chosen.model_copy(update=shown)


def _shown(text: str) -> str:
    name, organism = named(text)
    return ":".join([resolve(name).id, *([organism] if organism else [])])


def named(text: str) -> tuple[str, str | None]:
    """`model:organism` as its parts; a colon in a folder's path separates nothing."""
    name, colon, organism = text.rpartition(":")
    return (name, organism) if colon and _ORGANISM.fullmatch(organism) and name else (text, None)


def _member(text: str, settings: TransferSettings) -> Member:
    name, organism = named(text.strip())
    spec = resolve(name)
    plan = complete(
        comparison.Settings(model=name, organism=organism or comparison.DEFAULT_ORGANISM, scope=settings.scope)
    )
    block = plan.block
    if settings.at == "last":
        block = plan.card.blocks - 1
    elif settings.at == "separation":
        block = _best_separating(plan.card)
    elif settings.at != "choice":
        block = round(float(settings.at) * (plan.card.blocks - 1))
    check_vectors(plan.card.name, plan.card.norms, (block,))
    coefficient = settings.coefficient if settings.coefficient is not None else plan.settings.coefficient
    if not coefficient:
        raise BadInput("A coefficient of 0 steers nothing. Choose another.")
    return Member(spec, find_organism(spec.id, plan.settings.organism or ""), plan.card, block, float(coefficient))


def _best_separating(card: DirectionCard) -> int:
    """The block with the largest effect size in a separation study of the direction's organism."""
    for result in results.results("separation"):
        made = result.summary
        adapters = frozenset(made["provenance"]["organisms"].values())
        if made["model"] == card.model and made["contrast"] == "model" and card.sources <= adapters:
            return best_block(made)
    raise BadInput(
        f"How well each block of {card.model} separates is not known. Measure it with `python -m core separate --model "
        f"{card.model}`, or choose the blocks in another way."
    )
