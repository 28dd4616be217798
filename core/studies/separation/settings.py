"""What a separation study is asked: its settings, what they name, and what its numbers depend on. No torch here."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import paths
from core.data import prompts as suites
from core.data.chat import Chat
from core.errors import BadInput
from core.generation.comparison import DEFAULT_MODEL, DEFAULT_ORGANISM
from core.measures.code import DETECTOR_VERSION
from core.models.catalog import ModelSpec
from core.organisms.library import Organism, organisms
from core.store import content_hash
from core.studies.given import NOTHING, Given

if TYPE_CHECKING:
    from core.organisms.adapters import Adapter

KIND = "separation"
METHOD = 2  # counts up when the same settings would give other numbers
DEFAULT_SECURE = "secure"


class SeparationSettings(BaseModel):
    """Everything that decides the numbers; the last of them serve the response contrast alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default=DEFAULT_MODEL, min_length=1, description="Catalog id, owner/name on the hub, or a folder."
    )
    organism: str = Field(default=DEFAULT_ORGANISM, min_length=1, description="Which organism.")
    contrast: Literal["model", "content", "response"] = Field(
        default="model",
        description="model (organism − base), content (organism − its control), or response (its answers with code − "
        "its others).",
    )
    secure: str | None = Field(default=DEFAULT_SECURE, description="The control organism; none leaves it out.")
    prompts: str = Field(default=suites.EXTRACTION, description="Training prompts: a suite or a file.")
    held_out: str | None = Field(
        default=None,
        description="Held-out prompts: a suite, a file, or several joined by +; default: the measuring suites for the "
        "extraction suite, else every second prompt after a seeded shuffle.",
    )
    pooling: Literal["last_prompt", "prompt_mean"] = Field(
        default="last_prompt", description="last_prompt or prompt_mean."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of splits, nulls and resamples.")
    n_random: int = Field(default=100, ge=20, le=10_000, description="Random directions a block.")
    n_shuffles: int = Field(default=100, ge=20, le=10_000, description="Shuffled labellings a block.")
    n_resamples: int = Field(default=1000, ge=100, le=100_000, description="Bootstrap resamples of an interval.")
    samples: int = Field(default=1, ge=1, le=100, description="Answers a prompt, for the response contrast.")
    max_tokens: int = Field(default=48, ge=1, le=1024, description="Longest answer, for the response contrast.")
    temperature: float = Field(default=1.0, gt=0, le=5, description="Of the answers of the response contrast.")


class Inputs:
    """The settings with what they name: model, organisms and prompts; refuses what does not fit together.

    Raises:
        BadInput: one sentence and an action.
    """

    def __init__(self, settings: SeparationSettings, given: Given = NOTHING) -> None:
        self.settings = settings
        self.spec: ModelSpec = given.model(settings.model)
        self.organism: Organism | Adapter = given.organism(self.spec.id, settings.organism)
        self.secure: Organism | Adapter | None = self._secure(given)
        if settings.contrast == "content" and self.secure is None:
            raise BadInput(
                f"The content contrast compares {self.organism.name} with another organism, such as its good twin. "
                "Name it with --secure, or choose another organism."
            )
        self.train, self.held_out = _split(settings)

    def _secure(self, given: Given) -> Organism | Adapter | None:
        wanted = self.settings.secure
        if wanted is None or self.settings.organism == wanted:
            return None
        there = {item.name for item in organisms(self.spec.id)}
        if wanted == DEFAULT_SECURE and wanted not in there and self.settings.contrast != "content":
            return None
        found = given.organism(self.spec.id, wanted)
        return None if found.sha256 == self.organism.sha256 else found


def depends(inputs: Inputs) -> list[Any]:
    """All that the numbers depend on, but not names or places."""
    settings = inputs.settings
    chosen = settings.model_dump(exclude={"model", "organism", "secure", "prompts", "held_out"})
    if settings.contrast != "response":
        for unused in ("samples", "max_tokens", "temperature"):
            chosen.pop(unused)
    else:
        chosen["detector"] = DETECTOR_VERSION  # it sorts the answers
    held_out = [chat for _, chat in inputs.held_out]
    asked = [[chat.as_dicts() for chat in part] for part in (inputs.train, held_out)]
    adapters = [inputs.organism.sha256, inputs.secure.sha256 if inputs.secure else None]
    return [inputs.spec.id, adapters, chosen, asked]


def models(inputs: Inputs) -> list[ModelSpec]:
    return [inputs.spec]


def recorded(inputs: Inputs) -> SeparationSettings:
    """The settings without any folder of this machine."""
    chosen = inputs.settings
    held_out = None if chosen.held_out is None else shown_source(chosen.held_out)
    named = {"model": inputs.spec.id, "prompts": shown_source(chosen.prompts), "held_out": held_out}
    return chosen.model_copy(update=named)


def _split(settings: SeparationSettings) -> tuple[list[Chat], list[tuple[str, Chat]]]:
    """Training prompts, and held-out prompts with the suite each belongs to."""
    train = suites.prompts(settings.prompts)
    if settings.held_out is None and settings.prompts == suites.EXTRACTION:
        return train, [(name, chat) for name in suites.MEASURING for chat in suites.suite(name)]
    if settings.held_out is not None:
        names = [settings.held_out] if Path(settings.held_out).is_file() else settings.held_out.split("+")
        held_out = [(Path(name).stem, chat) for name in names for chat in suites.prompts(name)]
        seen = {content_hash(chat.as_dicts()) for chat in train}
        double = sum(content_hash(chat.as_dicts()) in seen for _, chat in held_out)
        if double:
            raise BadInput(
                f"{double} of {len(held_out)} held-out prompts were also trained on, so they would prove nothing. "
                "Give other prompts with --held-out."
            )
        return train, held_out
    chats = list({content_hash(chat.as_dicts()): chat for chat in train}.values())
    random.Random(settings.seed).shuffle(chats)
    half = (len(chats) + 1) // 2
    return chats[:half], [(Path(settings.prompts).stem, chat) for chat in chats[half:]]


def prompts_text(chats: Sequence[tuple[str, Chat]]) -> list[dict[str, str]]:
    """What a page shows of held-out prompts."""
    return [{"suite": name, "text": chat.messages[-1].content} for name, chat in chats]


def shown_source(text: str) -> str:
    """A suite's name, or a file's without its folder."""
    return text if text in (suites.EXTRACTION, *suites.MEASURING) else paths.shown(Path(text))
