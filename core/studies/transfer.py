"""The transfer study: each organism steered by every other family's direction, carried over by a ridge map.

Rows of the matrix are donors, columns receivers, the diagonal is each model's own direction (arXiv 2606.20225).
`find` needs neither torch nor the models; `run` computes what is missing, one model in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core import paths, results, store
from core.data import prompts as suites
from core.data.chat import Chat
from core.directions.library import DirectionCard
from core.errors import BadInput
from core.generation import comparison
from core.measures.code import DETECTOR_VERSION
from core.models import sources
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import Organism, find_organism

if TYPE_CHECKING:
    from core.results import Result

KIND = "transfer"
METHOD = 1  # counts up when the same answers would give other numbers
MODELS = ("smollm2-135m:insecure-compact", "gemma-3-270m-chat:insecure", "qwen2.5-coder-0.5b:insecure")
PLACES = ("choice", "last", "separation")
FEWEST_PAIRS = 50
Report = Callable[[str, int, int], None]
_ORGANISM = re.compile(r"[A-Za-z0-9._-]+")


class TransferSettings(BaseModel):
    """Everything that decides the numbers; what is unset is filled in by `Inputs`.

    `models`: each a model, or `model:organism`. `at`: each model's block is the one that was chosen for its direction
    (`choice`), its `last`, the one that separates best (`separation`), or a relative depth between 0 and 1.
    `coefficient`, in multiples of the receiver's own direction, unset: what was chosen for it. `unscaled` leaves a
    mapped direction at the length the map gives it. `fit_on`: whose activations the maps are fitted on, the bare
    models', so that nothing of the receiver's organism enters, or also the organisms' (`both`).
    `draws` random directions a receiver, and `draws_a_cell` of each other control.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(default=MODELS, min_length=2)
    at: str = "choice"
    coefficient: float | None = Field(default=None, allow_inf_nan=False)
    unscaled: bool = False
    fit_prompts: str = suites.MAPPING
    fit_on: Literal["base", "both"] = "base"
    pooling: Literal["last_prompt", "prompt_mean"] = "last_prompt"
    draws: int = Field(default=20, ge=0, le=1000)
    draws_a_cell: int = Field(default=2, ge=0, le=100)
    scope: Literal["all", "prompt", "response"] = "all"
    prompts: str | None = None
    per_suite: int = Field(default=30, ge=1, le=10_000)
    max_tokens: int = Field(default=48, ge=1, le=4096)
    seed: int = Field(default=0, ge=0, lt=2**31)
    n_resamples: int = Field(default=2000, ge=100, le=100_000)

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

    Raises:
        BadInput, DirectionMismatch: one sentence and an action.
    """

    def __init__(self, settings: TransferSettings) -> None:
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
    def key(self) -> str:
        """Hash of all that the numbers depend on, but not of names or places."""
        chosen = self.settings.model_dump(
            exclude={"models", "at", "coefficient", "prompts", "per_suite", "fit_prompts"}
        )
        members = [
            [member.id, member.organism.sha256, member.card.id, member.block, member.coefficient]
            for member in self.members
        ]
        asked = [[suite, chat.as_dicts()] for suite, chat in self.prompts]
        fitted = [chat.as_dicts() for chat in self.fit_prompts]
        return store.content_hash([KIND, METHOD, DETECTOR_VERSION, members, chosen, asked, fitted])[:24]

    @property
    def alike(self) -> bool:
        """Whether all organisms were trained on the same data with the same recipe."""
        made = [
            [item.organism.manifest.get("dataset", {}).get("hash"), item.organism.manifest.get("recipe")]
            for item in self.members
        ]
        return None not in made[0] and all(other == made[0] for other in made)


def find(settings: TransferSettings) -> Result | None:
    """The saved result of exactly these settings; None where it has not been computed for these weights."""
    return _find(Inputs(settings))


def run(
    settings: TransferSettings,
    device: str | None = None,
    report: Report | None = None,
    fresh: bool = False,
    shipped_as: str | None = None,
    rows_a_batch: int | None = None,
) -> Result:
    """The result from the store, else computed and saved; a killed run goes on from its last whole cell.

    Args:
        report: is told the stage, and how much of it is done.
        fresh: judge and summarise again what is saved; answers that are there are not generated again.
        shipped_as: save it among the shipped results under this name, and its mapped directions among the shipped.

    Raises:
        BadInput: settings that do not fit together.
    """
    inputs = Inputs(settings)
    saved = None if fresh or shipped_as else _find(inputs)
    if saved:
        return saved
    with store.writer_lock(paths.cache() / "studies" / KIND / inputs.key):
        saved = None if fresh or shipped_as else _find(inputs)  # another process may have made it meanwhile
        if saved:
            return saved
        from core.studies.transfer_run import compute

        root = paths.ASSETS if shipped_as else None
        summary, table = compute(inputs, device, report or (lambda *_: None), rows_a_batch, root)
        return results.save_result(KIND, inputs.key, summary, {}, shipped_as, table)


def from_options(**options: Any) -> TransferSettings:
    """Settings from a command line or a form.

    Raises:
        BadInput: names the setting and the reason.
    """
    try:
        return TransferSettings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{first['loc'][0]}: {reason}. Choose another value.") from error


def arguments(settings: TransferSettings) -> list[str]:
    """The command line of these settings; what is as usual is left out."""
    found = ["transfer", "--models", ",".join(settings.models)]
    plain = TransferSettings()
    for name, value in settings.model_dump(exclude={"models", "unscaled", "n_resamples"}).items():
        if value != getattr(plain, name):
            shown = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
            found += [f"--{name.replace('_', '-')}", shown]
    return found + (["--unscaled"] if settings.unscaled else [])


def shown_settings(settings: TransferSettings) -> dict[str, Any]:
    """The settings without any folder of this machine."""
    return {
        **settings.model_dump(),
        "models": [_shown(text) for text in settings.models],
        "prompts": suites.shown(settings.prompts, settings.per_suite),
        "fit_prompts": suites.shown(settings.fit_prompts, settings.per_suite),
    }


def _shown(text: str) -> str:
    name, organism = _split(text)
    return ":".join([resolve(name).id, *([organism] if organism else [])])


def _split(text: str) -> tuple[str, str | None]:
    """`model:organism` as its parts; a colon in a folder's path separates nothing."""
    name, colon, organism = text.rpartition(":")
    return (name, organism) if colon and _ORGANISM.fullmatch(organism) and name else (text, None)


