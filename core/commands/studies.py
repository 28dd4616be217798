"""The verbs that measure: one for each study, made from the fields of its settings, and the one that reproduces all."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from core import paths
from core.commands.common import Device, Json, app, reporter, show
from core.studies import options
from core.studies.catalog import STUDIES, study_of
from core.studies.study import Study, Work, run

Fresh = Annotated[bool, typer.Option("--fresh", help="Measure again what is saved; answers that are there stay.")]
Batch = Annotated[int | None, typer.Option(help="Rows of one batch; default: what suits the device.", min=1)]


def verb(study: Study[Any, Any]) -> None:
    """Give a study its verb."""

    def command(fresh: bool, batch: int | None, device: str | None, json_: bool, **given: str | bool | None) -> None:
        settings = study.of(**options.values(study.settings, given))
        result = run(study, settings, Work(device, reporter(), batch), fresh)
        show(result.summary, json_, lambda: "\n" + study.words(result.summary))

    shared = {"fresh": (Fresh, False), "batch": (Batch, None), "device": (Device, None), "json_": (Json, False)}
    parameters = [
        *(_parameter(name, *_declared(name, field)) for name, field in study.settings.model_fields.items()),
        *(_parameter(name, *declared) for name, declared in shared.items()),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    about = f"{study.about}\n\nExample: python -m core {study.verb} {study.example}"
    app.command(study.verb, help=about)(command)


def _declared(name: str, field: Any) -> tuple[Any, Any]:
    """How an option is declared: text that `options.values` reads, or a switch."""
    usual = options.usual(field)
    about = f"{field.description.rstrip('.')}; default: {usual}." if usual else field.description
    if options.is_switch(field):
        return Annotated[bool, typer.Option(options.flag(name), help=about)], False
    return Annotated[str | None, typer.Option(options.flag(name), help=about, metavar=options.kind(field))], None


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


for _study in STUDIES:
    verb(_study)


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
    findings = {f"{result.kind} {result.key}": study_of(result.kind).says(result.summary) for result in made.studies}
    show(
        {"report": paths.shown(file), "bytes": file.stat().st_size, "findings": findings},
        json_,
        lambda: "\n".join(["", *findings.values(), "", f"The report is in {paths.shown(file)}."]),
    )
