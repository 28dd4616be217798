"""The verb that makes what is shipped."""

from __future__ import annotations

from typing import Annotated

import typer

from core.commands.common import Json, app, say, show
from core.studies.catalog import kinds


@app.command()
def assets(
    what: Annotated[
        str,
        typer.Option(help=f"all, chat, organisms, directions, {', '.join(kinds())}, or examples."),
    ] = "all",
    json_: Json = False,
) -> None:
    """Make everything shipped in assets/ again: organisms, directions, studies, saved examples, checks.

    Example: python -m core assets --what directions
    """
    from core.shipping import make

    made = make(what, say)
    show({"made": made}, json_, lambda: "\n".join(made))
