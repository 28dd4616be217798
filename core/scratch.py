"""Half-made things: a folder that belongs to one writer, and goes when its writer is gone.

A writer locks its folder for as long as its process lives, and the lock ends with the process, whatever ends it. So who
gets the lock knows that nobody works there any more: no process number is asked, which another may bear by now. Where
a disk cannot lock, or where another machine wrote (a cache on a network disk), only a day of rest tells.

Inside the cache these folders lie in `.tiller-tmp` of the part that they are for (`models`, `cells`, …), where `clean`
finds them all without a search. In a folder of the user's, one lies beside its target, is named after it, and is swept
by the next writer of that target and by nobody else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core import paths

try:
    import fcntl
except ImportError:  # Windows: age alone decides
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".tiller-tmp"
STALE_AFTER_SECONDS = 24 * 3600
OLD, PLACE = "old", "place"


@contextlib.contextmanager
def folder_for(target: Path) -> Iterator[Path]:
    """An empty folder on the disk of `target`; gone at the end, or with the next start after a kill."""
    target.parent.mkdir(parents=True, exist_ok=True)
    place = _place(target)
    name = f"{TEMPORARY}-{_short(target.name)}"
    _sweep(place, TEMPORARY if place.name == TEMPORARY else name)
    folder, lock = _take(place, f"{name}-{_machine()}-")
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # what cannot be put back now is left to the next start
            _remove(folder)
        _let_go(lock)
        _remove_empty(place)


def put(new: Path, target: Path) -> None:
    """Move the folder `new`, which lies in a `folder_for(target)`, to `target`, in the place of what is there.

    A kill at any moment leaves the old version or the new one, whole.
    """
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        # no rename replaces a full folder: for a moment nothing is there, and `_remove` puts the old one back
        (new.parent / PLACE).write_bytes(os.fsencode(os.path.relpath(target, new.parent.parent)))
        target.rename(new.parent / OLD)
        new.rename(target)


def discard(folder: Path) -> None:
    """Remove a folder of the cache in one step: it is there whole or gone, also after a kill. Gone already is no fault.

    Raises:
        NotWritable: the cache is read-only.
    """
    with paths.writable_errors(), contextlib.suppress(FileNotFoundError), folder_for(folder) as work:
        folder.rename(work / "gone")


def clean() -> None:
    """Remove from the cache what killed writers left, and put back what they had moved away. Quick, for every start."""
    with contextlib.suppress(OSError):  # no reason not to start: writers sweep too
        cache = paths.cache()
        for folder in (cache, *(part for part in cache.iterdir() if part.is_dir())):
            place = folder / TEMPORARY
            if place.is_dir():
                _sweep(place, TEMPORARY)
                _remove_empty(place)


def _place(target: Path) -> Path:
    """Where the folders for `target` lie: in its part of the cache, or beside a target of other folders or disks."""
    cache = paths.cache().absolute()
    inside = target.absolute().relative_to(cache).parts if target.absolute().is_relative_to(cache) else ()
    if not inside or ".." in inside:
        return target.parent
    part = cache.joinpath(*inside[:-1][:1])
    same_disk = part.stat().st_dev == target.parent.stat().st_dev  # no rename leads from one disk to another
    return part / TEMPORARY if same_disk else target.parent


def _take(place: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder in `place` and its lock."""
    while True:
        place.mkdir(exist_ok=True)
        # another process may remove `place` while it is empty, or sweep the folder before it is locked
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            lock = _lock(folder)
            if folder.exists():
                return folder, lock
            _let_go(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that locks the folder until it is closed or the process ends; None where the disk cannot lock.

    Raises:
        BlockingIOError: another process has locked it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def _let_go(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _sweep(place: Path, prefix: str) -> None:
    """Remove the folders whose writers are gone."""
    for folder in place.glob(f"{prefix}-*"):
        with contextlib.suppress(OSError):  # its writer lives, another sweep came first, or it is another user's
            lock = _lock(folder)
            try:
                if (lock is not None and f"-{_machine()}-" in folder.name) or _rests(folder):
                    _remove(folder)
            finally:
                _let_go(lock)


def _rests(folder: Path) -> bool:
    """Whether nothing in it has changed for a day."""
    newest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    return time.time() - newest > STALE_AFTER_SECONDS


def _remove(folder: Path) -> None:
    """Remove a folder; first what `put` moved into it goes back, if its place is still empty."""
    with contextlib.suppress(FileNotFoundError):
        target = folder.parent / os.fsdecode((folder / PLACE).read_bytes())
        if not os.path.lexists(target):
            (folder / OLD).rename(target)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_empty(place: Path) -> None:
    with contextlib.suppress(OSError):  # others work there
        if place.name == TEMPORARY:
            place.rmdir()


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step; False where the system or the disk cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), swap) == 0


def _short(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


@functools.cache
def _machine() -> str:
    """Short name of this machine: locks on a network disk need not reach from one machine to another."""
    with contextlib.suppress(OSError):
        return _short(platform.node() + Path("/etc/machine-id").read_text())
    return _short(platform.node())
