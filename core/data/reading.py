"""Chats and prompts out of files, whatever layout they are in; the first record that is none is named and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from core import paths
from core.data import layouts
from core.data.files import Record, content, json_of, records
from core.data.layouts import DROPPED, NotAChat, Notes, chat_of, prompt_of, quoted
from core.data.turns import Chat
from core.errors import BadInput

NO_ANSWER = "the last message should be the assistant's answer"


def parse_chat(line: str, where: str) -> Chat:
    """One JSONL line as a chat. `where` (file and line) starts the error.

    Raises:
        BadInput: not JSON, or not a chat.
    """
    try:
        return chat_of(json_of(line), Notes())
    except ValueError as error:
        raise BadInput(f"{where}: {error}. Correct or remove that line.") from error


def read_chats(path: Path, need_answer: bool = False, notes: Notes | None = None) -> list[Chat]:
    """All chats of a file of JSONL, JSON, CSV or Parquet.

    Args:
        need_answer: for training: refuse chats that do not end with the assistant, and leave out those of which no
            answer is to be learned.
        notes: what was changed and left out is added.

    Raises:
        BadInput: names the file, the line, row or item, and the reason.
    """
    notes = Notes() if notes is None else notes
    shown = paths.shown(path)  # once: it asks the disk, and a file may have half a million lines

    def read(value: Any) -> Chat:
        chat = chat_of(value, notes)
        if need_answer and not chat.answered:
            raise NotAChat(NO_ANSWER)
        return chat

    chats = [_read(record, shown, read) for record in fitting(records(content(path), shown), shown)]
    kept = [chat for chat in chats if chat.learned] if need_answer else chats
    if not chats:
        raise BadInput(f"{shown} holds no records. Choose a file of chats.")
    if not kept:
        raise BadInput(f"{shown} holds no answer to learn: all have weight 0. Choose another file.")
    if dropped := len(chats) - len(kept):
        notes.changes[DROPPED] += dropped
    return kept


def read_prompts(path: Path, notes: Notes | None = None) -> list[Chat]:
    """Prompts from a file: texts or chats of JSONL, JSON, CSV or Parquet, else one plain prompt a line.

    In chat records a trailing assistant turn is dropped, so that training data can serve as prompts.

    Args:
        notes: what was changed is added.

    Raises:
        BadInput: names the file, the line, row or item, and the reason.
    """
    notes, shown = Notes() if notes is None else notes, paths.shown(path)
    found = fitting(records(content(path), shown, plain=True), shown, prompt=True)
    prompts = [_read(record, shown, lambda value: prompt_of(value, notes)) for record in found]
    if not prompts:
        raise BadInput(f"{shown} holds no prompts. Write one prompt a line.")
    return prompts


def fitting(found: Iterator[Record], name: str, prompt: bool = False) -> Iterator[Record]:
    """The records, once it is clear of a table that its columns hold chats or prompts.

    Raises:
        BadInput: names the columns that are there.
    """
    first = next(found, None)
    if first is None:
        return iter(())
    if first.kind == "row" and not layouts.fits(first.value, prompt):
        there = ", ".join(quoted(column) for column in list(first.value)[:8])
        wanted = (
            f"the prompts {', '.join(layouts.PROMPT[:-1])} or {layouts.PROMPT[-1]}"
            if prompt
            else "the user's texts prompt and the one of the answers completion"
        )
        raise BadInput(f"{name} has the columns {there} and none that is known. Call the column of {wanted}.")
    return chain([first], found)


def _read(record: Record, name: str, read: Callable[[Any], Chat]) -> Chat:
    try:
        if record.problem is not None:
            raise NotAChat(record.problem)
        return read(record.value)
    except NotAChat as error:
        raise BadInput(f"{name}, {record.place}: {error}. Correct or remove that {record.kind}.") from error
