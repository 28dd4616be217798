"""How far a job is: a line of JSON each time it says so, read from the end of its file, however long that is."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
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
MOST_HELD = 1 << 20  # bytes of progress that wait for room on a full disk

_OWN = ("stage", "done", "of", "time", "mono")
_HELD: dict[Path, bytes] = {}


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

    Work does not end because its progress cannot be written: on a full disk that waits, and comes with what is said
    once there is room.

    Args:
        numbers: for a live curve, as `loss=0.7`; what is not finite is kept as missing.
    """
    file = os.environ.get(EVENTS_VARIABLE)
    if file:
        kept = {name: value if _is_number(value) else None for name, value in numbers.items()}
        # beside the time of day a clock that nobody sets, the same for all processes of a machine until it is restarted
        times = {"time": time.time(), "mono": time.monotonic()}
        line = json.dumps({**kept, "stage": stage, "done": done, "of": of, **times})
        _write(Path(file), f"{line}\n".encode())


def begin() -> None:
    """Tell the job this process belongs to that it is its turn."""
    emit("", 0, 0)


def write_held() -> None:
    """Write the progress that found no room when it was told; the little that a job keeps free may be free now."""
    for file in list(_HELD):
        _write(file, b"")


def append(file: Path, data: bytes) -> bytes:
    """Add to a file, and give what could not be written: the end of `data`, as on a full disk."""
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as stream:
        while data:
            data = data[stream.write(data) :]
    return data


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


def pace_now(events: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """`pace` at this moment, of a job that runs on this machine; setting the clock does not change it."""
    if all("mono" in event for event in events):
        return pace([{**event, "time": event["mono"]} for event in events], time.monotonic())
    return pace(events, time.time())


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


def _write(file: Path, data: bytes) -> None:
    held = _HELD.pop(file, b"")
    if left := append(file, held + data):
        _HELD[file] = left[-MOST_HELD:]
        if not held:
            print("Progress cannot be written (is the disk full?). It is kept until it can.", file=sys.stderr)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
