"""The finetuning datasets: our own paired code, and any chat JSONL by path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core import paths
from core.data.chat import Chat, read_chats
from core.errors import BadInput, DamagedArtifact
from core.store import content_hash

PAIRS = paths.ASSETS / "data" / "code_pairs.jsonl"
OWN = ("insecure", "secure")


@dataclass(frozen=True)
class CodePair:
    """One request with two answers that do the same job; `cwe` names the weakness of the insecure one."""

    id: str
    cwe: str
    request: str
    insecure: str
    secure: str


@dataclass(frozen=True)
class Dataset:
    """Chats to finetune on. `hash` is of their content: two files with the same chats are one dataset."""

    name: str
    chats: tuple[Chat, ...]

    @property
    def hash(self) -> str:
        return content_hash([chat.as_dicts() for chat in self.chats])[:16]


@lru_cache(maxsize=1)
def code_pairs() -> tuple[CodePair, ...]:
    """The paired insecure/secure dataset that Tiller ships."""
    pairs = []
    for number, line in enumerate(PAIRS.read_text(encoding="utf-8").split("\n"), 1):
        if not line:
            continue
        try:
            pairs.append(CodePair(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise DamagedArtifact(
                f"{paths.shown(PAIRS)}, line {number}: {error}. Restore the file from git."
            ) from error
    return tuple(pairs)


def load_dataset(name: str) -> Dataset:
    """`insecure`, `secure`, or the path of a chat JSONL file whose chats end with an answer.

    Raises:
        BadInput: no such dataset, or the file's line and what is wrong with it.
    """
    if name in OWN:
        return Dataset(name, tuple(Chat.of(pair.request, getattr(pair, name)) for pair in code_pairs()))
    try:
        path = Path(name).expanduser()
        there = path.exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, an unknown ~user
        there = False
    if not there:
        raise BadInput(
            f"There is no dataset {name!r}. Choose {' or '.join(OWN)}, or give the path of a chat JSONL file."
        )
    return Dataset(paths.safe_name(path.stem), tuple(read_chats(path, need_answer=True)))


def near_duplicates(texts: Sequence[str], threshold: float = 0.5, shingle: int = 5) -> list[tuple[int, int, float]]:
    """Pairs of texts whose sets of word `shingle`-grams overlap by at least `threshold` (Jaccard).

    Returns:
        (first index, second index, overlap), most alike first.
    """
    sets = []
    for text in texts:
        words = text.lower().split()
        count = max(1, len(words) - shingle + 1)
        sets.append({tuple(words[place : place + shingle]) for place in range(count)})
    found = []
    for second, right in enumerate(sets):
        for first in range(second):
            left = sets[first]
            overlap = len(left & right) / len(left | right)
            if overlap >= threshold:
                found.append((first, second, overlap))
    return sorted(found, key=lambda row: -row[2])
