"""What lies in `assets/` ready to be shown: presets and saved examples. No torch.

A damaged file never takes a page down: it is left out, logged, and named in what comes back.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import invalid, paths, store
from core.errors import BadInput, DamagedArtifact
from core.generation.comparison import Settings

log = logging.getLogger(__name__)

# safe in a link and as a file name
Identity = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]


class Preset(BaseModel):
    """Settings with a name, the lowest `order` first; `example`: a saved example of the same id is made from it."""

    model_config = ConfigDict(frozen=True)

    id: Identity
    title: str = Field(min_length=1)
    about: str = ""
    settings: Settings
    example: bool = True
    order: int = 100


class SavedToken(BaseModel):
    """A token as `core.generation.rows.Token` has it."""

    model_config = ConfigDict(frozen=True)

    id: int
    text: str
    logprob: float
    projection: float | None = None


class SavedAnswer(BaseModel):
    """One pane of an example, or one coefficient of its strength strip (then the label is the coefficient)."""

    model_config = ConfigDict(frozen=True)

    label: str
    text: str
    tokens: tuple[SavedToken, ...] = ()
    reason: Literal["end", "length", "stopped"] | None = None
    seconds: float = 0.0


class Example(BaseModel):
    """Answers made earlier with `settings`, to be shown without a model."""

    model_config = ConfigDict(frozen=True)

    id: Identity
    title: str = Field(min_length=1)
    about: str = ""
    settings: Settings
    rows: tuple[SavedAnswer, ...] = Field(min_length=1)
    strip: tuple[SavedAnswer, ...] = ()
    provenance: dict[str, Any] = {}


T = TypeVar("T", Preset, Example)
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Shelf(Generic[T]):
    """What a folder holds. `damaged` has a sentence for each file that was left out."""

    items: tuple[T, ...]
    damaged: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def presets() -> Shelf[Preset]:
    """All presets, by their order."""
    found = _shelf("presets", Preset)
    return Shelf(tuple(sorted(found, key=lambda preset: preset.order)), found.damaged)


def examples() -> Shelf[Example]:
    """All saved examples, with their answers."""
    return _shelf("examples", Example)


def find_preset(identity: str) -> Preset:
    """The preset of that id; `BadInput` names those that there are."""
    return _find(presets(), identity, "preset")


def find_example(identity: str) -> Example:
    """The saved example of that id; `BadInput` names those that there are."""
    return _find(examples(), identity, "saved example")


def read(path: Path, kind: type[M]) -> M:
    """A file as `kind`, read again only when it has changed.

    Raises:
        DamagedArtifact: names the file and the reason.
    """
    try:
        state = path.stat()
        return _read(path, kind, state.st_mtime_ns, state.st_size)  # type: ignore[return-value]
    except OSError as error:
        raise DamagedArtifact(
            f"{paths.shown(path)} cannot be read ({error.strerror}). Check out the file again."
        ) from error


@functools.lru_cache(maxsize=256)
def _read(path: Path, kind: type[BaseModel], changed: int, size: int) -> BaseModel:
    try:
        return kind.model_validate(store.read_json(path))
    except ValidationError as error:
        place, reason = invalid.reason(error)
        raise DamagedArtifact(
            f"{paths.shown(path)}: {place or 'the file'} {reason}. Correct the file or check it out again."
        ) from error


def _shelf(folder: str, kind: type[T]) -> Shelf[T]:
    found: dict[str, T] = {}
    damaged = []
    for path in sorted((paths.ASSETS / folder).glob("*.json")):
        try:
            item = read(path, kind)
        except DamagedArtifact as error:
            log.warning("left out: %s", error)
            damaged.append(str(error))
            continue
        if item.id in found:
            damaged.append(f"{paths.shown(path)} repeats the id {item.id}. Give it another.")
            log.warning("left out: %s", damaged[-1])
        else:
            found[item.id] = item
    return Shelf(tuple(found.values()), tuple(damaged))


def _find(shelf: Shelf[T], identity: str, what: str) -> T:
    for item in shelf:
        if item.id == identity:
            return item
    names = ", ".join(item.id for item in shelf) or "none yet"
    raise BadInput(f"There is no {what} {identity[:80]!r} (there are: {names}). Choose one from the list.")
