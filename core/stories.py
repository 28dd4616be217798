"""Guided lessons, as data: steps with a text, what to look at, a question to the class and its answer. No torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import paths
from core.errors import DamagedArtifact
from core.generation.comparison import Settings
from core.generation.saved import Identity, read

log = logging.getLogger(__name__)


class Step(BaseModel):
    """One step of a lesson. At most one of `example`, `preset` and `settings` says what the Steer page opens.

    Or `page` names another page by its title in the navigation, and `query` what its link asks for. Texts are
    Markdown that ships with the project. `source` names where quoted figures come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    text: str = Field(min_length=1)
    example: Identity | None = None
    preset: Identity | None = None
    settings: Settings | None = None
    page: str | None = Field(default=None, min_length=1)
    query: dict[str, str] = Field(default_factory=dict)
    link_label: str = "Open in Steer"
    look: str = ""
    question: str = Field(min_length=1)
    reveal: str = Field(min_length=1)
    source: str = ""

    @model_validator(mode="after")
    def _one_target(self) -> Step:
        if sum(target is not None for target in (self.example, self.preset, self.settings, self.page)) > 1:
            raise ValueError("a step opens one of example, preset and settings, or another page")
        if self.query and self.page is None:
            raise ValueError("query belongs to page, which is missing")
        return self


class Story(BaseModel):
    """A lesson; `order` places it among the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identity
    title: str = Field(min_length=1)
    about: str = ""
    minutes: int = Field(ge=1)
    order: int = 0
    steps: tuple[Step, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Stories:
    """The lessons in order. `damaged` has a sentence for each file that was left out."""

    items: tuple[Story, ...]
    damaged: tuple[str, ...] = ()


def stories() -> Stories:
    """All lessons in `assets/stories`."""
    found = []
    damaged = []
    for path in sorted((paths.ASSETS / "stories").glob("*.json")):
        try:
            found.append(read(path, Story))
        except DamagedArtifact as error:
            log.warning("left out: %s", error)
            damaged.append(str(error))
    return Stories(tuple(sorted(found, key=lambda story: story.order)), tuple(damaged))
