"""Long work in a process of its own: it survives a page's reload and the app's end, and can be stopped.

A job is `python -m core VERB … --json` with a folder in the cache: `job.json` (what was asked), `events.jsonl`
(progress), `out.json` (its standard output), `log.txt`, and at the end `end.json`. Jobs take turns: one runs, the
others wait. A killed job leaves no end; it is called lost, and starting the same command again resumes it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import secrets
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from core import paths, store
from core.errors import BadInput, DamagedArtifact

JOB, EVENTS, OUT, LOG, END = "job.json", "events.jsonl", "out.json", "log.txt", "end.json"
EVENTS_VARIABLE = "TILLER_EVENTS"
STOP_SECONDS = 5.0
WAIT_SECONDS = 0.3

State = Literal["waiting", "running", "done", "failed", "stopped", "lost"]

_ID = re.compile(r"[0-9a-f-]{1,60}")
_DAMAGE = (DamagedArtifact, OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Progress:
    """How far a stage of a job has come."""

    stage: str
    done: int
    of: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.of) if self.of > 0 else 0.0


@dataclass(frozen=True)
class Job:
    """A job as its folder tells it at the moment of asking."""

    id: str
    title: str
    arguments: tuple[str, ...]
    started: float
    state: State
    progress: Progress | None
    ahead: int
    folder: Path

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "running")

    @property
    def seconds(self) -> float:
        """Since it was asked for, until now or its end."""
        with contextlib.suppress(OSError):
            return (self.folder / END).stat().st_mtime - self.started
        return time.time() - self.started

    def result(self) -> Any:
        """The JSON that the command printed.

        Raises:
            DamagedArtifact: it is not there or unreadable.
        """
        return store.read_json(self.folder / OUT)

    @property
    def error(self) -> str | None:
        """The last line of what it said, where it failed."""
        if self.state != "failed":
            return None
        lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line.rpartition("\r")[2].removeprefix("\x1b[K").strip() for line in lines]
        last = next((line for line in reversed(said) if line), "")
        return last.removeprefix("Error: ") or "The command failed and said nothing. Run it from a terminal."


def start(arguments: Sequence[str], title: str) -> Job:
    """Start `python -m core ARGUMENTS… --json` and return at once.

    A live job with the same arguments is returned instead of starting a second one.
    """
    for job in jobs():
        if job.live and job.arguments == tuple(arguments):
            return job
    # to the microsecond: ids are in the order of asking
    identity = f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(3)}"
    folder = _root() / identity
    folder.mkdir(parents=True)
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.jobs", str(folder), *arguments],
            cwd=paths.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    record = {
        "title": title,
        "arguments": list(arguments),
        "time": time.time(),
        "pid": process.pid,
        "born": psutil.Process(process.pid).create_time(),
    }
    store.write_json(folder / JOB, record)
    _CHILDREN[identity] = process
    return find(identity)


def find(identity: str) -> Job:
    """The job of that id.

    Raises:
        BadInput: there is none.
        DamagedArtifact: its folder cannot be read.
    """
    folder = _root() / identity
    if not _ID.fullmatch(identity) or not (folder / JOB).is_file():
        raise BadInput(f"There is no job {identity[:80]!r}. It may have been deleted.")
    return _read(folder)


def jobs() -> list[Job]:
    """All jobs, the newest first; a damaged folder is left out."""
    found = []
    for record in sorted(_root().glob(f"*/{JOB}"), reverse=True):
        with contextlib.suppress(DamagedArtifact):
            found.append(_read(record.parent))
    return found


def stop(identity: str) -> Job:
    """End a job and everything it started; stopping one that has ended changes nothing."""
    job = find(identity)
    if not job.live:
        return job
    # first the mark: a process that ends by itself meanwhile must not call this a failure
    store.write_json(job.folder / END, {"state": "stopped"})
    record = store.read_json(job.folder / JOB)
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(record["pid"])
        if abs(first.create_time() - record["born"]) < 1:
            family = [*first.children(recursive=True), first]
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.terminate()
            for process in psutil.wait_procs(family, STOP_SECONDS)[1]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
    return find(identity)


def emit(stage: str, done: int, of: int) -> None:
    """Tell the job this process belongs to how far it is; nothing outside a job."""
    file = os.environ.get(EVENTS_VARIABLE)
    if file:
        line = json.dumps({"stage": stage, "done": done, "of": of, "time": time.time()})
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


_CHILDREN: dict[str, subprocess.Popen[bytes]] = {}


def _root() -> Path:
    return paths.cache() / "jobs"


def _read(folder: Path) -> Job:
    try:
        return _told(folder)
    except _DAMAGE as error:
        raise DamagedArtifact(
            f"{paths.shown(folder)} cannot be read as a job ({error}). Delete that folder."
        ) from error


def _told(folder: Path) -> Job:
    record = store.read_json(folder / JOB)
    events = _events(folder)
    last = events[-1] if events else None
    state = _state(folder, record, bool(events))
    return Job(
        folder.name,
        record["title"],
        tuple(record["arguments"]),
        record["time"],
        state,
        Progress(last["stage"], last["done"], last["of"]) if last and last.get("stage") else None,
        _ahead(folder.name) if state == "waiting" else 0,
        folder,
    )


def _ahead(identity: str) -> int:
    """How many jobs run, or wait and were asked for earlier."""
    count = 0
    for job in _root().glob(f"*/{JOB}"):
        with contextlib.suppress(*_DAMAGE):
            state = _state(job.parent, store.read_json(job), bool(_events(job.parent)))
            count += state == "running" or (state == "waiting" and job.parent.name < identity)
    return count


def _state(folder: Path, record: dict[str, Any], begun: bool) -> State:
    with contextlib.suppress(OSError, DamagedArtifact):
        return store.read_json(folder / END)["state"]
    if not _is_alive(folder.name, record):
        with contextlib.suppress(OSError, DamagedArtifact):  # it may have ended between the two looks
            return store.read_json(folder / END)["state"]
        return "lost"
    return "running" if begun else "waiting"


def _is_alive(identity: str, record: dict[str, Any]) -> bool:
    """Whether the job's own process lives: a number that another process took over since does not count."""
    child = _CHILDREN.get(identity)
    if child is not None and child.poll() is not None:  # reaps it: an unreaped one would look alive
        return False
    try:
        process = psutil.Process(record["pid"])
        return abs(process.create_time() - record["born"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _events(folder: Path) -> list[dict[str, Any]]:
    """Complete lines of the newest events."""
    try:
        with (folder / EVENTS).open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 4096))
            lines = stream.read().split(b"\n")[:-1]
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                found.append(event)
    return found


def _work(folder: Path, arguments: list[str]) -> None:
    """The job's own process: wait for its turn, run the command in it (a kill leaves nothing), say how it ended."""
    os.environ[EVENTS_VARIABLE] = str(folder / EVENTS)
    turn = store.writer_lock(_root() / "turn")
    while True:
        turn.acquire()
        if not _ahead(folder.name):  # the lock alone would not keep the order of asking
            break
        turn.release()
        time.sleep(WAIT_SECONDS)
    try:
        with (folder / EVENTS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"stage": "", "done": 0, "of": 0, "time": time.time()}) + "\n")
        with (folder / OUT).open("wb") as out:
            os.dup2(out.fileno(), sys.stdout.fileno())
        code = _command(arguments)
        sys.stdout.flush()
        if not (folder / END).exists():
            store.write_json(folder / END, {"state": "done" if code == 0 else "failed", "code": code})
    finally:
        turn.release()


def _command(arguments: list[str]) -> int:
    from core.__main__ import main

    sys.argv = ["core", *arguments, "--json"]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _work(Path(sys.argv[1]), sys.argv[2:])
