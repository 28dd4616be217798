"""What a file says, kept in memory while the file stays as it is: lists ask for the same files again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

log = logging.getLogger(__name__)
SETTLED_SECONDS = 2.0  # a file younger than this may change again without a new time: clocks of disks are coarse
MOST = 1024  # files at most; the ones that were read first go

Value = TypeVar("Value")

_said: dict[str, None] = {}


def leave_out(what: str, error: Exception) -> None:
    """Log that a damaged file is left out of a list: once, since the same lists are made again and again."""
    sentence = f"left out a damaged {what}: {error}"
    if sentence not in _said:
        while len(_said) >= MOST:
            del _said[next(iter(_said))]
        _said[sentence] = None
        log.warning(sentence)


class Kept(Generic[Value]):
    """A function of a file that reads it only when it has changed, by its inode, size and time.

    Everyone gets the same value, so nobody may change it. What `read` raises is raised, and nothing is kept.

    Example: `manifest = Kept(store.read_json)`, then `manifest(path)`.
    """

    def __init__(self, read: Callable[[Path], Value]) -> None:
        self._read = read
        self._found: dict[Path, tuple[tuple[int, ...], Value]] = {}
        self._lock = Lock()

    def __call__(self, path: Path) -> Value:
        """Raises: what `read` does, FileNotFoundError where the file is gone."""
        status = path.stat()  # before it is read: a file that is replaced meanwhile is read again next time
        mark = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._found.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        value = self._read(path)
        if time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS:
            with self._lock:
                while len(self._found) >= MOST:
                    del self._found[next(iter(self._found))]
                self._found[path] = (mark, value)
        return value
