"""Which page shows what a job makes, or a saved result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import TillerError
from core.jobs import Job
from core.models.catalog import DEFAULT_ID
from core.studies.catalog import CHOICE, STUDIES
from pages.parts.choices import LINKED
from pages.parts.runs.words import is_place

Query = dict[str, str]


def of_job(job: Job) -> tuple[str, Query] | None:
    """(page, query) where a job's work is to be seen; None where no page shows it."""
    verb, options = job.arguments[0] if job.arguments else "", _options(job.arguments)
    shown = {study.verb: (study.page, _result) for study in STUDIES if study.page}
    found = _VERBS.get(verb) or shown.get(verb)
    if found is None:
        return None
    page, query = found
    made: Any = None
    if job.state == "done":
        with contextlib.suppress(TillerError, OSError):
            made = job.result()
    return page, _safe(query(options, made if isinstance(made, dict) else {}))


def of_result(kind: str, summary: Mapping[str, Any]) -> tuple[str, Query]:
    """(page, query) that shows a saved result."""
    if kind == CHOICE.kind:
        return "Steer", _safe(_steer({}, summary))
    page = next((study.page for study in STUDIES if study.kind == kind and study.page), kind.title())
    return page, _safe(_result({}, summary))


def _options(arguments: tuple[str, ...]) -> Query:
    """`--name value` and `--name=value` of a command line."""
    found: Query = {}
    for place, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, sign, value = argument[2:].partition("=")
            found[name] = value if sign else next(iter(arguments[place + 1 : place + 2]), "")
    return found


def _result(options: Query, made: Mapping[str, Any]) -> Query:
    if made.get("key"):
        return {"result": str(made["key"])[:LINKED]}
    return {name: options[name] for name in ("model", "organism", "contrast") if name in options}


def _steer(options: Query, made: Mapping[str, Any]) -> Query:
    named = {**options, **{name: str(made[name]) for name in ("model", "organism", "direction") if made.get(name)}}
    return {name: named[name] for name in ("model", "organism", "direction") if name in named}


def _direction(options: Query, made: Mapping[str, Any]) -> Query:
    known = {"direction": str(made["id"])} if made.get("id") else {}
    model = made.get("model") or options.get("model")
    return {**({"model": str(model)} if model else {}), **known}


def _organism(options: Query, made: Mapping[str, Any]) -> Query:
    model = made.get("model") or options.get("model")
    trained = {"organism": str(made["name"])} if made.get("name") else {"view": "train"}
    return {**({"model": str(model)} if model else {}), **trained}


def _safe(query: Query) -> Query:
    """Without what is usual, and without places of this machine."""
    return {
        name: value
        for name, value in query.items()
        if value and not is_place(value) and (name, value) != ("model", DEFAULT_ID)
    }


_VERBS: dict[str, tuple[str, Callable[[Query, Mapping[str, Any]], Query]]] = {
    "choose": ("Steer", _steer),
    "extract": ("Steer", _direction),
    "import": ("Steer", _direction),
    "fetch": ("Steer", lambda options, made: {"model": options.get("model", "")}),
    "train": ("Organisms", _organism),
    "adopt": ("Organisms", _organism),
}
