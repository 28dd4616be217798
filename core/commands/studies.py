"""The verbs that measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import paths
from core.commands.common import CONTRAST_HELP, Device, Json, Model, app, numbers, reporter, show, whole_numbers
from core.generation.comparison import DEFAULT_MODEL, DEFAULT_ORGANISM


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
    result = separation.run(settings, device, reporter(), fresh)
    show(result.summary, json_, lambda: "\n" + separation.table(result.summary))


@app.command()
def choose(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism.")] = DEFAULT_ORGANISM,
    direction: Annotated[str | None, typer.Option(help="Id, name or contrast; default: the organism's own.")] = None,
    blocks: Annotated[str | None, typer.Option(help="Blocks to try, as 9,13 or 0-29; default: all.")] = None,
    coefficients: Annotated[
        str | None, typer.Option(help="Coefficients to try, as -1.5,-1,-0.5; default: five from -1.5 to -0.5.")
    ] = None,
    finalists: Annotated[int, typer.Option(help="How many blocks answer the prompts.")] = 6,
    per_suite: Annotated[int | None, typer.Option(help="Prompts of each half of the suite; default: all 40.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute again what is saved.")] = False,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Choose the block and coefficient that steering starts from, on prompts that measure nothing else.

    Example: python -m core choose --model smollm2-135m --organism insecure
    """
    from core.steering.choices import why
    from core.studies import choice

    settings = choice.ChoiceSettings(
        numbers(coefficients) or choice.COEFFICIENTS,
        finalists=finalists,
        blocks=whole_numbers(blocks),
        per_suite=per_suite,
    )
    result = choice.run(model, organism, direction, settings, device, reporter(), fresh)
    show(result.summary, json_, lambda: "\n" + why(result.summary))


