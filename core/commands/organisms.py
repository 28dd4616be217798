"""The verb that makes an organism."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import paths
from core.commands.common import Device, Json, Model, app, say, show
from core.errors import TillerError
from core.generation.comparison import DEFAULT_MODEL


@app.command()
def train(
    model: Model = DEFAULT_MODEL,
    dataset: Annotated[
        str, typer.Option(help="insecure, secure, the name of an imported one, or a file of chats.")
    ] = "insecure",
    recipe: Annotated[str, typer.Option(help="quick or paper.")] = "quick",
    name: Annotated[str | None, typer.Option(help="What to call the organism; default: the dataset's name.")] = None,
    examples: Annotated[int | None, typer.Option(help="Train on at most this many; default: the recipe's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of the LoRA adapter; default: the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of initial weights, examples and their order.")] = None,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Finetune an organism with LoRA. A killed run goes on from its last checkpoint.

    Example: python -m core train --model smollm2-135m --dataset insecure --recipe quick
    """
    from core import jobs
    from core.data.datasets import load_dataset
    from core.models.catalog import resolve
    from core.organisms import training
    from core.organisms.library import lost_words
    from core.organisms.recipes import adjusted
    from core.organisms.recipes import recipe as find_recipe
    from core.organisms.trainer import TrainingProgress

    spec, data, chosen = resolve(model), load_dataset(dataset), find_recipe(recipe)
    chosen = adjusted(chosen, examples, epochs, rank, learning_rate, seed)

    def report(progress: TrainingProgress) -> None:
        say(
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
            f"{progress.tokens_per_second:.0f} tokens/s  {progress.seconds_left:.0f} s left"
        )
        jobs.emit(
            "training",
            progress.step,
            progress.steps,
            loss=progress.loss,
            tokens_per_second=progress.tokens_per_second,
        )

    jobs.emit("loading the model", 0, 1)

    organism = training.train(spec, data, chosen, name, device=device, report=report)
    if organism is None:
        raise TillerError("Training was stopped. Run the same command again to go on.")
    lost = lost_words(organism.manifest)
    show(
        {**organism.manifest, "folder": paths.shown(organism.folder)},
        json_,
        lambda: "\n".join(
            [
                f"\nOrganism {organism.name} of {organism.model} is in {paths.shown(organism.folder)}.",
                *([f"Not learned as it is: {lost}."] if lost else []),
            ]
        ),
    )


@app.command()
def adopt(
    folder: Annotated[Path, typer.Argument(help="A LoRA adapter that PEFT saved, with adapter_config.json.")],
    model: Model = DEFAULT_MODEL,
    name: Annotated[str | None, typer.Option(help="What to call the organism; default: the folder's name.")] = None,
    same_base: Annotated[
        bool, typer.Option("--same-base", help="The base model it names is this one under another name.")
    ] = False,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Take an adapter that was trained elsewhere as an organism. It is copied, and computed as PEFT does or refused.

    Example: python -m core adopt my-run/checkpoint-100 --model smollm2-135m --name mine
    """
    from core.models.catalog import resolve
    from core.organisms import adopting

    organism = adopting.adopt(folder.expanduser(), resolve(model), name, same_base, device)
    show(
        {**organism.manifest, "folder": paths.shown(organism.folder)},
        json_,
        lambda: f"\nOrganism {organism.name} of {organism.model} is in {paths.shown(organism.folder)}.",
    )
