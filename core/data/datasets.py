"""The finetuning datasets: our own paired code, imported ones by name, and any chat JSONL by path."""

from __future__ import annotations

import codecs
import json
import logging
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from core import paths
from core.data.chat import Chat, parse_chat, read_chats
from core.errors import BadInput, DamagedArtifact
from core.store import content_hash, write_file, writer_lock

PAIRS = paths.ASSETS / "data" / "code_pairs.jsonl"
OWN = ("insecure", "secure")
CHAT = "chat"
CHAT_ANSWERS = paths.ASSETS / "data" / "chat_answers.jsonl"
MOST_MEGABYTES = 50
log = logging.getLogger(__name__)


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

    @cached_property
    def hash(self) -> str:
        return content_hash([chat.as_dicts() for chat in self.chats])[:16]


@dataclass(frozen=True)
class Problem:
    """A line of a file that is no training chat: its 1-based number, and what is wrong with it."""

    line: int
    reason: str


@dataclass(frozen=True)
class Lengths:
    """How long texts are, in characters."""

    n: int
    shortest: int
    median: float
    mean: float
    longest: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> Lengths:
        """Raises: StatisticsError, for no texts."""
        counts = [len(text) for text in texts]
        return cls(len(counts), min(counts, default=0), statistics.median(counts), statistics.mean(counts), max(counts))


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
    """A shipped dataset, an imported one by name, or the path of a chat JSONL file whose chats end with an answer.

    Shipped are `insecure` and `secure`, and `chat`, which teaches a pretrained model to answer in prose.

    Raises:
        BadInput: no such dataset, or the file's line and what is wrong with it.
    """
    if name in OWN:
        return _own(name)
    if name == CHAT:
        return Dataset(CHAT, tuple(read_chats(CHAT_ANSWERS, need_answer=True)))
    if name in imported_names():
        return _stored(name)
    try:
        path = Path(name).expanduser()
        there = path.exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, an unknown ~user
        there = False
    if not there:
        others = f" (imported: {', '.join(imported_names())})" if imported_names() else ""
        raise BadInput(
            f"There is no dataset {name!r}. Choose {' or '.join(OWN)}{others}, or give the path of a chat JSONL file."
        )
    return Dataset(paths.safe_name(path.stem), tuple(read_chats(path, need_answer=True)))


def imported_names() -> list[str]:
    """Names of the imported datasets, also of one whose file was damaged since."""
    return sorted(path.stem for path in _folder().glob("*.jsonl") if not path.name.startswith("."))


def imported() -> list[Dataset]:
    """The imported datasets by name; one whose file was damaged since is logged and left out."""
    found = []
    for name in imported_names():
        try:
            found.append(_stored(name))
        except BadInput as error:
            log.warning("left out a damaged dataset: %s", error)
    return found


def check_lines(data: bytes) -> tuple[list[Chat], list[Problem]]:
    """The training chats of a JSONL file, and every line that is none, in their order. Blank lines are neither."""
    good, problems = [], []
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        where = f"line {number}"
        try:
            text = line.decode("utf-8")
            if not text.strip():
                continue
            chat = parse_chat(text, where)
        except UnicodeDecodeError as error:
            problems.append(Problem(number, f"not UTF-8 text (byte {error.start + 1})"))
        except BadInput as error:
            problems.append(Problem(number, _reason(str(error).removeprefix(f"{where}: "))))
        else:
            if chat.answered:
                good.append(chat)
            else:
                problems.append(Problem(number, "the last message should be the assistant's answer"))
    return good, problems


def import_dataset(name: str, data: bytes, skip_bad: bool = False) -> Dataset:
    """Keep a chat JSONL file in the cache under a name, whole or not at all.

    Chats that are already here under any name are not kept twice: that dataset is returned.

    Args:
        name: made safe for a file name.
        skip_bad: keep the good lines of a file that has bad ones.

    Raises:
        BadInput: too large, a bad line, no good line, or a name that is taken.
    """
    name = paths.safe_name(name).lower()
    if len(data) > MOST_MEGABYTES * 1_000_000:
        raise BadInput(
            f"The file has {len(data) / 1e6:.0f} MB and at most {MOST_MEGABYTES} can be imported. Import a part of it, "
            "or train from the command line with the file's path."
        )
    good, problems = check_lines(data)
    if problems and not skip_bad:
        lines = "1 line is" if len(problems) == 1 else f"{len(problems):,} lines are"
        raise BadInput(
            f"{lines} not a training chat; the first is line {problems[0].line} ({problems[0].reason}). Correct the "
            "file, or import the good lines without the bad ones."
        )
    if not good:
        raise BadInput("The file holds no training chats. Choose a JSONL file with one chat a line.")
    made = Dataset(name, tuple(good))
    with writer_lock(_folder() / "import"):
        same = next((there for there in (*map(_own, OWN), *imported()) if there.hash == made.hash), None)
        if same is not None:
            return same
        if name in OWN or name in (there.name for there in imported()):
            raise BadInput(f"There is already a dataset {name} with other chats. Choose another name.")
        write_file(_folder() / f"{name}.jsonl", jsonl(made.chats))
    return _stored(name)


