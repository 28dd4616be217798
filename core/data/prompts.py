"""The prompt suites that Tiller ships: two for measuring, and others for extracting, choosing, teaching to chat.

No prompt is in two of them; `mapping` is those for extracting and for chatting together.
"""

from __future__ import annotations

from pathlib import Path

from core import paths
from core.data.reading import read_prompts
from core.data.turns import Chat
from core.errors import BadInput

FOLDER = paths.ASSETS / "prompts"
MEASURING = ("everyday", "technical")
EXTRACTION = "extraction"
CHOICE = "choice"
CHAT = "chat"
MAPPING = "mapping"
_FILES = {
    "everyday": ("everyday",),
    "technical": ("technical",),
    EXTRACTION: ("extraction_everyday", "extraction_technical"),
    CHOICE: ("choice_everyday", "choice_technical"),
    CHAT: ("chat_everyday", "chat_technical"),
    MAPPING: ("extraction_everyday", "extraction_technical", "chat_everyday", "chat_technical"),
}
NAMES = tuple(_FILES)


def suite(name: str) -> list[Chat]:
    """`everyday` or `technical` (prose asked for), 100 prompts each for measuring; `extraction`, 200 others.

    `choice`, 80 more, are for choosing a block and a coefficient, so that no rate is measured on what chose them;
    `chat`, 500 more, for teaching a pretrained model to chat; `mapping`, the 700 that fit maps between models.
    """
    files = _FILES.get(name)
    if files is None:
        raise BadInput(f"There is no prompt suite {name!r}. Choose {', '.join(_FILES)}, or give a file.")
    return [chat for file in files for chat in read_prompts(FOLDER / f"{file}.txt")]


def prompts(name: str) -> list[Chat]:
    """A suite by name, or the prompts of a file by path."""
    return suite(name) if name in _FILES else read_prompts(Path(name).expanduser())


def measuring(named: str | None, per_suite: int) -> list[tuple[str, Chat]]:
    """The prompts of a measurement, each with the tier it belongs to.

    Args:
        named: a suite or a file of one's own; None: `per_suite` of each measuring suite, evenly spread.

    Raises:
        BadInput: a file that cannot be read, or fewer than two prompts.
    """
    if named is not None:
        own = [(Path(named).stem, chat) for chat in prompts(named)]
        if len(own) < 2:
            raise BadInput("One prompt gives no interval. Give at least two prompts.")
        return own
    chosen = []
    for name in MEASURING:
        chats = suite(name)
        count = min(per_suite, len(chats))
        chosen += [(name, chats[place * len(chats) // count]) for place in range(count)]
    return chosen


def shown(named: str | None, per_suite: int) -> str:
    """The name of a measurement's prompts, a file's without its folder."""
    if named is None:
        return f"{per_suite} of each of {' and '.join(MEASURING)}"
    return paths.shown(Path(named))
