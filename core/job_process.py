"""A job's own process, `python -m core.job_process FOLDER ARGUMENTS…`: it waits for its turn, then runs the command."""

from __future__ import annotations

import io
import os
import sys
import time
import traceback
from pathlib import Path

from core import job_events, job_folder, jobs, store

WAIT_SECONDS = 0.3
MOST_HELD = 16 << 10  # bytes of the log that wait for room on a full disk


class Log(io.RawIOBase):
    """The log as a stream that never fails: what finds no room on a full disk waits, its end at least."""

    def __init__(self, file: Path) -> None:
        self._file, self._held = file, b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held = job_events.append(self._file, self._held + bytes(data))[-MOST_HELD:]
        return len(data)


def work(folder: Path, arguments: list[str]) -> None:
    """Wait, run the command in this process (a kill leaves nothing), say how it ended."""
    os.environ[job_events.EVENTS_VARIABLE] = str(folder / job_events.EVENTS)
    log = Log(folder / job_folder.LOG)
    sys.stderr = io.TextIOWrapper(log, "utf-8", "backslashreplace", write_through=True)
    with job_folder.start_lock():
        if not (folder / job_folder.JOB).exists():
            return  # whoever started this was killed or found no room: nobody would see it work
    turn = store.writer_lock(job_folder.root() / "turn")
    while True:
        turn.acquire()
        if not jobs.ahead(folder.name):  # the lock alone would not keep the order of asking
            break
        turn.release()
        time.sleep(WAIT_SECONDS)
    try:
        code = _command(folder, arguments)
        job_folder.give_up_spare(folder)
        job_events.write_held()
        log.write(b"")  # with it comes what was held back
        job_folder.mark(folder, {"state": "done" if code == 0 else "failed", "code": code}, code == 0)
    finally:
        turn.release()


def _command(folder: Path, arguments: list[str]) -> int:
    try:
        job_events.begin()
        with (folder / job_folder.OUT).open("wb") as out:
            os.dup2(out.fileno(), sys.stdout.fileno())
        code = _status(arguments)
        sys.stdout.flush()
        return code
    except BaseException:
        traceback.print_exc()
        return 1


def _status(arguments: list[str]) -> int:
    from core.__main__ import main

    sys.argv = ["core", *arguments, "--json"]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2:])
