"""Long work in a process of its own: it survives a page's reload and the app's end, and can be stopped.

A job is `python -m core VERB … --json` with a folder in the cache: `job.json` (what was asked), `events.jsonl`
(progress, see `core.job_events`), `out.json` (its standard output), `log.txt`, and at the end `end.json`. Jobs take
turns: one runs, the others wait. A killed job leaves no end; it is called lost. Commands go on from what they saved,
so starting the same one again (`resume`) resumes it. Whether a job lives, its turn and its pace do not depend on the
clock, which may be set while it runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core import job_events, paths, processes, scratch, store
from core.errors import BadInput, DamagedArtifact, TillerError
from core.job_events import Progress
from core.job_events import emit as emit
from core.job_folder import END, JOB, LOG, OUT, begin, mark, root, start_lock

STOP_SECONDS = 5.0
LONGEST_LOG = 200_000  # bytes of its end that are read

State = Literal["waiting", "running", "done", "failed", "stopped", "lost"]

_ID = re.compile(r"[0-9a-f-]{1,60}")
_DAMAGE = (DamagedArtifact, OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Job:
    """A job as its folder tells it at the moment of asking.

    `ahead` counts the jobs that come before a waiting one. `seconds` are those since it was asked for, until now or its
    end. `rate` is what the current stage does in a second, and `seconds_left` how long that stage still takes; None
    where that is not known. `resumes` is the job it goes on from.
    """

    id: str
    title: str
    arguments: tuple[str, ...]
    started: float
    state: State
    progress: Progress | None
    ahead: int
    folder: Path
    seconds: float
    rate: float | None = None
    seconds_left: float | None = None
    resumes: str | None = None

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "running")

    def result(self) -> Any:
        """The JSON that the command printed.

        Raises:
            DamagedArtifact: it is not there or unreadable.
        """
        return store.read_json(self.folder / OUT)

    def log(self) -> str:
        """The end of what it said on standard error; empty where that is gone."""
        try:
            with (self.folder / LOG).open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - LONGEST_LOG))
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""

    @property
    def error(self) -> str | None:
        """The last line of what it said, where it failed."""
        if self.state != "failed":
            return None
        said = [line.rpartition("\r")[2].removeprefix("\x1b[K").strip() for line in self.log().split("\n")]
        last = next((line for line in reversed(said) if line), "")
        return last.removeprefix("Error: ") or "The command failed and said nothing. Run it from a terminal."


def start(arguments: Sequence[str], title: str) -> Job:
    """Start `python -m core ARGUMENTS… --json` and return at once.

    A live job with the same arguments is returned instead of starting a second one.

    Raises:
        OutOfSpace: the disk is too full for a job.
        NotWritable: the cache folder is.
    """
    return _start(tuple(arguments), title, None)


def resume(identity: str) -> Job:
    """Start the command of a job that was stopped, failed or lost again; a live job is returned as it is.

    Raises:
        BadInput: there is no such job, or it is done.
        OutOfSpace, NotWritable: as `start`.
    """
    job = find(identity)
    if job.state == "done":
        raise BadInput("This job is done, so there is nothing to go on with. Start it anew from its page.")
    return job if job.live else _start(job.arguments, job.title, job.id)


def find(identity: str) -> Job:
    """The job of that id.

    Raises:
        BadInput: there is none.
        DamagedArtifact: its folder cannot be read.
    """
    folder = root() / identity
    if not _ID.fullmatch(identity) or not (folder / JOB).is_file():
        raise BadInput(f"There is no job {identity[:80]!r}. It may have been deleted.")
    return _read(folder)


def jobs() -> list[Job]:
    """All jobs, the newest first; a damaged folder is left out."""
    found = []
    for record in sorted(root().glob(f"*/{JOB}"), reverse=True):
        with contextlib.suppress(DamagedArtifact):
            found.append(_read(record.parent))
    return found


def live() -> list[Job]:
    """The jobs that wait or run, in the order of their turns; quick, however many have ended."""
    found = []
    for record in sorted(root().glob(f"*/{JOB}")):
        with contextlib.suppress(DamagedArtifact):
            if not (record.parent / END).exists():
                found.append(_read(record.parent))
    return [job for job in found if job.live]


def events(identity: str) -> list[dict[str, Any]]:
    """What a job said of its progress, the oldest first: `stage`, `done`, `of`, `time` (seconds) and its numbers.

    The newest 20,000 lines at most.

    Raises:
        BadInput: there is no such job.
    """
    return [event for event in job_events.newest(find(identity).folder, job_events.MOST_BYTES) if event.get("stage")]


def stop(identity: str) -> Job:
    """End a job and everything it started; stopping one that has ended changes nothing."""
    job = find(identity)
    if not job.live:
        return job
    # first the mark: a process that ends by itself meanwhile must not call this a failure
    with contextlib.suppress(TillerError):  # where nothing can be written it ends all the same, and is called lost
        mark(job.folder, {"state": "stopped"})
    record = store.read_json(job.folder / JOB)
    processes.end(record["pid"], record["born"], STOP_SECONDS)
    return find(identity)


def delete(identity: str) -> None:
    """Remove the folder of a job that is over; what the job saved elsewhere stays.

    Raises:
        BadInput: there is no such job, or it is not over.
        DamagedArtifact: its folder cannot be read.
        NotWritable: the cache folder is.
    """
    job = find(identity)
    until = time.monotonic() + STOP_SECONDS
    while not job.live and _is_at_work(job) and time.monotonic() < until:
        time.sleep(0.05)  # it has said how it ended, and is on its way out
    if _is_at_work(job):
        raise BadInput(f"{job.title!r} is still at work. Stop it first.")
    scratch.discard(job.folder)
    _CHILDREN.pop(job.id, None)


def ahead(identity: str) -> int:
    """How many jobs run, or wait and were asked for earlier."""
    count = 0
    for job in root().glob(f"*/{JOB}"):
        with contextlib.suppress(*_DAMAGE):
            if (job.parent / END).exists():
                continue
            state = _end(job.parent, store.read_json(job), bool(job_events.newest(job.parent)))["state"]
            count += state == "running" or (state == "waiting" and job.parent.name < identity)
    return count


_CHILDREN: dict[str, subprocess.Popen[bytes]] = {}


def _start(arguments: tuple[str, ...], title: str, resumes: str | None) -> Job:
    with paths.writable_errors(), store.disk_errors("a job"), start_lock():  # two browsers may ask at once
        same = next((job for job in live() if job.arguments == arguments), None)
        if same is not None:
            return same
        identity, process = begin(arguments, title, resumes)
        _CHILDREN[identity] = process
        return find(identity)


def _read(folder: Path) -> Job:
    try:
        return _told(folder)
    except _DAMAGE as error:
        raise DamagedArtifact(
            f"{paths.shown(folder)} cannot be read as a job ({error}). Delete that folder."
        ) from error


def _told(folder: Path) -> Job:
    record = store.read_json(folder / JOB)
    newest = job_events.newest(folder)
    last = newest[-1] if newest else None
    end = _end(folder, record, bool(newest))
    state: State = end["state"]
    rate, left = job_events.pace_now(newest) if state == "running" else (None, None)
    return Job(
        folder.name,
        record["title"],
        tuple(record["arguments"]),
        record["time"],
        state,
        Progress.of_event(last) if last and last.get("stage") else None,
        ahead(folder.name) if state == "waiting" else 0,
        folder,
        end["seconds"] if "seconds" in end else _seconds(folder, record, state),
        rate,
        left,
        record.get("resumes"),
    )


def _end(folder: Path, record: dict[str, Any], begun: bool) -> dict[str, Any]:
    """What it said at its end, at least its `state`; of a job that said nothing, that it lives or is lost."""
    with contextlib.suppress(OSError, DamagedArtifact):
        return store.read_json(folder / END)
    if not _is_alive(folder.name, record):
        with contextlib.suppress(OSError, DamagedArtifact):  # it may have ended between the two looks
            return store.read_json(folder / END)
        return {"state": "lost"}
    return {"state": "running" if begun else "waiting"}


def _seconds(folder: Path, record: dict[str, Any], state: State) -> float:
    """Since it was asked for. A live job was started since this machine was, so its `mono` is of the clock of now."""
    if state in ("waiting", "running") and "mono" in record:
        return time.monotonic() - record["mono"]
    with contextlib.suppress(OSError):
        return (folder / END).stat().st_mtime - record["time"]
    return time.time() - record["time"]


def _is_at_work(job: Job) -> bool:
    try:
        return _is_alive(job.id, store.read_json(job.folder / JOB))
    except _DAMAGE:  # it ended, and its record names no process
        return job.live


def _is_alive(identity: str, record: dict[str, Any]) -> bool:
    """Whether the job's own process lives."""
    child = _CHILDREN.get(identity)
    if child is not None and child.poll() is not None:  # reaps it: an unreaped one would look alive
        return False
    return processes.is_alive(record["pid"], record["born"])
