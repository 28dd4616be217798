"""Kills of a verb of the command line at any moment of its run, each followed by a start that brings it to its end."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

from tests.kills import forks
from tests.kills.tally import Tally, comparable, half_made, held, names, other_tables, unreadable
from tests.kills.verbs import Bench, command, copy


def kill_a_verb(verb: str, bench: Bench, kills: int, folder: Path, seed: int = 0) -> Tally:
    """Kill the verb `kills` times, each time in a new cache folder, and compare its end with an undisturbed one."""
    import_all()
    tally, draw, began = Tally(verb), random.Random(f"{verb} {seed}"), time.monotonic()
    folder.mkdir(parents=True)
    log, words = folder / "log", [verb, *bench.arguments[verb]]
    whole = copy(bench.cache, folder / "whole")
    lasts = time.monotonic()
    expected = _ends(words, whole, log)
    lasts = time.monotonic() - lasts
    listed = names(whole)
    while tally.kills < kills:
        cache = copy(bench.cache, folder / "killed")
        child = forks.start(lambda cache=cache: command(words, cache), log)
        if not forks.kill(child, draw.uniform(0, lasts)):
            continue  # it was faster than the first one
        tally.kills += 1
        tally.add("torn", unreadable(cache))
        _ends(["directions"], cache, log)
        left = half_made(cache)
        try:
            found = _ends(words, cache, log)
        except RuntimeError as error:
            tally.add("wrong", [str(error)])
            continue
        differ = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        other = [f"{name} is {found.get(name)!r:.80}, not {expected.get(name)!r:.80}" for name in differ]
        tally.add("wrong", other + other_tables(cache, whole))
        there = names(cache)
        left += [f"{name} too much" for name in sorted(there - listed)]
        left += [f"{name} is missing" for name in sorted(listed - there)]
        tally.add("left over", [*left, *held(cache)])
    shutil.rmtree(folder)
    tally.seconds = time.monotonic() - began
    return tally


def import_all() -> None:
    """Import what verbs import when they begin, so that a run is nothing but its work."""
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import core.__main__
    import core.organisms.training
    import core.studies.choice.measure
    import core.studies.separation.measure
    import core.studies.spillover.measure
    import core.studies.transfer.measure  # noqa: F401


def _ends(words: list[str], cache: Path, log: Path) -> dict:
    """What the command prints when nothing disturbs it, without times.

    Raises:
        RuntimeError: it failed.
    """
    if forks.end(forks.start(lambda: command(words, cache), log)):
        raise RuntimeError(f"{words[0]} failed: {log.with_suffix('.err').read_text()[-500:]}")
    return comparable(json.loads(log.read_text()))
