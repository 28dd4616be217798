"""The separation study: one contrast, all blocks, with nulls, ceiling and secure control (arXiv 2606.20225).

`find` needs neither torch nor the model; `run` computes what is not in the store yet.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import paths, results
from core.data import prompts as suites
from core.data.chat import Chat
from core.errors import BadInput
from core.measures.code import DETECTOR_VERSION
from core.models import sources
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import Organism, find_organism, organisms
from core.store import content_hash
from core.studies.separation_words import reading, reading_of_secure

if TYPE_CHECKING:
    from core.results import Result

KIND = "separation"
METHOD = 2  # counts up when the same settings would give other numbers
DEFAULT_SECURE = "secure"

Report = Callable[[str, int, int], None]


class SeparationSettings(BaseModel):
    """Everything that decides the numbers.

    `held_out` unset: the measuring suites for the extraction suite, else every second prompt after a seeded
    shuffle. `samples`, `max_tokens` and `temperature` are for the response contrast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    organism: str
    contrast: Literal["model", "content", "response"] = "model"
    secure: str | None = DEFAULT_SECURE
    prompts: str = suites.EXTRACTION
    held_out: str | None = None
    pooling: Literal["last_prompt", "prompt_mean"] = "last_prompt"
    samples: int = Field(default=1, ge=1, le=100)
    max_tokens: int = Field(default=48, ge=1, le=1024)
    temperature: float = Field(default=1.0, gt=0, le=5)
    seed: int = Field(default=0, ge=0, lt=2**31)
    n_random: int = Field(default=100, ge=20, le=10_000)
    n_shuffles: int = Field(default=100, ge=20, le=10_000)
    n_resamples: int = Field(default=1000, ge=100, le=100_000)


class Inputs:
    """The settings with what they name: model, organisms and prompts; refuses what does not fit together.

    Raises:
        BadInput: one sentence and an action.
    """

    def __init__(self, settings: SeparationSettings) -> None:
        self.settings = settings
        self.spec: ModelSpec = resolve(settings.model)
        self.organism: Organism = find_organism(self.spec.id, settings.organism)
        self.secure: Organism | None = self._secure()
        self.train, self.held_out = _split(settings)

    @property
    def key(self) -> str:
        """Hash of all that the numbers depend on, but not of names or places."""
        chosen = self.settings.model_dump(exclude={"model", "organism", "secure", "prompts", "held_out"})
        if self.settings.contrast != "response":
            for unused in ("samples", "max_tokens", "temperature"):
                chosen.pop(unused)
        held_out = [chat for _, chat in self.held_out]
        inputs = [[chat.as_dicts() for chat in part] for part in (self.train, held_out)]
        if self.settings.contrast == "response":
            chosen["detector"] = DETECTOR_VERSION  # it sorts the answers
        adapters = [self.organism.sha256, self.secure.sha256 if self.secure else None]
        return content_hash([KIND, METHOD, self.spec.id, adapters, chosen, inputs])[:24]

    def _secure(self) -> Organism | None:
        wanted = self.settings.secure
        if wanted is None or self.settings.organism == wanted:
            return None
        there = {item.name for item in organisms(self.spec.id)}
        if wanted == DEFAULT_SECURE and wanted not in there and self.settings.contrast != "content":
            return None
        found = find_organism(self.spec.id, wanted)
        return None if found.sha256 == self.organism.sha256 else found


def find(settings: SeparationSettings) -> Result | None:
    """The saved result of exactly these settings; None where it has not been computed for these weights."""
    return _find(Inputs(settings))


def _find(inputs: Inputs) -> Result | None:
    fingerprint = sources.fingerprint(inputs.spec) if sources.is_ready(inputs.spec) else None
    return results.find_result(KIND, inputs.key, fingerprint)


def run(
    settings: SeparationSettings,
    device: str | None = None,
    report: Report | None = None,
    fresh: bool = False,
    shipped_as: str | None = None,
) -> Result:
    """The result from the store, else computed and saved.

    Args:
        report: is told the stage, and how much of it is done.
        fresh: compute it even where it is saved.
        shipped_as: save it among the shipped results under this name.

    Raises:
        BadInput: settings that do not fit together; too few answers of one class (response contrast).
    """
    inputs = Inputs(settings)
    saved = None if fresh or shipped_as else _find(inputs)
    if saved:
        return saved
    from core.studies.separation_run import compute

    summary, arrays = compute(inputs, device, report or _silent)
    return results.save_result(KIND, inputs.key, summary, arrays, shipped_as)


def table(summary: dict[str, Any]) -> str:
    """The blocks as text for a terminal, and the reading at the best one."""
    lines = ["block  accuracy  interval        AUROC  Cohen's d   norm  shuffled  random       ceiling"]
    for row in summary["blocks"]:
        low, high = row["interval"]
        lines.append(
            f"{row['block']:5d}  {100 * row['balanced_accuracy']:6.1f} %  {100 * low:5.1f}–{100 * high:5.1f} %  "
            f"{row['auroc']:6.3f}  {row['cohens_d'] or float('nan'):8.2f}  {row['norm']:6.4g}  "
            f"{100 * row['shuffled']:6.1f} %  {100 * row['random'][0]:3.0f}–{100 * row['random'][1]:3.0f} %  "
            f"{100 * row['ceiling']:6.1f} %"
        )
    block = best_block(summary)
    said = [reading(summary, block), reading_of_secure(summary, block)]
    return "\n".join([*lines, "", *filter(None, said)])


def best_block(summary: dict[str, Any]) -> int:
    """Where the two classes lie furthest apart for their spread: the largest Cohen's d."""
    return max(summary["blocks"], key=lambda row: row["cohens_d"] or 0.0)["block"]


def from_options(**options: Any) -> SeparationSettings:
    """Settings from a command line or a form.

    Raises:
        BadInput: names the setting and the reason.
    """
    try:
        return SeparationSettings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{first['loc'][0]}: {first['msg']}. Choose another value.") from error


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


def _silent(_: str, __: int, ___: int) -> None:
    pass
