"""The prompt suites that Tiller ships: two for measuring, one for extracting, one for choosing; no prompt in two."""

from __future__ import annotations

from pathlib import Path

from core import paths
from core.data.chat import Chat, read_prompts
from core.errors import BadInput

FOLDER = paths.ASSETS / "prompts"
MEASURING = ("everyday", "technical")
EXTRACTION = "extraction"
CHOICE = "choice"
_FILES = {
    "everyday": ("everyday",),
    "technical": ("technical",),
    EXTRACTION: ("extraction_everyday", "extraction_technical"),
    CHOICE: ("choice_everyday", "choice_technical"),
}


def suite(name: str) -> list[Chat]:
    """`everyday` or `technical` (prose asked for), 100 prompts each for measuring; `extraction`, 200 others.

    `choice`, 80 more, are for choosing a block and a coefficient, so that no rate is measured on what chose them.
    """
    files = _FILES.get(name)
    if files is None:
        raise BadInput(f"There is no prompt suite {name!r}. Choose {', '.join(_FILES)}, or give a file.")
    return [chat for file in files for chat in read_prompts(FOLDER / f"{file}.txt")]


def prompts(name: str) -> list[Chat]:
    """A suite by name, or the prompts of a file by path."""
    return suite(name) if name in _FILES else read_prompts(Path(name).expanduser())
