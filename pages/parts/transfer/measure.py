"""Measure it here: a transfer study over organisms of several models, as a job of its own."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.directions import library
from core.errors import TillerError
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import organisms
from core.studies.catalog import TRANSFER
from core.studies.transfer.settings import MODELS, PLACES, Inputs, TransferSettings, named
from core.words import duration
from pages.parts.methods import term
from pages.parts.study import form
from pages.parts.study.form import Fields, Form
from pages.parts.transfer.choice import Shown

DEPTH = "depth"
RULES = {
    "choice": "as chosen for each direction",
    "last": "each model’s last block",
    "separation": "where each separates best",
    DEPTH: "one relative depth",
}
MODELS_HELP = "Each a model with one of its organisms that has a direction. Or type `model:organism`."
DRAWS_HELP = f"With fewer than 19 draws in all nothing can be called specific. {term('controls-of-a-cell')}"
SMOLLM2_PARAMETERS = 134_515_008  # of the model that `form.CELL_SECONDS` was timed on


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
    small = form.seconds_of(a_receiver, n, settings.max_tokens)
    seconds = small * sum(known or 0 for known in sizes) / SMOLLM2_PARAMETERS
    return (
        f"{said}: very roughly {duration(seconds)} on two processor cores, scaled from the smallest model by "
        "size. Answers that are there already are kept."
    )


def draw(fields: Fields, now: Shown) -> bool:
    there = offered()
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
        if rule == DEPTH:
            depth = st.number_input("Relative depth, 0 to 1", 0.0, 1.0, 0.5, 0.05, key="transfer.form.depth")
            rule = f"{depth:g}"
    fields.chosen |= {"models": tuple(names), "at": rule}
    with how:
        fields.ask("per_suite", "Prompts of each tier")
        fields.ask("draws", "Random draws a receiver", DRAWS_HELP)
        fields.ask("max_tokens", "Longest answer, tokens")
        fields.rest()
    if len(names) < 2:
        st.html('<p class="study-small" role="status">Choose organisms of at least two models.</p>')
    return len(names) > 1


def needs(fields: Fields) -> list[ModelSpec]:
    """The models that are named; names that mean nothing are left out."""
    found: dict[str, ModelSpec] = {}
    for name in fields.chosen.get("models", ()):
        try:
            spec = resolve(named(name)[0])
        except TillerError:
            continue  # the promise says what is wrong with it
        found[spec.id] = spec
    return list(found.values())


def title(settings: TransferSettings) -> str:
    return f"Transfer between {len(settings.models)} models"


def _one_a_model(names: Sequence[str]) -> list[str]:
    """The first organism of each model."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(named(name)[0], name)
    return list(found.values())


FORM = Form(TRANSFER, draw, title, estimate, needs)
