"""The verbs about models: which there are, and fetching one."""

from __future__ import annotations

import sys

from core import paths
from core.commands.common import Json, Model, app, say, show
from core.generation.comparison import DEFAULT_MODEL


@app.command()
def models(json_: Json = False) -> None:
    """List the catalog and what is ready on this machine.

    Example: python -m core models
    """
    from core.models.catalog import CATALOG
    from core.models.sources import is_ready

    rows = [
        {
            "id": spec.id,
            "title": spec.title,
            "family": spec.family,
            "parameters": spec.parameters,
            "licence": spec.licence,
            "gated": spec.gated,
            "download_bytes": spec.download_bytes,
            "ready": is_ready(spec),
        }
        for spec in CATALOG.values()
    ]
    show(
        {"models": rows},
        json_,
        lambda: "\n".join(f"{'ready' if row['ready'] else '     '}  {row['id']:<22} {row['title']}" for row in rows),
    )


@app.command()
def fetch(model: Model = DEFAULT_MODEL, json_: Json = False) -> None:
    """Download, verify and convert a model, once.

    Example: python -m core fetch --model smollm2-135m
    """
    from core.models import sources
    from core.models.catalog import resolve

    spec = resolve(model)
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
