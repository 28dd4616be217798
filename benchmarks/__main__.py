"""`python -m benchmarks`: every ratio in one run, as a table and as `benchmarks/latest.json`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from typing import Any

from benchmarks import busy, decode, extraction, growth, memory, models, pages, ridge, sweep, table, training
from benchmarks.limits import Limits
from benchmarks.pairs import Measurement, machine
from core.models.loading import LoadedModel, load

PARTS = {
    "decode": decode.measure,
    "extraction": extraction.measure,
    "sweep": sweep.measure,
    "training": training.measure,
    "ridge": ridge.measure,
    "memory": memory.measure,
    "growth": growth.measure,
    "busy": busy.measure,
    "pages": pages.measure,
}
PAIRS, QUICK_PAIRS = 15, 2


def main() -> None:
    """Measure and print; nothing here passes or fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m", help=f"of the catalog, or {', '.join(models.SHAPES)}")
    parser.add_argument("--n", type=int, default=PAIRS, help="pairs for each ratio, fewer where they take long")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PAIRS} pairs: what runs, not how fast")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="a part; may be given again")
    parser.add_argument("--device", default=None)
    options = parser.parse_args()
    start = time.perf_counter()
    loaded = load(models.spec(options.model), options.device)
    limits = Limits(loaded.device, loaded.dtype)
    limits.measure()
    print(described(loaded, limits), table.HEADER, sep="\n", flush=True)
    found: list[tuple[str, Measurement]] = []
    for part in options.only or list(PARTS):
        for row in measured(part, loaded, QUICK_PAIRS if options.quick else options.n):
            found.append((part, row))
            print(table.line(rows([found[-1]], loaded, limits)[0]), flush=True)
        limits.measure()  # what else runs on the machine comes and goes
        table.save(rows(found, loaded, limits))
    print(f"{len(found)} rows in {time.perf_counter() - start:.0f} s, saved in {table.LATEST.name}", file=sys.stderr)


def measured(part: str, loaded: LoadedModel, n: int):
    """The rows of a part; one that fails says so in a row, and the others are still measured."""
    try:
        yield from PARTS[part](loaded, n)
    except Exception as error:
        traceback.print_exc()
        yield Measurement(
            f"{part} could not be measured", None, None, None, None, "", "", 0, error=f"{type(error).__name__}: {error}"
        )


def rows(found: list[tuple[str, Measurement]], loaded: LoadedModel, limits: Limits) -> list[dict[str, Any]]:
    """Measurements as plain data, with shares of the best that was seen of the machine so far."""
    about = {
        **machine(),
        "model": loaded.id,
        "device": loaded.device.type,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "bandwidth_gb_s": round(limits.bandwidth / 1e9, 1),
        "rate_gflop_s": round(limits.rate / 1e9, 1),
    }
    return [table.as_row(part, row, limits, about) for part, row in found]


def described(loaded: LoadedModel, limits: Limits) -> str:
    """The lines above the table."""
    about = machine()
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", "torch", "transformers", "peft"))
    dtype = str(loaded.dtype).removeprefix("torch.")
    return (
        f"{about['processor']}, {about['threads']} threads; GPU: {about['gpu']}; {versions}\n"
        f"{loaded.id} in {dtype} on {loaded.device}; reads {limits.bandwidth / 1e9:.1f} GB/s, multiplies "
        f"{limits.rate / 1e9:.0f} GFLOP/s\n"
        "ratio: ours / peer, median of interleaved pairs; of speeds (/s) more is better, of the rest less; limit: "
        "share of\nwhat these two allow\n"
    )


if __name__ == "__main__":
    main()
