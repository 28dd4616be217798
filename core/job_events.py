"""How far a job is: a line of JSON each time it says so, read from the end of its file, however long that is."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

EVENTS = "events.jsonl"
EVENTS_VARIABLE = "TILLER_EVENTS"
TAIL_BYTES = 4096  # some thirty events: enough for a pace
STALL = 4  # times the usual silence between two events
MOST_LINES = 20_000
MOST_BYTES = 256 * MOST_LINES

_OWN = ("stage", "done", "of", "time")


@dataclass(frozen=True)
class Progress:
    """How far a stage of a job has come; `numbers` is what else it told, as the loss of the newest step."""

    stage: str
    done: int
    of: int
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.of) if self.of > 0 else 0.0

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> Progress:
        """Raises: KeyError, where the event lacks a part."""
        numbers = {name: value for name, value in event.items() if name not in _OWN and _is_number(value)}
        return cls(event["stage"], event["done"], event["of"], numbers)


def emit(stage: str, done: int, of: int, **numbers: float | None) -> None:
    """Tell the job this process belongs to how far it is; nothing outside a job.

    Args:
        numbers: for a live curve, as `loss=0.7`; what is not finite is kept as missing.
    """
    file = os.environ.get(EVENTS_VARIABLE)
    if file:
        kept = {name: value if _is_number(value) else None for name, value in numbers.items()}
        line = json.dumps({**kept, "stage": stage, "done": done, "of": of, "time": time.time()})
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def begin() -> None:
    """Tell the job this process belongs to that it is its turn."""
    emit("", 0, 0)


def newest(folder: Path, most_bytes: int = TAIL_BYTES) -> list[dict[str, Any]]:
    """The newest complete lines, the oldest first; what is no event is left out."""
    try:
        with (folder / EVENTS).open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - most_bytes))
            lines = stream.read().split(b"\n")[:-1]
    except OSError:
        return []
    found = []
    for line in lines[-MOST_LINES:]:
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict):
                found.append(event)
    return found


def pace(events: Sequence[Mapping[str, Any]], now: float) -> tuple[float | None, float | None]:
    """(what the stage of the last event does in a second, seconds it still takes after `now`); None is not known.

    From the newest events of that stage; a count that goes back begins the stage anew. Silence for much longer than
    is usual between two events counts as time in which nothing was done.
    """
    if not events:
        return None, None
    last, first, steps = events[-1], events[-1], 0
    for event in takewhile(lambda event: event.get("stage") == last["stage"], reversed(events[:-1])):
        if event["done"] > first["done"]:
            break
        first, steps = event, steps + 1
    done, seconds, silence = last["done"] - first["done"], last["time"] - first["time"], now - last["time"]
    if done <= 0 or seconds <= 0:
        return None, None
    stalled = silence > STALL * seconds / steps
    rate = done / (seconds + silence if stalled else seconds)
    left = (last["of"] - last["done"]) / rate - (0 if stalled else max(0.0, silence))
    return rate, max(0.0, left)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
