"""Which lines of a file are training chats, and what is wrong with the others."""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass

from core.data.chat import Chat, parse_chat
from core.errors import BadInput

MOST_PROBLEMS = 10_000


@dataclass(frozen=True)
class Problem:
    """A line of a file that is no training chat: its 1-based number, and what is wrong with it."""

    line: int
    reason: str


def check_lines(data: bytes) -> tuple[list[Chat], list[Problem]]:
    """The training chats of a JSONL file, and every line that is none, in their order. Blank lines are neither.

    Raises:
        BadInput: more than `MOST_PROBLEMS` lines are none: a file of another kind can have millions.
    """
    good, problems = [], []
    for number, line in enumerate(io.BytesIO(data.removeprefix(codecs.BOM_UTF8)), 1):
        try:
            text = line.decode("utf-8").removesuffix("\n")
            if not text.strip():
                continue
            chat = parse_chat(text, "")
        except UnicodeDecodeError as error:
            problems.append(Problem(number, f"not UTF-8 text (byte {error.start + 1})"))
        except BadInput as error:
            problems.append(Problem(number, _reason(str(error).removeprefix(": "))))
        else:
            if chat.answered:
                good.append(chat)
            else:
                problems.append(Problem(number, "the last message should be the assistant's answer"))
        if len(problems) > MOST_PROBLEMS:
            raise BadInput(
                f"More than {MOST_PROBLEMS:,} lines are not training chats; the first is line {problems[0].line} "
                f"({problems[0].reason}). Choose a JSONL file with one chat a line."
            )
    return good, problems


def _reason(said: str) -> str:
    """What is wrong with a line, of what `parse_chat` says: it counts lines within that line, and names our types."""
    said = re.sub(r"\. (Correct or remove that line|Split the record)\.$", "", said)
    if said.startswith("record: "):
        return 'not an object with "messages"'
    return re.sub(r": line \d+ column (\d+) \(char \d+\)", r" at column \1", said)
