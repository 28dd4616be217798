"""`python -m tests.fuzz`: mutated files and texts for every reader; one line a reader, and what broke."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """1 where anything else than a result or a sentence came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--each", type=int, default=5000, help="Inputs of each reader.")
    parser.add_argument("--seed", type=int, default=0, help="Of the first input; others count up.")
    asked = parser.parse_args()

    from tests.fuzz.readers import readers
    from tests.fuzz.runs import run

    good, total = True, 0
    with tempfile.TemporaryDirectory() as name:
        for reader in readers(Path(name)):
            start = time.perf_counter()
            found = run(reader, asked.each, Path(name), asked.seed)
            total += asked.each
            seconds = time.perf_counter() - start
            print(
                f"{reader.name}: {asked.each:,} inputs, {found.taken:,} taken, {found.refused:,} refused, "
                f"{len(found.faults)} faults, slowest {found.slowest:.2f} s, {seconds:.0f} s in all",
                flush=True,
            )
            for fault in found.faults[:5]:
                print(f"  {fault}", flush=True)
            good = good and not found.faults
    print(f"{total:,} inputs in all")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
