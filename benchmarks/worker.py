"""A process that has loaded a model its own way and does one thing at a time: `python -m benchmarks.worker PROGRAM`.

It reads one JSON object a line and answers each with one line, `{"error": …}` where it could not do it. Whatever
libraries print goes to standard error, so that nothing disturbs the answers.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import psutil
import torch

PROGRAMS = {
    "transformers": ("benchmarks.programs", "Plain"),
    "repeng": ("benchmarks.programs", "Repeng"),
    "steering-vectors": ("benchmarks.programs", "SteeringVectors"),
    "nnsight": ("benchmarks.programs", "NNsight"),
    "ours": ("benchmarks.own", "Ours"),
}
WATCH_SECONDS = 0.002


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, answers)


def serve(name: str, questions: TextIO, answers: TextIO) -> None:
    """Answer each line of `questions`; the program is made by the first, `load`."""
    program: Any = None
    for line in questions:
        try:
            asked = json.loads(line)
            do = asked.pop("do")
            if do == "load":
                program, found = load(name, asked)
            else:
                found = run(program, do, asked)
        except Exception as error:  # whatever a peer raises is what the table says
            traceback.print_exc()
            first = (str(error).strip() or "no message").splitlines()[0]
            found = {"error": f"{type(error).__name__}: {first}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def load(name: str, asked: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The program with its model in memory, and the versions it runs with."""
    torch.set_num_threads(asked["threads"])
    module, kind = PROGRAMS[name]
    program = getattr(importlib.import_module(module), kind)(
        asked["folder"], asked["id"], asked["device"], asked["dtype"]
    )
    return program, {"versions": program.versions()}


def run(program: Any, do: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Have `program` do a thing: what it found, the seconds that took and, if asked to watch, the memory."""
    work: Callable[[], dict[str, Any]] = program.prepare(do, asked)
    if asked.get("watch"):
        return watched(work, program.device)
    _synchronise()
    start = time.perf_counter()
    found = work()
    _synchronise()
    return {**found, "seconds": time.perf_counter() - start}


def watched(work: Callable[[], dict[str, Any]], device: str) -> dict[str, Any]:
    """Bytes before, at the highest and after `work`: resident ones, or those allocated on the GPU."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return {"before": before, "peak": torch.cuda.max_memory_allocated(), "after": torch.cuda.memory_allocated()}
    process, done = psutil.Process(), threading.Event()
    before = highest = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(WATCH_SECONDS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    after = process.memory_info().rss
    return {"before": before, "peak": max(highest, after), "after": after}


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