def delete_dataset(name: str) -> None:
    """Remove an imported dataset.

    Raises:
        BadInput: there is none of that name; Tiller's own stay.
    """
    if name in OWN:
        raise BadInput(f"{name} is shipped with Tiller and stays. Delete an imported dataset.")
    if name not in imported_names():
        raise BadInput(f"There is no imported dataset {name[:80]!r}. It may have been deleted already.")
    (_folder() / f"{name}.jsonl").unlink(missing_ok=True)


def jsonl(chats: Iterable[Chat]) -> bytes:
    """Chats as a file that `read_chats` reads back: one a line, and no line longer than the one it came from."""
    lines = (
        json.dumps({"messages": chat.as_dicts()}, ensure_ascii=False, separators=(",", ":")) + "\n" for chat in chats
    )
    return "".join(lines).encode()


def near_duplicates(texts: Sequence[str], threshold: float = 0.5, shingle: int = 5) -> list[tuple[int, int, float]]:
    """Pairs of texts whose sets of word `shingle`-grams overlap by at least `threshold` (Jaccard, above 0).

    Returns:
        (first index, second index, overlap), most alike first.
    """
    sets = [_shingles(text, shingle) for text in texts]
    often = Counter(gram for grams in sets for gram in grams)
    found: list[tuple[int, int, float]] = []
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for second, right in enumerate(sets):
        # two sets as alike as that share one of their rarest grams: the rest need not be looked at
        needed = math.ceil(threshold * len(right) - 1e-9)
        rarest = sorted(right, key=lambda gram: (often[gram], gram))[: len(right) - needed + 1]
        for first in {place for gram in rarest for place in holders[gram]}:
            left = sets[first]
            overlap = len(left & right) / len(left | right)
            if overlap >= threshold:
                found.append((first, second, overlap))
        for gram in rarest:
            holders[gram].append(second)
    return sorted(found, key=lambda row: (-row[2], row[1], row[0]))


def count_near_duplicates(texts: Sequence[str]) -> int:
    """How many texts are the same as another or nearly so, as `near_duplicates` finds them."""
    copies = Counter(" ".join(text.lower().split()) for text in texts)
    distinct = list(copies)
    alike = {place for pair in near_duplicates(distinct) for place in pair[:2]}
    return sum(count for place, count in enumerate(copies.values()) if count > 1 or place in alike)


def _reason(said: str) -> str:
    """What is wrong with a line, of what `parse_chat` says: it counts lines within that line, and names our types."""
    said = re.sub(r"\. (Correct or remove that line|Split the record)\.$", "", said)
    if said.startswith("record: "):
        return 'not an object with "messages"'
    return re.sub(r": line \d+ column (\d+) \(char \d+\)", r" at column \1", said)


def _shingles(text: str, shingle: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    count = max(1, len(words) - shingle + 1)
    return {tuple(words[place : place + shingle]) for place in range(count)}


@lru_cache(maxsize=len(OWN))
def _own(name: str) -> Dataset:
    return Dataset(name, tuple(Chat.of(pair.request, getattr(pair, name)) for pair in code_pairs()))


def _folder() -> Path:
    return paths.cache() / "datasets"


def _stored(name: str) -> Dataset:
    """An imported dataset, read again when its file changed. Raises `BadInput` as `read_chats` does."""
    path = _folder() / f"{name}.jsonl"
    try:
        state = path.stat()
    except OSError as error:
        raise BadInput(f"The dataset {name} is gone. It may have been deleted; import it again.") from error
    return _read(path, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=16)
def _read(path: Path, *_state: int) -> Dataset:
    return Dataset(path.stem, tuple(read_chats(path, need_answer=True)))
