"""The verbs about models: which there are, and fetching one."""

from __future__ import annotations

import sys
from typing import Any

from core import paths
from core.commands.common import Json, Model, app, say, show
from core.generation.comparison import DEFAULT_MODEL


@app.command()
def models(json_: Json = False) -> None:
    """List the catalog: what is ready, what a model takes, and whether that fits this machine now.

    Example: python -m core models
    """
    from core.models import memory
    from core.models.catalog import CATALOG, PAPER
    from core.models.sources import is_ready

    where, there = memory.free()
    rows = [
        {
            "id": spec.id,
            "title": spec.title,
            "family": spec.family,
            "parameters": spec.parameters,
            "licence": spec.licence,
            "gated": spec.gated,
            "download_bytes": spec.download_bytes,
            "memory_bytes": memory.needed(spec),
            "fits": memory.fits(spec, there),
            "paper": spec.id in PAPER,
            "note": spec.note,
            "ready": is_ready(spec),
        }
        for spec in CATALOG.values()
    ]
    free = {"where": where, "bytes": there}
    show({"models": rows, "free": free}, json_, lambda: _table(rows, where, there))


def _table(rows: list[dict[str, Any]], where: str, there: int) -> str:
    """The catalog in columns; sizes in GB."""
    lines = [f"{'':5}  {'id':<20} {'download':>8} {'memory':>8} {'fits':<4} licence"]
    for row in rows:
        fits = {True: "yes", False: "no", None: "?"}[row["fits"]]
        licence = row["licence"] + (", gated" if row["gated"] else "")
        sizes = " ".join(_gigabytes(row[name]) for name in ("download_bytes", "memory_bytes"))
        lines.append(f"{'ready' if row['ready'] else '':5}  {row['id']:<20} {sizes} {fits:<4} {licence}")
    place = "on the GPU" if where == "GPU" else "on this machine"
    return "\n".join(
        [*lines, "", f"{there / 1e9:.1f} GB of memory are free {place}. Training takes more than this table says."]
    )


def _gigabytes(count: int | None) -> str:
    return f"{'?' if count is None else f'{count / 1e9:.1f} GB':>8}"


@app.command()
def fetch(model: Model = DEFAULT_MODEL, json_: Json = False) -> None:
    """Download, verify and convert a model, once. What it costs is said before anything is downloaded.

    Example: python -m core fetch --model smollm2-135m
    """
    from core.models import memory, sources
    from core.models.catalog import resolve

    spec = resolve(model)
    if not sources.is_ready(spec):
        say(f"{spec.title}: {memory.cost(spec)} {spec.note}".rstrip())
        if sys.stderr.isatty():
            print(file=sys.stderr)
    last = ""

    def report(progress: sources.FetchProgress) -> None:
        nonlocal last
        line = progress.message or progress.stage
        if progress.total_bytes:
            line += f" {100 * progress.done_bytes // progress.total_bytes:3d} % of {progress.total_bytes / 1e6:.0f} MB"
        if line != last and progress.stage != "ready":
            last = line
            say(line)

    folder = sources.fetch(spec, report)
    if last and sys.stderr.isatty():
        print(file=sys.stderr)
    show(
        {"model": spec.id, "folder": paths.shown(folder), "fingerprint": sources.fingerprint(spec)},
        json_,
        lambda: f"{spec.id} is ready.",
    )
