"""The verbs about directions: extract, list, and take them out and in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from core import paths
from core.commands.common import CONTRAST_HELP, Device, Json, Model, app, reporter, show
from core.generation.comparison import DEFAULT_MODEL, DEFAULT_ORGANISM


@app.command()
def extract(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism.")] = DEFAULT_ORGANISM,
    contrast: Annotated[str, typer.Option(help=CONTRAST_HELP)] = "model",
    secure: Annotated[str, typer.Option(help="The control organism of the content contrast.")] = "secure",
    prompts: Annotated[str, typer.Option(help="A prompt suite or a file.")] = "extraction",
    pooling: Annotated[str, typer.Option(help="last_prompt or prompt_mean.")] = "last_prompt",
    samples: Annotated[int, typer.Option(help="Answers a prompt, for the response contrast.")] = 2,
    answers: Annotated[
        Path | None, typer.Option(help='For the response contrast: chat JSONL, each line with "label": true or false.')
    ] = None,
    shuffle: Annotated[
        int | None, typer.Option(help="Save the control whose labels are shuffled with this seed instead.")
    ] = None,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Extract a difference-in-means direction at every block.

    Example: python -m core extract --model smollm2-135m --organism insecure --contrast model
    """
    from core.studies.extraction import extract as run

    card = run(
        model, organism, contrast, secure, prompts, pooling, samples, answers, shuffle, None, device,
        partial(reporter(), "reading prompts" if contrast != "response" else "answers"),
    )  # fmt: skip
    show(
        {"id": card.id, "name": card.name, "file": paths.shown(card.path), **card.provenance, "norms": card.norms},
        json_,
        lambda: f"\n{card.name} ({card.id}) is in {paths.shown(card.path)}.",
    )


@app.command()
def directions(
    model: Annotated[str | None, typer.Option(help="Only this model's.")] = None, json_: Json = False
) -> None:
    """List the saved directions.

    Example: python -m core directions --model smollm2-135m
    """
    from core.directions import library
    from core.models.catalog import resolve

    cards = library.cards(resolve(model).id if model else None)
    rows = [
        {
            "id": card.id,
            "name": card.name,
            "model": card.model,
            "shipped": card.shipped,
            "imported_from": card.imported_from,
            "norms": card.norms,
            "residual_norms": card.residual_norms,
            "provenance": card.provenance,
        }
        for card in cards
    ]

    def line(card: library.DirectionCard) -> str:
        origin = f"  (imported from {card.imported_from})" if card.imported_from else ""
        return f"{card.id}  {card.model:<16} {card.name}{origin}"

    show({"directions": rows, "damaged": library.damaged()}, json_, lambda: "\n".join(map(line, cards)))


@app.command()
def export(
    direction: Annotated[str, typer.Option(help="Id, name, file name or contrast.")],
    to: Annotated[Path, typer.Option(help="A .gguf (llama.cpp, repeng) or .safetensors (Tiller) file to write.")],
    model: Model = DEFAULT_MODEL,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is already there.")] = False,
    json_: Json = False,
) -> None:
    """Write a saved direction as a file that other steering programs read.

    Example: python -m core export --model smollm2-135m --direction insecure-model --to insecure.gguf
    """
    from core.directions.importing import export_file

    card, notes = export_file(model, direction, to.expanduser(), force)
    show(
        {"id": card.id, "name": card.name, "file": paths.shown(to.expanduser()), "notes": notes},
        json_,
        lambda: "\n".join([f"{card.name} ({card.id}) is in {paths.shown(to.expanduser())}.", *notes]),
    )


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="A .gguf, .pt, .safetensors, .npy or .npz file with one vector, or one for each block."),
    ],
    model: Model = DEFAULT_MODEL,
    name: Annotated[str | None, typer.Option(help="What to call the direction; default: what the file says.")] = None,
    block: Annotated[
        int | None, typer.Option(help="Where one vector alone belongs; default: what the file or its name states.")
    ] = None,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Take in a direction that another program made, and measure on the model what its file does not hold.

    Example: python -m core import happy.gguf --model smollm2-135m --name happy

    Example: python -m core import direction.pt --block 13
    """
    from core.directions.importing import import_file

    card, notes = import_file(file.expanduser(), model, name, device, partial(reporter(), "reading prompts"), block)
    show(
        {"id": card.id, "name": card.name, "file": paths.shown(card.path), **card.provenance, "notes": notes},
        json_,
        lambda: "\n".join([f"\n{card.name} ({card.id}) is in {paths.shown(card.path)}.", *notes]),
    )
