"""Kills of a process that writes files and folders as fast as it can, in the cache and in a folder of the user's."""

from __future__ import annotations

import itertools
import os
import random
import time
from pathlib import Path

import pytest

from core import scratch, store
from tests.kills import forks
from tests.kills.tally import Tally, half_made

LONGEST = 0.06  # seconds: some ten rounds
REPEATS = 10_000
MINE = (".tmp-old", ".tiller-tmp-notes")  # of the user's


def kill_the_store(kills: int, folder: Path, seed: int = 0) -> Tally:
    """Kill the writer again and again; every second one cannot swap folders in one step."""
    tally, draw, began = Tally("store"), random.Random(seed), time.monotonic()
    cache, user = folder / "cache", folder / "user"
    files = [cache / "cells" / "ab" / "cell.json", user / "x.gguf"]
    folders = [cache / "studies" / "kind" / "key", user / "adapter"]
    user.mkdir(parents=True)
    for name in MINE:
        (user / name).write_text("mine")
        os.utime(user / name, (0, 0))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TILLER_CACHE", str(cache))
        last = 0
        _write(files, folders, last)
        while tally.kills < kills:
            log = folder / "log"
            child = forks.start(
                lambda swaps=tally.kills % 2 == 0, first=last + 1: _forever(files, folders, first, swaps), log
            )
            if not forks.kill(child, draw.uniform(0, LONGEST)):
                raise RuntimeError(f"The writer ended by itself: {log.with_suffix('.err').read_text()[-2000:]}")
            tally.kills += 1
            said = [int(line) for line in log.read_text().split("\n")[:-1]]
            scratch.clean()  # as every start does
            left = half_made(cache)
            found = {path: _version(path) for path in (*files, folders[0])}
            for path in folders[1:]:  # its next writer mends it, and it may be the one after a kill
                with pytest.raises(KeyError), store.new_folder(path):
                    raise KeyError
                found[path] = _version(path)
            tally.add("torn", [f"{path.name}" for path, version in found.items() if version is None])
            least = max(said, default=last)
            tally.add(
                "wrong",
                [f"{path.name} is {v}, not {least}" for path, v in found.items() if v is not None and v < least],
            )
            last = max(v or 0 for v in found.values()) + 1
            _write(files, folders, last)
            lost = [name for name in MINE if (user / name).read_text() != "mine"]
            tally.add("left over", [*left, *half_made(cache), *(set(half_made(user)) - set(MINE)), *lost])
    tally.seconds = time.monotonic() - began
    return tally


def _forever(files: list[Path], folders: list[Path], first: int, swaps: bool) -> None:
    if not swaps:
        scratch._exchange = lambda *_: False  # type: ignore[assignment]
    for number in itertools.count(first):
        _write(files, folders, number)
        print(number, flush=True)


def _write(files: list[Path], folders: list[Path], number: int) -> None:
    data = b"%08d" % number * REPEATS
    for path in files:
        store.write_file(path, data)
    for path in folders:
        with store.new_folder(path) as folder:
            for name in ("a", "b"):
                (folder / name).write_bytes(data)


def _version(path: Path) -> int | None:
    """The number that was written there; None where it is not there whole."""
    try:
        parts = [path / "a", path / "b"] if path.is_dir() else [path]
        data, *others = {part.read_bytes() for part in parts}
        return int(data[:8]) if not others and data == data[:8] * REPEATS else None
    except (OSError, ValueError):
        return None
