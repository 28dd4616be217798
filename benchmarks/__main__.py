"""`python -m benchmarks`: every ratio in one run, as a table and as `benchmarks/latest.json`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import decode, extraction, ridge, sweep
from benchmarks.pairs import machine
from core.models.loading import load

LATEST = Path(__file__).parent / "latest.json"
PARTS = {"decode": decode.measure, "extraction": extraction.measure, "sweep": sweep.measure, "ridge": ridge.measure}


def main() -> None:
    """Measure and print; nothing here passes or fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--n", type=int, default=15, help="pairs for each ratio")
    parser.add_argument("--only", choices=list(PARTS), help="one part")
    parser.add_argument("--device", default=None)
    options = parser.parse_args()
    loaded = load(options.model, options.device)
    print(json.dumps(machine()), f"model {loaded.id}, {str(loaded.dtype).removeprefix('torch.')}", file=sys.stderr)
    found = []
    print(f"{'ratio':>7}  {'quartiles':>15}  {'ours':>9}  {'peer':>9}  {'wanted':<12} what")
    for name, measure in PARTS.items():
        if options.only in (None, name):
            for row in measure(loaded, options.n):
                low, high = row.spread
                print(
                    f"{row.ratio:7.3f}  {low:7.3f}–{high:<7.3f}  {row.ours:7.3f} {row.unit:<2} {row.peer:7.3f} "
                    f"{row.unit:<2} {row.wanted:<12} {row.name}",
                    flush=True,
                )
                found.append(row.as_dict())
    LATEST.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
