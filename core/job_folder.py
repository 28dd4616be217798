"""A job's folder, and what is written into it from outside the command: its process on record, and how it ended."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import paths, processes, store
from core.errors import DamagedArtifact

JOB, OUT, LOG, END = "job.json", "out.json", "log.txt", "end.json"
SPARE = "spare"  # disk that a job keeps for its last words, and gives up when it ends
SPARE_BYTES = 64 << 10
LEAST_BYTES = 100_000_000  # that must be free for a job to start

_ASKED, _OURS = "%Y%m%d-%H%M%S-%f", re.compile(r"(\d{8}-\d{6}-\d{6})-[0-9a-f]{6}")


def root() -> Path:
    """Where the folders of all jobs lie."""
    return paths.cache() / "jobs"


def start_lock() -> FileLock:
    """Held by whoever starts a job until the job is on record; only then the job's process begins."""
    return store.writer_lock(root() / "start")


def begin(arguments: Sequence[str], title: str, resumes: str | None) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a process and put it on record, or neither. The caller holds the lock.

    Returns:
        the job's id, and its process.

    Raises:
        OutOfSpace: the disk is too full for a job.
        OSError: the folder cannot be written.
    """
    store.require_space(root(), LEAST_BYTES, "A job")
    folder = root() / _new_id()
    folder.mkdir()
    process = None
    try:
        (folder / SPARE).write_bytes(os.urandom(SPARE_BYTES))  # zeros may take no room at all
        process = _spawn(folder, arguments)
        record = {
            "title": title,
            "arguments": list(arguments),
            "time": time.time(),
            "mono": time.monotonic(),
            "pid": process.pid,
            "born": processes.born(process.pid),
            **({"resumes": resumes} if resumes else {}),
        }
        store.write_json(folder / JOB, record)
    except BaseException:
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder.name, process


def mark(folder: Path, end: dict[str, Any], finished: bool = False) -> None:
    """Say how a job ended. Who comes first is right, but for a command that finished: its result is there.

    Raises:
        OutOfSpace, NotWritable: it cannot be said.
    """
    with contextlib.suppress(OSError, DamagedArtifact, KeyError, TypeError):  # older jobs know the time of day alone
        end = {**end, "seconds": round(time.monotonic() - store.read_json(folder / JOB)["mono"], 3)}
    with paths.writable_errors(), store.disk_errors(f"how the job {folder.name} ended"):
        give_up_spare(folder)
        with store.writer_lock(folder / END):
            if finished or not (folder / END).exists():
                store.write_json(folder / END, end)


def give_up_spare(folder: Path) -> None:
    """Make room for a job's last words: of a full disk it has kept a little."""
    (folder / SPARE).unlink(missing_ok=True)


def _spawn(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "core.job_process", str(folder), *arguments],
            cwd=paths.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def _new_id() -> str:
    """When it was asked for, to the microsecond, and later than all others even if the clock was set back.

    Ids are in the order of asking, and turns are in the order of ids.
    """
    asked = datetime.datetime.now(datetime.UTC)
    known = [ours[1] for folder in root().iterdir() if (ours := _OURS.fullmatch(folder.name))]
    with contextlib.suppress(ValueError, OverflowError):  # there is none, or an id that is no time
        newest = datetime.datetime.strptime(max(known), _ASKED).replace(tzinfo=datetime.UTC)
        asked = max(asked, newest + datetime.timedelta(microseconds=1))
    return f"{asked:{_ASKED}}-{secrets.token_hex(3)}"