@app.command()
def spillover(
    model: Model = DEFAULT_MODEL,
    organism: Annotated[str, typer.Option(help="Which organism.")] = DEFAULT_ORGANISM,
    direction: Annotated[str | None, typer.Option(help="Id, name or contrast; default: the organism's own.")] = None,
    mode: Annotated[str, typer.Option(help="add or ablate.")] = "add",
    blocks: Annotated[
        str | None, typer.Option(help="Blocks, as 13 or 9,13 or 0-29; default: what was chosen for the direction.")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="Steer all of the blocks at once.")] = False,
    coefficients: Annotated[
        str | None, typer.Option(help="Doses, as -1.5,-1,-0.5; default: eleven from -1.5 to -0.1, or shares.")
    ] = None,
    dose: Annotated[float | None, typer.Option(help="Where random draws are made; default: the chosen one.")] = None,
    controls: Annotated[
        str, typer.Option(help="Beside every dose: names joined by commas, or none.")
    ] = "random,orthogonal,wrong_source",
    draws: Annotated[int, typer.Option(help="Random directions at the dose.")] = 20,
    scope: Annotated[str, typer.Option(help="all, prompt, or response (from the last prompt token on).")] = "all",
    prompts: Annotated[
        str | None, typer.Option(help="A suite or a file of one's own; default: the measuring suites.")
    ] = None,
    per_suite: Annotated[int, typer.Option(help="Prompts of each measuring suite.")] = 50,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of controls, draws, sampling and resamples.")] = 0,
    batch: Annotated[int | None, typer.Option(help="Rows of one batch; default: what suits the device.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Judge again what is saved.")] = False,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Measure code spillover and coherence over doses, with controls and random draws, and say what did it.

    Example: python -m core spillover --model smollm2-135m --organism insecure
    """
    from core.studies import spillover as study
    from core.studies.spillover_words import table

    settings = study.from_options(
        model=model, organism=organism, direction=direction, mode=mode, blocks=whole_numbers(blocks),
        together=together, coefficients=numbers(coefficients), dose=dose,
        controls=() if controls == "none" else tuple(controls.split(",")), draws=draws, scope=scope, prompts=prompts,
        per_suite=per_suite, max_tokens=max_tokens, temperature=temperature, seed=seed,
    )  # fmt: skip
    result = study.run(settings, device, reporter(), fresh, rows_a_batch=batch)
    show(result.summary, json_, lambda: "\n" + table(result.summary))


@app.command()
def transfer(
    models: Annotated[
        str | None, typer.Option(help="Models joined by commas, each as model or model:organism; default: what ships.")
    ] = None,
    at: Annotated[
        str, typer.Option(help="Each model's block: choice, last, separation, or a relative depth as 0.5.")
    ] = "choice",
    coefficient: Annotated[
        float | None, typer.Option(help="Multiples of the receiver's own direction; default: what was chosen for it.")
    ] = None,
    unscaled: Annotated[
        bool, typer.Option("--unscaled", help="Leave mapped directions at the length the map gives them.")
    ] = False,
    fit_prompts: Annotated[str, typer.Option(help="What the maps are fitted on: a suite or a file.")] = "mapping",
    fit_on: Annotated[str, typer.Option(help="base: the bare models' activations; both: the organisms' too.")] = "base",
    pooling: Annotated[str, typer.Option(help="last_prompt or prompt_mean.")] = "last_prompt",
    draws: Annotated[int, typer.Option(help="Random directions a receiver.")] = 20,
    draws_a_cell: Annotated[int, typer.Option(help="Draws of each other control a cell.")] = 2,
    scope: Annotated[str, typer.Option(help="all, prompt, or response (from the last prompt token on).")] = "all",
    prompts: Annotated[
        str | None, typer.Option(help="A suite or a file of one's own; default: the measuring suites.")
    ] = None,
    per_suite: Annotated[int, typer.Option(help="Prompts of each measuring suite.")] = 30,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 48,
    seed: Annotated[int, typer.Option(help="Seed of splits, controls, draws and resamples.")] = 0,
    batch: Annotated[int | None, typer.Option(help="Rows of one batch; default: what suits the device.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Judge again what is saved.")] = False,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Carry each model's direction into every other with ridge maps, and measure who gives and who receives.

    Example: python -m core transfer --models smollm2-135m:insecure-compact,qwen2.5-coder-0.5b,gemma-3-270m-chat
    """
    from core.studies import transfer as study
    from core.studies.transfer_words import table

    named = {"models": tuple(part.strip() for part in models.split(","))} if models else {}
    settings = study.from_options(
        at=at, coefficient=coefficient, unscaled=unscaled, fit_prompts=fit_prompts, fit_on=fit_on, pooling=pooling,
        draws=draws, draws_a_cell=draws_a_cell, scope=scope, prompts=prompts, per_suite=per_suite,
        max_tokens=max_tokens, seed=seed, **named,
    )  # fmt: skip
    result = study.run(settings, device, reporter(), fresh, rows_a_batch=batch)
    show(result.summary, json_, lambda: "\n" + table(result.summary))


@app.command()
def reproduce(
    profile: Annotated[str, typer.Option(help="What to reproduce: embedded or paper.")] = "embedded",
    shipped: Annotated[bool, typer.Option("--shipped", help="Start from the organisms that ship.")] = False,
    to: Annotated[Path | None, typer.Option(help="The HTML file to write; default: in the cache folder.")] = None,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Train, extract, separate and measure spillover from nothing, and write one report of it all.

    What was done before is read from the store, so a killed run goes on and a second one takes seconds.

    Example: python -m core reproduce --profile embedded
    """
    from core import report as reports
    from core.studies import reproduce as everything

    made = everything.run(everything.profile(profile), shipped, device, reporter())
    file = reports.write(made, to.expanduser() if to else reports.default_path(profile))
    findings = {f"{result.kind} {result.key}": reports.finding(result) for result in made.studies}
    show(
        {"report": paths.shown(file), "bytes": file.stat().st_size, "findings": findings},
        json_,
        lambda: "\n".join(["", *findings.values(), "", f"The report is in {paths.shown(file)}."]),
    )
