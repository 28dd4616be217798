"""The finetuning datasets: our own paired code, imported ones by name, and any file of chats by path."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

from core import paths
from core.data.checking import check_lines
from core.data.files import MOST_CHARACTERS
from core.data.layouts import Notes
from core.data.reading import read_chats
from core.data.turns import Chat
from core.errors import BadInput, DamagedArtifact
from core.kept import Kept, leave_out
from core.store import content_hash, write_file, writer_lock

PAIRS = paths.ASSETS / "data" / "code_pairs.jsonl"
OWN = ("insecure", "secure")
CHAT = "chat"
SHIPPED = (*OWN, CHAT)
CHAT_ANSWERS = paths.ASSETS / "data" / "chat_answers.jsonl"
MOST_MEGABYTES = 50


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
    """Chats to finetune on. `hash` is of their content: two files with the same chats are one dataset.

    Attributes:
        read: what reading the file came to, in words: another layout, what was changed or left out; often empty.
    """

    name: str
    chats: tuple[Chat, ...]
    read: str = field(default="", compare=False)

    @cached_property
    def hash(self) -> str:
        return content_hash([chat.as_records() for chat in self.chats])[:16]

    @cached_property
    def answers(self) -> int:
        """How many answers are to be learned; a chat of several turns can have several."""
        return sum(len(chat.learned) for chat in self.chats)


@dataclass(frozen=True)
class Listed:
    """A dataset in a list, without its chats: of those there may be gigabytes."""

    name: str
    n: int
    hash: str


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
    """A shipped dataset, an imported one by name, or the path of a file whose chats end with an answer.

    Shipped are `insecure` and `secure`, and `chat`, which teaches a pretrained model to answer in prose.

    Raises:
        BadInput: no such dataset, or the file's line, row or item and what is wrong with it.
    """
    if name in OWN:
        return _own(name)
    if name == CHAT:
        return _stored(CHAT, CHAT_ANSWERS)
    if name in (files := _files()):
        return _stored(name, files[name])
    try:
        path = Path(name).expanduser()
        there = path.exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, an unknown ~user
        there = False
    if not there:
        others = f" (imported: {', '.join(files)})" if files else ""
        known = f"{', '.join(OWN)} or {CHAT}{others}"
        raise BadInput(f"There is no dataset {name!r}. Choose {known}, or give the path of a file of chats.")
    notes = Notes()
    chats = read_chats(path, need_answer=True, notes=notes)
    return Dataset(paths.safe_name(path.stem, "dataset"), tuple(chats), notes.words())


def imported_names() -> list[str]:
    """Names of the imported datasets, also of one whose file was damaged since."""
    return list(_files())


def imported() -> list[Listed]:
    """The imported datasets by name; one whose file was damaged since is logged and left out."""
    found = []
    for name, path in _files().items():
        try:
            found.append(Listed(name, *_count_and_hash(path)))
        except (BadInput, OSError) as error:
            leave_out("dataset", error)
    return found


def shipped() -> list[Listed]:
    """The datasets that come with Tiller."""
    made = [load_dataset(name) for name in SHIPPED]
    return [Listed(dataset.name, len(dataset.chats), dataset.hash) for dataset in made]


def import_dataset(name: str, data: bytes, skip_bad: bool = False, file: str = "") -> Dataset:
    """Keep a file's chats in the cache under a name, as JSONL in our own layout, whole or not at all.

    Chats that are already here under any name are not kept twice: that dataset is returned.

    Args:
        name: made safe for a file name; a shipped dataset's is taken.
        skip_bad: keep the good records of a file that has bad ones.
        file: its name, which tells a table from JSON.

    Raises:
        BadInput: too large, a bad record, no good one, or a name that is taken.
    """
    name = paths.safe_name(name, "dataset").lower()
    if len(data) > MOST_MEGABYTES * 1_000_000:
        raise BadInput(
            f"The file has {len(data) / 1e6:.0f} MB and at most {MOST_MEGABYTES} can be imported. Import a part of it, "
            "or train from the command line with the file's path."
        )
    notes = Notes()
    good, problems = check_lines(data, file, notes)
    if problems and not skip_bad:
        first, kind = problems[0], problems[0].kind
        several = f"1 {kind} is" if len(problems) == 1 else f"{len(problems):,} {kind}s are"
        raise BadInput(
            f"{several} not a training chat; the first is {kind} {first.line} ({first.reason}). Correct the "
            f"file, or import the good {kind}s without the bad ones."
        )
    if not good:
        raise BadInput("The file holds no training chats. Choose a file of chats that end with an answer to learn.")
    made = Dataset(name, tuple(good), notes.words())
    kept = jsonl(made.chats)
    if max(map(len, kept.decode().split("\n"))) > MOST_CHARACTERS:
        raise BadInput(f"A chat of the file has more than {MOST_CHARACTERS:,} characters. Split or remove it.")
    with writer_lock(_folder() / "import"):
        there = [*shipped(), *imported()]
        same = next((one for one in there if one.hash == made.hash), None)
        if same is not None:
            return replace(load_dataset(same.name), read=made.read)
        if name in (one.name for one in there):
            raise BadInput(f"There is already a dataset {name} with other chats. Choose another name.")
        write_file(_folder() / f"{name}.jsonl", kept)
    return replace(load_dataset(name), read=made.read)


def delete_dataset(name: str) -> None:
    """Remove an imported dataset.

    Raises:
        BadInput: there is none of that name; Tiller's own stay.
        NotWritable: the cache folder is.
    """
    if name in SHIPPED:
        raise BadInput(f"{name} is shipped with Tiller and stays. Delete an imported dataset.")
    path = _files().get(name)
    if path is None:
        raise BadInput(f"There is no imported dataset {name[:80]!r}. It may have been deleted already.")
    with paths.writable_errors():
        path.unlink(missing_ok=True)


def jsonl(chats: Iterable[Chat]) -> bytes:
    """Chats as a file that `read_chats` reads back: one a line, in our own layout."""
    lines = (
        json.dumps({"messages": chat.as_records()}, ensure_ascii=False, separators=(",", ":")) + "\n" for chat in chats
    )
    return "".join(lines).encode()


@lru_cache(maxsize=len(OWN))
def _own(name: str) -> Dataset:
    return Dataset(name, tuple(Chat.of(pair.request, getattr(pair, name)) for pair in code_pairs()))


def _folder() -> Path:
    return paths.cache() / "datasets"


def _files() -> dict[str, Path]:
    """The imported datasets' files by name. One that has a shipped dataset's name, from before that was refused, is
    called otherwise: under its own nobody could look at it, and the shipped one would be trained in its place."""
    there = {path.stem: path for path in sorted(_folder().glob("*.jsonl")) if not path.name.startswith(".")}
    found = {stem: path for stem, path in there.items() if stem not in SHIPPED}
    for stem in there.keys() & set(SHIPPED):
        name = f"{stem}-imported"
        while name in found:
            name += "-imported"
        found[name] = there[stem]
    return dict(sorted(found.items()))


def _stored(name: str, path: Path) -> Dataset:
    """A dataset of a file, read again when that changed. Raises `BadInput` as `read_chats` does."""
    try:
        state = path.stat()
    except OSError as error:
        raise BadInput(f"The dataset {name} is gone. It may have been deleted; import it again.") from error
    return _read(name, path, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=4)  # of up to MOST_MEGABYTES each
def _read(name: str, path: Path, *_state: int) -> Dataset:
    return Dataset(name, tuple(read_chats(path, need_answer=True)))


@Kept
def _count_and_hash(path: Path) -> tuple[int, str]:
    dataset = _stored(path.stem, path)
    return len(dataset.chats), dataset.hash
