"""The kills in short, as anyone can run them, and that they would find what they are for."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from core import paths
from tests.core import processes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process")

UNSWEPT = """
import sys
from pathlib import Path
from core import scratch
from tests.kills.of_the_store import kill_the_store

scratch._sweep = lambda *_: None
print(kill_the_store(10, Path(sys.argv[1]) / "store"))
"""
TORN = """
import sys, time
from pathlib import Path
from core import store
from tests.kills.of_the_store import kill_the_store

def in_place(target, data):
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb", buffering=0) as file:
        file.write(data[:100])
        time.sleep(0.02)
        file.write(data[100:])

store.write_file = in_place
print(kill_the_store(10, Path(sys.argv[1]) / "store"))
"""


def test_nothing_is_torn_wrong_or_left_over_by_a_few_kills():
    done = subprocess.run(
        [sys.executable, "-m", "tests.kills", "spillover", "--store", "12", "--each", "1"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    told = [re.sub(r" +", " ", line) for line in done.stdout.splitlines()]
    counts = [("store", 12), ("spillover", 1)]
    assert [line.rpartition(" (")[0] for line in told] == [
        f"{name} {kills} kills 0 torn 0 wrong 0 left over" for name, kills in counts
    ]


@pytest.mark.parametrize(("fault", "kind"), [(UNSWEPT, "left over"), (TORN, "torn")])
def test_a_fault_of_the_store_is_found(tmp_path, fault, kind):
    said = processes.finish(processes.start(fault, tmp_path, cache=tmp_path / "cache"))
    found = {name: int(count) for count, name in re.findall(r"(\d+) (torn|wrong|left over)   ", said)}
    assert found[kind] > 0
    assert re.search(rf"store, kill \d, {kind}: ", said)
