"""Measure it here: a transfer study over organisms of several models, as a job of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core import paths
from core.directions import library
from core.errors import TillerError
from core.models import sources
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import organisms
from core.studies.catalog import TRANSFER
from core.studies.transfer.settings import MODELS, PLACES, Inputs, TransferSettings, named
from core.words import duration, size
from pages.parts.literal import literal
from pages.parts.measuring import open_or_begin, show_measuring, show_start
from pages.parts.methods import term
from pages.parts.ready import show_fetch
from pages.parts.shell import show_error
from pages.parts.spillover.measure import CELL_PROMPTS, CELL_SECONDS, CELL_TOKENS
from pages.parts.transfer.choice import WIDGET, Shown, open_result

SLOT, TROUBLE = "transfer_job", "transfer_trouble"
PLAIN = TransferSettings()
DEPTH = "depth"
RULES = {
    "choice": "as chosen for each direction",
    "last": "each model’s last block",
    "separation": "where each separates best",
    DEPTH: "one relative depth",
}
MODELS_HELP = "Each a model with one of its organisms that has a direction. Or type `model:organism`."
SMOLLM2_PARAMETERS = 134_515_008  # of the model that `CELL_SECONDS` was timed on


def show_measure(now: Shown | None) -> None:
    """The folded form, and what runs; open while something runs, or where there is nothing to show yet."""
    show_measuring("transfer", SLOT, now is None, _form, now, open_result)


def offered() -> list[str]:
    """`model:organism` of every organism on this machine that has a direction."""
    return list(
        dict.fromkeys(
            f"{organism.model}:{organism.name}"
            for organism in organisms()
            if library.default_card(organism) is not None
        )
    )


def estimate(inputs: Inputs) -> str:
    """How much will be generated, and roughly how long that takes by the models' sizes."""
    settings, n = inputs.settings, len(inputs.prompts)
    members = len(inputs.members)
    a_cell = 1 + 3 * settings.draws_a_cell + (settings.draws if settings.unscaled else 0)
    a_receiver = 2 + members * a_cell + (0 if settings.unscaled else settings.draws)
    said = (
        f"{members} receivers × {a_receiver} settings × {n} prompts = {members * a_receiver * n:,} answers of up to "
        f"{settings.max_tokens} tokens"
    )
    sizes = [member.spec.parameters for member in inputs.members]
    if None in sizes:
        return f"{said}. How long this takes is seen once it runs."
    small = CELL_SECONDS * a_receiver * n / CELL_PROMPTS * settings.max_tokens / CELL_TOKENS
    seconds = small * sum(known or 0 for known in sizes) / SMOLLM2_PARAMETERS
    return (
        f"{said}: very roughly {duration(max(60, seconds))} on two processor cores, scaled from the smallest model by "
        "size. Answers that are there already are kept."
    )


def settings_of(names: Sequence[str], rule: str, depth: float, **numbers: Any) -> TransferSettings:
    """The study's settings from a form.

    Raises:
        BadInput: one sentence and an action.
    """
    at = f"{depth:g}" if rule == DEPTH else rule
    return TRANSFER.of(models=tuple(names), at=at, **numbers)


def missing(names: Sequence[str]) -> list[ModelSpec]:
    """Models that are named and not on this machine; names that mean nothing are left out."""
    found: dict[str, ModelSpec] = {}
    for name in names:
        try:
            spec = resolve(named(name)[0])
        except TillerError:
            continue  # the promise says what is wrong with it
        if not sources.is_ready(spec):
            found[spec.id] = spec
    return list(found.values())


def _form(now: Shown | None) -> None:
    try:
        there = offered()
    except TillerError as error:
        show_error(error)
        return
    candidates = ([name for name in MODELS if name in there], _one_a_model(there), list(MODELS))
    usual = next(names for names in candidates if len(names) > 1)
    what, how = st.columns([3, 2], gap="medium")
    with what:
        names = st.multiselect(
            "Models with their organisms", list(dict.fromkeys([*there, *MODELS])), usual,
            accept_new_options=True, key="transfer.form.models", help=MODELS_HELP,
        )  # fmt: skip
        rule = st.selectbox(
            "Block of each model", [*PLACES, DEPTH], format_func=lambda name: RULES.get(name, name),
            key="transfer.form.rule",
        )  # fmt: skip
        depth = 0.5
        if rule == DEPTH:
            depth = st.number_input("Relative depth, 0 to 1", 0.0, 1.0, 0.5, 0.05, key="transfer.form.depth")
    with how:
        per_suite = st.number_input("Prompts of each tier", 1, 100, PLAIN.per_suite, key="transfer.form.n")
        draws = st.number_input(
            "Random draws a receiver", 0, 1000, PLAIN.draws, key="transfer.form.draws",
            help=f"With fewer than 19 draws in all nothing can be called specific. {term('controls-of-a-cell')}",
        )  # fmt: skip
        tokens = st.number_input("Longest answer, tokens", 1, 4096, PLAIN.max_tokens, key="transfer.form.tokens")
    numbers = {"per_suite": per_suite, "draws": draws, "max_tokens": tokens}
    able = _promise(names, rule, depth, numbers)
    gone = missing(names)
    if gone:
        st.html(f'<div class="spill-note">{literal(_absent(gone))}</div>')
        show_fetch(gone[0])  # one after the other

    def start() -> None:
        title = f"Transfer between {len(names)} models"
        open_or_begin(TRANSFER, settings_of(names, rule, depth, **numbers), title, SLOT, open_result)

    show_start(WIDGET, TROUBLE, able and not gone, start)


def _one_a_model(names: Sequence[str]) -> list[str]:
    """The first organism of each model."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(named(name)[0], name)
    return list(found.values())


def _promise(names: Sequence[str], rule: str, depth: float, numbers: Mapping[str, Any]) -> bool:
    """Say what will be generated, or what is wrong; whether it can be."""
    if len(names) < 2:
        st.html('<p class="spill-small" role="status">Choose organisms of at least two models.</p>')
        return False
    try:
        said, able = estimate(Inputs(settings_of(names, rule, depth, **numbers))), True
    except TillerError as error:
        said, able = paths.placeless(str(error)), False
    st.html(f'<p class="spill-small" role="status">{literal(said)}</p>')
    return able


def _absent(specs: Sequence[ModelSpec]) -> str:
    named = []
    for spec in specs:
        much = size(spec.download_bytes) if spec.download_bytes else "size unknown"
        named.append(f"{spec.title} ({much}, licence: {spec.licence or 'unknown'})")
    return f"Not on this machine yet: {'; '.join(named)}. Fetch to measure; saved results still show."
