"""The verb that generates answers side by side."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from core.commands.common import Device, Json, Model, app, show
from core.directions.library import CONTROLS
from core.errors import BadInput
from core.generation.comparison import DEFAULT_MODEL, DEFAULT_ORGANISM, PROMPT


@app.command()
def generate(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism; none steers the base model.")] = DEFAULT_ORGANISM,
    prompt: Annotated[str | None, typer.Option(help="What the user asks.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file: one prompt a line, or JSONL, a JSON array, CSV or Parquet.")
    ] = None,
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
    from core.studies.plan import complete

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
        }
    )
    if not settings.prompt.strip() and prompts is None:
        raise BadInput("The prompt is empty. Write what the model is to be asked.")
    chats = None if prompts is None else read_prompts(prompts)
    for result in runner.compare(complete(settings), coefficient, unit, chats, batch, device):
        show(result, json_ or chats is not None, partial(_panes, result))


def _panes(result: dict[str, Any]) -> str:
    answers = [f"── {row['label']} · {row['tokens']} tokens\n{row['text']}" for row in result["rows"]]
    made = result["settings"]
    if origin := made.get("direction_imported_from"):
        answers.append(f"── along {made['direction_name']}, imported from {origin}")
    return "\n\n".join(answers)
