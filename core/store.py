"""Artifacts on disk: hashed by content, written whole or not at all.

Writes go to a folder of the writer's own (`core.scratch`) and are renamed into place, so a reader never sees half a
file, and what a killed writer leaves is gone after the next start.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import SafetensorError

from core import paths, scratch
from core.errors import DamagedArtifact, OutOfSpace

FULL_BYTES = 1 << 20


def content_hash(value: Any) -> str:
    """SHA-256 of `value` as canonical JSON. Equal settings give equal hashes in any process."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


class _Lock(FileLock):
    """A lock that says so where its folder cannot be written."""

    def acquire(self, *args: Any, **options: Any) -> Any:
        with paths.writable_errors():
            return super().acquire(*args, **options)


@contextlib.contextmanager
def disk_errors(what: str, folder: Path | None = None) -> Iterator[None]:
    """Turn a full disk, or a folder that cannot be written, into one clear sentence.

    Args:
        folder: where torch writes; a `torch.save` that fails does not say why, so the room left there decides.
    """
    try:
        with paths.writable_errors(f"The folder of {what}"):
            yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if _disk_is_full(error, folder):
            raise OutOfSpace(
                f"The disk is full while writing {what}. Free some space, or set TILLER_CACHE to a folder on "
                "another disk, and try again."
            ) from error
        raise


def _disk_is_full(error: Exception, folder: Path | None) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, SafetensorError):
        return "No space left" in str(error) or "Disk quota exceeded" in str(error)
    return folder is not None and shutil.disk_usage(folder).free < FULL_BYTES


def require_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise `OutOfSpace` before a long write rather than in the middle of it."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OutOfSpace(
            f"{what} needs {needed_bytes / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free. Free some space, "
            "or set TILLER_CACHE to a folder on another disk, and try again."
        )


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` on success and vanishes on failure."""
    with disk_errors(paths.shown(target)), scratch.folder_for(target) as work:
        folder = work / "new"
        folder.mkdir()
        yield folder
        folder.chmod(0o755)
        scratch.put(folder, target)


def write_file(target: Path, data: bytes) -> None:
    """Write `data` to `target` in one step: readers see the old bytes or the new, never a mixture."""
    with disk_errors(paths.shown(target)), scratch.folder_for(target) as work:
        temporary = work / "new"
        temporary.write_bytes(data)
        temporary.chmod(0o644)
        temporary.replace(target)


def write_json(target: Path, value: Any) -> None:
    """`write_file` for a JSON value, indented and with a final newline."""
    write_file(target, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file that Tiller wrote; a damaged one is named as such."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # ValueError: bad JSON, bad UTF-8, a number of 5000 digits
        raise DamagedArtifact(
            f"{paths.shown(path)} is not readable JSON ({error}). Delete it and make it again."
        ) from error


def writer_lock(target: Path, timeout_seconds: float = -1) -> FileLock:
    """A lock that one writer of `target` holds at a time, across processes.

    Raises:
        NotWritable: now or when it is acquired, where its folder cannot be written.
    """
    with paths.writable_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
    return _Lock(str(target.parent / f".{target.name}.lock"), timeout=timeout_seconds)
