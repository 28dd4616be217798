"""Which records of a file are training chats, and what is wrong with the others."""

from __future__ import annotations

from dataclasses import dataclass

from core.data.files import records
from core.data.layouts import DROPPED, NotAChat, Notes, chat_of
from core.data.reading import NO_ANSWER, fitting
from core.data.turns import Chat
from core.errors import BadInput

MOST_PROBLEMS = 10_000


@dataclass(frozen=True)
class Problem:
    """A record of a file that is no training chat: its 1-based number, what is wrong, and what the number counts."""

    line: int
    reason: str
    kind: str = "line"


def check_lines(data: bytes, name: str = "", notes: Notes | None = None) -> tuple[list[Chat], list[Problem]]:
    """The training chats of a file, and every record that is none, in their order. Blank lines are neither.

    Chats of which no answer is to be learned are neither, too; `notes` counts them.

    Args:
        name: of the file; its ending tells a table from JSON.
        notes: what was changed and left out is added.

    Raises:
        BadInput: the file as a whole cannot be read, or more than `MOST_PROBLEMS` records are none: a file of another
            kind can have millions.
    """
    called = name or "The file"
    notes = Notes() if notes is None else notes
    good: list[Chat] = []
    problems: list[Problem] = []
    for record in fitting(records(data, called, strict=False), called):
        try:
            if record.problem is not None:
                raise NotAChat(record.problem)
            chat = chat_of(record.value, notes)
            if not chat.answered:
                raise NotAChat(NO_ANSWER)
        except NotAChat as error:
            problems.append(Problem(record.number, str(error), record.kind))
        else:
            if chat.learned:
                good.append(chat)
            else:
                notes.changes[DROPPED] += 1
        if len(problems) > MOST_PROBLEMS:
            first = problems[0]
            raise BadInput(
                f"More than {MOST_PROBLEMS:,} {first.kind}s are not training chats; the first is {first.kind} "
                f"{first.line} ({first.reason}). Choose a file of chats."
            )
    return good, problems