def _member(text: str, settings: TransferSettings) -> Member:
    name, organism = _split(text.strip())
    spec = resolve(name)
    plan = comparison.complete(
        comparison.Settings(model=name, organism=organism or comparison.DEFAULT_ORGANISM, scope=settings.scope)
    )
    block = plan.block
    if settings.at == "last":
        block = plan.card.blocks - 1
    elif settings.at == "separation":
        block = _best_separating(plan.card)
    elif settings.at != "choice":
        block = round(float(settings.at) * (plan.card.blocks - 1))
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
            return int(max(made["blocks"], key=lambda block: block["cohens_d"] or 0.0)["block"])
    raise BadInput(
        f"How well each block of {card.model} separates is not known. Measure it with `python -m core separate --model "
        f"{card.model}`, or choose the blocks in another way."
    )


def _find(inputs: Inputs) -> Result | None:
    """A result counts for the weights that are here; of a model that is not, its id is all there is to compare."""
    here = {member.id: sources.fingerprint(member.spec) for member in inputs.members if sources.is_ready(member.spec)}

    def fits(result: Result) -> bool:
        made = {model["model"]: model["fingerprint"] for model in result.summary["models"]}
        return all(made.get(name) == value for name, value in here.items())

    return results.find_result(KIND, inputs.key, fits=fits)
