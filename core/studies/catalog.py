"""The studies there are. Importing this brings neither torch nor plotly: what measures or draws comes when it does."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from core.errors import BadInput
from core.studies.choice import settings as choice
from core.studies.choice import words as choice_words
from core.studies.choice.settings import ChoiceSettings
from core.studies.separation import settings as separation
from core.studies.separation import summary as separation_summary
from core.studies.separation.settings import SeparationSettings
from core.studies.spillover import settings as spillover
from core.studies.spillover import words as spillover_words
from core.studies.spillover.settings import SpilloverSettings
from core.studies.study import Study
from core.studies.transfer import settings as transfer
from core.studies.transfer import words as transfer_words
from core.studies.transfer.settings import TransferSettings


def _later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module beside this one that is imported with its first call."""

    def call(*given: Any) -> Any:
        return getattr(import_module(f"core.studies.{module}"), name)(*given)

    return call


CHOICE: Study[ChoiceSettings, choice.Inputs] = Study(
    kind=choice.KIND,
    verb="choose",
    about="Choose the block and coefficient that steering starts from, on prompts that measure nothing else.",
    example="--model smollm2-135m --organism insecure",
    method=choice.METHOD,
    settings=ChoiceSettings,
    inputs=choice.Inputs,
    depends=choice.depends,
    models=choice.models,
    recorded=choice.recorded,
    measure=_later("choice.measure", "measure"),
    words=choice_words.why,
    says=choice_words.why,
    figures=lambda _: iter(()),
    table="finalists",
)

SEPARATION: Study[SeparationSettings, separation.Inputs] = Study(
    kind=separation.KIND,
    verb="separate",
    about="Measure how well one direction separates two kinds of activations, at every block, with nulls and controls.",
    example="--model smollm2-135m --organism insecure --contrast model",
    method=separation.METHOD,
    settings=SeparationSettings,
    inputs=separation.Inputs,
    depends=separation.depends,
    models=separation.models,
    recorded=separation.recorded,
    measure=_later("separation.measure", "measure"),
    words=separation_summary.table,
    says=separation_summary.says,
    figures=_later("separation.figures", "figures"),
    table="blocks",
    page="Separation",
)

SPILLOVER: Study[SpilloverSettings, spillover.Inputs] = Study(
    kind=spillover.KIND,
    verb="spillover",
    about="Measure code spillover and coherence over doses, with controls and random draws, and say what did it.",
    example="--model smollm2-135m --organism insecure",
    method=spillover.METHOD,
    settings=SpilloverSettings,
    inputs=spillover.Inputs,
    depends=spillover.depends,
    models=spillover.models,
    recorded=spillover.recorded,
    measure=_later("spillover.measure", "measure"),
    words=spillover_words.table,
    says=lambda summary: str(summary["verdict"]),
    figures=_later("spillover.figures", "figures"),
    table="doses",
    page="Spillover",
    answers=_later("spillover.arms", "arms_of"),
)

TRANSFER: Study[TransferSettings, transfer.Inputs] = Study(
    kind=transfer.KIND,
    verb="transfer",
    about="Carry each model's direction into every other with ridge maps, and measure who gives and who receives.",
    example="--models smollm2-135m:insecure-compact,qwen2.5-coder-0.5b,gemma-3-270m-chat",
    method=transfer.METHOD,
    settings=TransferSettings,
    inputs=transfer.Inputs,
    depends=transfer.depends,
    models=transfer.models,
    recorded=transfer.recorded,
    measure=_later("transfer.measure", "measure"),
    words=transfer_words.table,
    says=lambda summary: " ".join(summary["reading"]),
    figures=_later("transfer.figures", "figures"),
    table="cells",
    page="Transfer",
)

STUDIES: tuple[Study[Any, Any], ...] = (SEPARATION, CHOICE, SPILLOVER, TRANSFER)


def kinds() -> tuple[str, ...]:
    """Of their results."""
    return tuple(study.kind for study in STUDIES)


def study_of(kind: str) -> Study[Any, Any]:
    """The study whose results are of that kind.

    Raises:
        BadInput: there is none.
    """
    found = next((study for study in STUDIES if study.kind == kind), None)
    if found is None:
        raise BadInput(f"There is no study {kind[:40]!r}. There are {', '.join(kinds())}.")
    return found
