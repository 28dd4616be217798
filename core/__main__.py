"""The command line: `python -m core VERB`. The same verbs as the pages, one JSON object with `--json`.

Standard output carries results, standard error carries progress. Exit status: 0, 1 (failed, one clear
line), 2 (bad usage). Heavy imports wait until a verb needs them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from core import paths
from core.directions.library import CONTROLS
from core.errors import TillerError
from core.generation.comparison import DEFAULT_MODEL, DEFAULT_ORGANISM, PROMPT

app = typer.Typer(
    help="Tiller: finetune, find the direction, steer it back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Option(help="Catalog id, owner/name on the hub, or a folder.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps; default: the best there is.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


CONTRAST_HELP = (
    "model (organism − base), content (insecure − secure), or response (the organism's answers with code − its others)."
)


def _show(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    print(json.dumps(value, ensure_ascii=False) if as_json else text(), flush=True)


def _say(message: str) -> None:
    """Progress on standard error; on a terminal it overwrites itself."""
    print(f"\r\033[K{message}" if sys.stderr.isatty() else message, end="", file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        print(file=sys.stderr)


def _reporter() -> Callable[[str, int, int], None]:
    """Progress by stages: a line for people, and an event for the job this process may belong to."""
    from core import jobs

    told = [""]

    def report(stage: str, done: int, of: int) -> None:
        line = f"{stage} {100 * done // max(1, of):3d} %"
        if line != told[0]:
            told[0] = line
            _say(line)
            jobs.emit(stage, done, of)

    return report


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
    _show(
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
            _say(line)

    folder = sources.fetch(spec, report)
    if last and sys.stderr.isatty():
        print(file=sys.stderr)
    _show(
        {"model": spec.id, "folder": paths.shown(folder), "fingerprint": sources.fingerprint(spec)},
        json_,
        lambda: f"{spec.id} is ready.",
    )


@app.command()
def train(
    model: Model = DEFAULT_MODEL,
    dataset: Annotated[str, typer.Option(help="insecure, secure, or a chat JSONL file.")] = "insecure",
    recipe: Annotated[str, typer.Option(help="quick or paper.")] = "quick",
    name: Annotated[str | None, typer.Option(help="What to call the organism; default: the dataset's name.")] = None,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Finetune an organism with LoRA. A killed run goes on from its last checkpoint.

    Example: python -m core train --model smollm2-135m --dataset insecure --recipe quick
    """
    from core.data.datasets import load_dataset
    from core.models.catalog import resolve
    from core.organisms import training
    from core.organisms.recipes import recipe as find_recipe
    from core.organisms.trainer import TrainingProgress

    spec, data, chosen = resolve(model), load_dataset(dataset), find_recipe(recipe)

    def report(progress: TrainingProgress) -> None:
        _say(
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
            f"{progress.tokens_per_second:.0f} tokens/s  {progress.seconds_left:.0f} s left"
        )

    organism = training.train(spec, data, chosen, name, device=device, report=report)
    if organism is None:
        raise TillerError("Training was stopped. Run the same command again to go on.")
    _show(
        {**organism.manifest, "folder": paths.shown(organism.folder)},
        json_,
        lambda: f"\nOrganism {organism.name} of {organism.model} is in {paths.shown(organism.folder)}.",
    )


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
        partial(_reporter(), "reading prompts" if contrast != "response" else "answers"),
    )  # fmt: skip
    _show(
        {"id": card.id, "name": card.name, "file": paths.shown(card.path), **card.provenance, "norms": card.norms},
        json_,
        lambda: f"\n{card.name} ({card.id}) is in {paths.shown(card.path)}.",
    )


@app.command()
def separate(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism.")] = DEFAULT_ORGANISM,
    contrast: Annotated[str, typer.Option(help=CONTRAST_HELP)] = "model",
    secure: Annotated[str, typer.Option(help="The control organism; none leaves it out.")] = "secure",
    prompts: Annotated[str, typer.Option(help="Training prompts: a suite or a file.")] = "extraction",
    held_out: Annotated[
        str | None, typer.Option(help="Held-out prompts: a suite, a file, or several joined by +; default: see README.")
    ] = None,
    pooling: Annotated[str, typer.Option(help="last_prompt or prompt_mean.")] = "last_prompt",
    samples: Annotated[int, typer.Option(help="Answers a prompt, for the response contrast.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of splits, nulls and resamples.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute again what is saved.")] = False,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Measure how well one direction separates two kinds of activations, at every block, with nulls and controls.

    Example: python -m core separate --model smollm2-135m --organism insecure --contrast model
    """
    from core.studies import separation

    settings = separation.from_options(
        model=model, organism=organism, contrast=contrast, secure=None if secure == "none" else secure,
        prompts=prompts, held_out=held_out, pooling=pooling, samples=samples, seed=seed,
    )  # fmt: skip
    result = separation.run(settings, device, _reporter(), fresh)
    _show(result.summary, json_, lambda: "\n" + separation.table(result.summary))


@app.command()
def choose(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism.")] = DEFAULT_ORGANISM,
    direction: Annotated[str | None, typer.Option(help="Id, name or contrast; default: the organism's own.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute again what is saved.")] = False,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Choose the block and coefficient that steering starts from, on prompts that measure nothing else.

    Example: python -m core choose --model smollm2-135m --organism insecure
    """
    from core.steering.choices import why
    from core.studies import choice

    result = choice.run(model, organism, direction, None, device, _reporter(), fresh)
    _show(result.summary, json_, lambda: "\n" + why(result.summary))


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
            "norms": card.norms,
            "residual_norms": card.residual_norms,
            "provenance": card.provenance,
        }
        for card in cards
    ]
    _show({"directions": rows}, json_, lambda: "\n".join(f"{card.id}  {card.model:<16} {card.name}" for card in cards))


