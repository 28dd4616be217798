"""What a caller gives as prompts or as data to learn: texts, chats, names and paths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from core import paths, store
from core.data import prompts as suites
from core.data.datasets import Dataset, load_dataset
from core.data.reading import read_prompts
from core.data.turns import Chat
from core.errors import BadInput

Prompts = str | Path | Chat | Sequence[str | Chat]
Learned = str | Path | Dataset | Sequence[Chat | tuple[str, str]]


def prompts_of(given: Prompts) -> list[Chat]:
    """A suite by its name, a file by its `Path`, else a text or a list of texts or chats.

    Raises:
        BadInput: none, an empty one, or a file that cannot be read.
    """
    if isinstance(given, Path):
        return read_prompts(given.expanduser())
    if isinstance(given, str) and given in suites.NAMES:
        return suites.suite(given)
    several = [given] if isinstance(given, str | Chat) else list(given)
    if not several:
        raise BadInput("There are no prompts. Give at least one.")
    return [item if isinstance(item, Chat) else _chat(item) for item in several]


def dataset_of(given: Learned) -> Dataset:
    """A dataset as it is, by its name or path, or made of chats that end with an answer or (question, answer) pairs.

    Raises:
        BadInput: nothing by that name, or a chat without an answer.
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, str | Path):
        return load_dataset(str(given))
    chats = tuple(item if isinstance(item, Chat) else _chat(*item) for item in given)
    if silent := [place for place, chat in enumerate(chats) if not chat.answered]:
        raise BadInput(f"Chat {silent[0]} does not end with an answer. Add the answer that is to be learned.")
    return Dataset("own", chats)


def written(chats: Sequence[Chat]) -> Path:
    """Prompts as a file in the cache folder, for what knows prompts by name; the same ones are the same file."""
    lines = [json.dumps({"messages": chat.as_dicts()}, ensure_ascii=False) for chat in chats]
    file = paths.cache() / "prompts" / f"own-{store.content_hash(lines)[:12]}.jsonl"
    store.write_file(file, ("\n".join(lines) + "\n").encode())
    return file


def _chat(prompt: str, answer: str | None = None) -> Chat:
    try:
        return Chat.of(prompt, answer)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(f"{str(prompt)[:60]!r} cannot be a prompt: {reason}. Give each as a text.") from error
