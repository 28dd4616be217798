"""The spillover study: does subtracting the direction cure the organism, and is it this direction that does it?

One organism, one direction, a range of doses at chosen blocks, controls of equal length beside each dose and many
random draws at one dose (arXiv 2606.20225). `find` needs neither torch nor the model; `run` computes what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core import paths, results, store
from core.data import prompts as suites
from core.data.chat import Chat
from core.directions import library
from core.directions.library import DirectionCard
from core.errors import BadInput
from core.generation import comparison
from core.measures.code import DETECTOR_VERSION
from core.models import sources
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import Organism, find_organism

if TYPE_CHECKING:
    from core.results import Result

KIND = "spillover"
METHOD = 4  # counts up when the same answers would give other numbers
COEFFICIENTS = (-1.5, -1.25, -1.0, -0.875, -0.75, -0.625, -0.5, -0.4, -0.3, -0.2, -0.1)
SHARES = (0.25, 0.5, 0.75, 1.0)
Control = Literal["random", "orthogonal", "wrong_source", "sign_flipped", "wrong_layer"]
CONTROLS: tuple[Control, ...] = ("random", "orthogonal", "wrong_source")
CONTROLS_AT_DOSE = {"add": ("sign_flipped", "wrong_layer"), "ablate": ("wrong_layer",)}

Report = Callable[[str, int, int], None]


class SpilloverSettings(BaseModel):
    """Everything that decides the numbers; what is unset is filled in by `Inputs`.

    `coefficients` are multiples of the direction for `add`, shares for `ablate`; 0 is always measured. `dose` is the
    one at which the draws are made. Each of `blocks` is steered alone, or, with `together`, all of them at once, each
    with its own vector. `controls` accompany every dose at every block. `prompts` unset: `per_suite` of each measuring
    suite, evenly spread.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = comparison.DEFAULT_MODEL
    organism: str = comparison.DEFAULT_ORGANISM
    direction: str | None = None
    mode: Literal["add", "ablate"] = "add"
    blocks: tuple[int, ...] = ()
    together: bool = False
    coefficients: tuple[float, ...] = ()
    dose: float | None = Field(default=None, allow_inf_nan=False)
    controls: tuple[Control, ...] = CONTROLS
    draws: int = Field(default=20, ge=0, le=1000)
    scope: Literal["all", "prompt", "response"] = "all"
    prompts: str | None = None
    per_suite: int = Field(default=50, ge=1, le=10_000)
    max_tokens: int = Field(default=64, ge=1, le=4096)
    temperature: float = Field(default=0.0, ge=0, le=5)
    seed: int = Field(default=0, ge=0, lt=2**31)
    n_resamples: int = Field(default=2000, ge=100, le=100_000)

    @field_validator("coefficients")
    @classmethod
    def _distinct(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(dict.fromkeys(values))


class Inputs:
    """The settings with what they name: model, organism, direction, doses, controls and prompts.

    Raises:
        BadInput, DirectionMismatch: one sentence and an action.
    """

    def __init__(self, settings: SpilloverSettings) -> None:
        self.spec: ModelSpec = resolve(settings.model)
        self.organism: Organism = find_organism(self.spec.id, settings.organism)
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
        plan = comparison.complete(asked)
        self.card: DirectionCard = plan.card
        self.dose = float(plan.settings.coefficient or 0.0)
        if self.dose == 0:
            raise BadInput("A dose of 0 steers nothing. Choose another dose.")
        self.blocks = settings.blocks or (plan.block,)
        for block in self.blocks:
            comparison.complete(asked.model_copy(update={"block": block}))
        usual = COEFFICIENTS if settings.mode == "add" else SHARES
        self.coefficients = tuple(sorted({*(settings.coefficients or usual), self.dose} - {0.0}))
        for coefficient in self.coefficients:
            comparison.complete(asked.model_copy(update={"coefficient": coefficient}))
        self.controls = tuple(name for name in settings.controls if self._can_be_made(name, settings))
        self.prompts: list[tuple[str, Chat]] = suites.measuring(settings.prompts, settings.per_suite)
        self.settings = settings

    @property
    def key(self) -> str:
        """Hash of all that the numbers depend on, but not of names or places."""
        left_out = {
            "model",
            "organism",
            "direction",
            "prompts",
            "per_suite",
            "blocks",
            "coefficients",
            "controls",
            "dose",
        }
        chosen = self.settings.model_dump(exclude=left_out)
        asked = [[suite, chat.as_dicts()] for suite, chat in self.prompts]
        controls = [library.control_reference(self.card, control, self.settings.seed) for control in self.controls]
        return store.content_hash(
            [
                KIND, METHOD, DETECTOR_VERSION, self.spec.id, self.organism.sha256, self.card.id, self.dose,
                self.blocks, self.coefficients, controls, chosen, asked,
            ]
        )[:24]  # fmt: skip

    def _can_be_made(self, control: str, settings: SpilloverSettings) -> bool:
        """Whether a control exists here; a model with one organism has no wrong source."""
        if control == "wrong_source" and not library.wrong_sources(self.card):
            return False
        return not (control == "sign_flipped" and settings.mode == "ablate")


def find(settings: SpilloverSettings) -> Result | None:
    """The saved result of exactly these settings; None where it has not been computed for these weights."""
    return _find(Inputs(settings))


def run(
    settings: SpilloverSettings,
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
        shipped_as: save it among the shipped results under this name.

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
        from core.studies.spillover_run import compute

        summary, table = compute(inputs, device, report or _silent, rows_a_batch)
        return results.save_result(KIND, inputs.key, summary, {}, shipped_as, table)


def from_options(**options: Any) -> SpilloverSettings:
    """Settings from a command line or a form.

    Raises:
        BadInput: names the setting and the reason.
    """
    try:
        return SpilloverSettings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{first['loc'][0]}: {first['msg']}. Choose another value.") from error


def arguments(settings: SpilloverSettings) -> list[str]:
    """The command line of these settings; what is as usual is left out."""
    found = ["spillover", "--model", settings.model, "--organism", settings.organism]
    plain = SpilloverSettings()
    chosen = settings.model_dump(exclude={"model", "organism", "controls", "together", "n_resamples"})
    for name, value in chosen.items():
        if value != getattr(plain, name):
            shown = ",".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)
            found += [f"--{name.replace('_', '-')}", shown]
    if settings.controls != plain.controls:
        found += ["--controls", ",".join(settings.controls) or "none"]
    return found + (["--together"] if settings.together else [])


def _find(inputs: Inputs) -> Result | None:
    fingerprint = sources.fingerprint(inputs.spec) if sources.is_ready(inputs.spec) else None
    return results.find_result(KIND, inputs.key, fingerprint)


def _silent(_: str, __: int, ___: int) -> None:
    pass
