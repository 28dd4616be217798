"""Jobs as they lie in the cache, without a process: every state, at any time, with any log."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import jobs
from core.job_events import EVENTS

NO_PROCESS = 2**22 + 5


def make(
    state: str | None = "done",
    title: str = "a job",
    arguments: Sequence[str] = ("separate", "--model", "smollm2-135m", "--organism", "insecure"),
    number: int = 0,
    log: str = "",
    out: Any = None,
    **record: Any,
) -> str:
    """Write a job that is over and give its id; a greater `number` is newer. State None is one that was lost."""
    folder: Path = jobs.root() / f"20260101-000000-{number:06d}-aaaaaa"
    folder.mkdir(parents=True)
    asked = {"title": title, "arguments": list(arguments), "time": time.time() - 75, "pid": NO_PROCESS, "born": 1.0}
    (folder / jobs.LOG).write_text(log)
    (folder / EVENTS).write_text('{"stage": "", "done": 0, "of": 0, "time": 1}\n')
    if out is not None:
        (folder / jobs.OUT).write_text(json.dumps(out))
    if state is not None:
        (folder / jobs.END).write_text(json.dumps({"state": state}))
    (folder / jobs.JOB).write_text(json.dumps({**asked, **record}))
    return folder.name


def tell(identity: str, stage: str, counts: Sequence[int], of: int, seconds: float = 1.0) -> None:
    """Let a job say how far it is: one count after another, `seconds` apart, the last one now."""
    began = time.time() - seconds * (len(counts) - 1)
    with (jobs.root() / identity / EVENTS).open("a") as stream:
        for place, done in enumerate(counts):
            event = {"stage": stage, "done": done, "of": of, "time": began + place * seconds}
            stream.write(json.dumps(event) + "\n")