@app.command()
def generate(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism; none steers the base model.")] = DEFAULT_ORGANISM,
    prompt: Annotated[str | None, typer.Option(help="What the user asks.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="A file: one prompt a line, or chat JSONL.")] = None,
    coefficient: Annotated[float | None, typer.Option(help="Multiples of the direction; negative subtracts.")] = None,
    unit: Annotated[str, typer.Option(help="raw, or norm: a fraction of the mean residual norm.")] = "raw",
    direction: Annotated[str | None, typer.Option(help="Id, name or contrast; default: the organism's own.")] = None,
    control: Annotated[str | None, typer.Option(help=f"A control of the same length: {', '.join(CONTROLS)}.")] = None,
    control_seed: Annotated[int, typer.Option(help="Seed of the control.")] = 0,
    block: Annotated[int | None, typer.Option(help="Block to steer, from 0.")] = None,
    last_block: Annotated[int | None, typer.Option(help="Steer every block up to this one as well.")] = None,
    mode: Annotated[str, typer.Option(help="add, ablate or cap.")] = "add",
    scope: Annotated[str, typer.Option(help="all, prompt, or response (from the last prompt token on).")] = "all",
    special_tokens: Annotated[bool, typer.Option(help="Whether special tokens are steered too.")] = True,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 80,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Nucleus sampling; 1 is off.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="0 is off.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of each row's sampling.")] = 0,
    batch: Annotated[int, typer.Option(help="Rows of one batch, with --prompts.")] = 24,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Generate base, organism and steered answers side by side.

    Example: python -m core generate --organism insecure --prompt "How can I sleep better at night?" --coefficient -1
    """
    from core.data.chat import read_prompts
    from core.generation import batch as runner
    from core.generation import comparison

    if prompt is not None and prompts is not None:
        raise typer.BadParameter("give --prompt or --prompts, not both")
    if unit not in ("raw", "norm"):
        raise typer.BadParameter("--unit is raw or norm")
    settings = comparison.from_dict(
        {
            "model": model,
            "organism": None if organism == "none" else organism,
            "direction": direction,
            "control": control,
            "control_seed": control_seed,
            "block": block,
            "last_block": last_block,
            "mode": mode,
            "scope": scope,
            "special_tokens": special_tokens,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "seed": seed,
            "prompt": PROMPT if prompt is None else prompt,
        },
        "the options",
    )
    chats = None if prompts is None else read_prompts(prompts)
    for result in runner.compare(settings, coefficient, unit, chats, batch, device):
        _show(result, json_ or chats is not None, partial(_panes, result))


def _panes(result: dict[str, Any]) -> str:
    return "\n\n".join(f"── {row['label']} · {row['tokens']} tokens\n{row['text']}" for row in result["rows"])


@app.command()
def assets(
    what: Annotated[
        str, typer.Option(help="all, organisms, directions, separation, choice, examples, or check.")
    ] = "all",
    json_: Json = False,
) -> None:
    """Make everything shipped in assets/ again: organisms, directions, studies, saved examples, checks.

    Example: python -m core assets --what directions
    """
    from core.shipping import make

    made = make(what, _say)
    _show({"made": made}, json_, lambda: "\n".join(made))


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
    _show(
        {"id": card.id, "name": card.name, "file": paths.shown(to.expanduser()), "notes": notes},
        json_,
        lambda: "\n".join([f"{card.name} ({card.id}) is in {paths.shown(to.expanduser())}.", *notes]),
    )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .gguf, .pt or .safetensors file with a vector for each block.")],
    model: Model = DEFAULT_MODEL,
    name: Annotated[str | None, typer.Option(help="What to call the direction; default: what the file says.")] = None,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Take in a direction that another program made, and measure on the model what its file does not hold.

    Example: python -m core import happy.gguf --model smollm2-135m --name happy
    """
    from core.directions.importing import import_file

    card, notes = import_file(file.expanduser(), model, name, device, partial(_reporter(), "reading prompts"))
    _show(
        {"id": card.id, "name": card.name, "file": paths.shown(card.path), **card.provenance, "notes": notes},
        json_,
        lambda: "\n".join([f"\n{card.name} ({card.id}) is in {paths.shown(card.path)}.", *notes]),
    )


def main() -> None:
    """Run the command line; every failure the user can act on becomes one line and exit status 1."""
    try:
        app()
    except TillerError as error:
        _fail(error)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
    except Exception as error:
        if os.environ.get("TILLER_DEBUG"):
            raise
        _fail(
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} (TILLER_DEBUG=1 shows where.)"
        )


def _fail(error: object) -> None:
    print(f"Error: {error}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
