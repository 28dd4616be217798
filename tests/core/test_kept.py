"""Files are read again exactly when they have changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core import kept
from core.kept import Kept


@pytest.fixture
def reads() -> list[Path]:
    return []


@pytest.fixture
def text(reads):
    def read(path: Path) -> str:
        reads.append(path)
        return path.read_text()

    return Kept(read)


def write(path: Path, words: str, age: float = 60) -> None:
    """As a file written `age` seconds ago; the time of its last change cannot be set, so the limit goes by both."""
    path.write_text(words)
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.fixture
def settled(monkeypatch):
    """Every file counts as old enough."""
    monkeypatch.setattr(kept, "SETTLED_SECONDS", -1.0)


def test_an_unchanged_file_is_read_once(tmp_path, settled, text, reads):
    write(tmp_path / "a", "one")
    assert [text(tmp_path / "a") for _ in range(3)] == ["one"] * 3
    assert len(reads) == 1


@pytest.mark.parametrize("words", ["two", "longer"])
def test_a_changed_file_is_read_again_whether_its_size_or_only_its_time_differs(tmp_path, settled, text, words):
    write(tmp_path / "a", "one", age=60)
    assert text(tmp_path / "a") == "one"
    write(tmp_path / "a", words, age=30)
    assert text(tmp_path / "a") == words


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read_again(tmp_path, settled, text):
    write(tmp_path / "a", "one")
    assert text(tmp_path / "a") == "one"
    old = (tmp_path / "a").stat()
    write(tmp_path / "b", "two")
    os.utime(tmp_path / "b", ns=(old.st_atime_ns, old.st_mtime_ns))
    (tmp_path / "b").replace(tmp_path / "a")
    assert text(tmp_path / "a") == "two"


def test_a_file_that_changed_a_moment_ago_is_not_kept(tmp_path, text, reads):
    (tmp_path / "a").write_text("one")
    assert text(tmp_path / "a") == text(tmp_path / "a") == "one"
    assert len(reads) == 2


def test_a_file_that_is_gone_or_cannot_be_read_says_so_every_time(tmp_path, settled, text, reads):
    write(tmp_path / "a", "one")
    text(tmp_path / "a")
    (tmp_path / "a").unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            text(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"\xff")
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError):
            text(tmp_path / "a")
    assert len(reads) == 3


def test_no_more_files_are_kept_than_allowed(tmp_path, settled, text, reads, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 2)
    for name in "abc":
        write(tmp_path / name, name)
        text(tmp_path / name)
    assert [text(tmp_path / name) for name in "cba"] == list("cba")
    assert [path.name for path in reads] == ["a", "b", "c", "a"]  # only the first had gone
