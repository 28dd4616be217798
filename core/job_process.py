"""A job's own process, `python -m core.job_process FOLDER ARGUMENTS…`: it waits for its turn, then runs the command."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from core import job_events, jobs, store

WAIT_SECONDS = 0.3


def work(folder: Path, arguments: list[str]) -> None:
    """Wait, run the command in this process (a kill leaves nothing), say how it ended."""
    os.environ[job_events.EVENTS_VARIABLE] = str(folder / job_events.EVENTS)
    turn = store.writer_lock(jobs.root() / "turn")
    while True:
        turn.acquire()
        if not jobs.ahead(folder.name):  # the lock alone would not keep the order of asking
            break
        turn.release()
        time.sleep(WAIT_SECONDS)
    try:
        job_events.begin()
        with (folder / jobs.OUT).open("wb") as out:
            os.dup2(out.fileno(), sys.stdout.fileno())
        code = _command(arguments)
        sys.stdout.flush()
        jobs.mark(folder, {"state": "done" if code == 0 else "failed", "code": code}, code == 0)
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
    work(Path(sys.argv[1]), sys.argv[2:])
