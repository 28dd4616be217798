"""Measure it here: a spillover study as a job of its own, on the measuring suites or on uploaded prompts."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core import paths
from core.directions import library
from core.errors import TillerError
from core.generation.comparison import DEFAULT_MODEL
from core.models import sources
from core.models.catalog import ModelSpec
from core.studies.catalog import SPILLOVER
from core.studies.options import numbers, whole_numbers
from core.studies.spillover.settings import CONTROLS_AT_DOSE, Inputs, SpilloverSettings
from core.words import duration
from pages.parts.literal import literal
from pages.parts.measuring import (
    MOST_MEGABYTES,
    PROMPT_FILES,
    open_or_begin,
    show_measuring,
    show_model,
    show_organism,
    show_start,
)
from pages.parts.methods import term
from pages.parts.ready import show_fetch
from pages.parts.shell import show_error
from pages.parts.spillover.choice import MODES, WIDGET, Shown, open_result
from pages.parts.uploads import save_prompts

SLOT, TROUBLE = "spillover_job", "spillover_trouble"
BUILT_IN, UPLOAD = "measuring suites", "my own prompts"
CELL_SECONDS, CELL_PROMPTS, CELL_TOKENS = 30, 100, 64  # what the embedded model needs on two processor cores
PLAIN = SpilloverSettings()
UPLOAD_HELP = "One prompt a line, or chat JSONL. They should ask for prose: any code in an answer counts as spillover."
BLOCKS_HELP = "As `13`, `9,13` or `0-29`. Empty: the block that was chosen for the direction."
DOSES_HELP = {
    "add": f"As `-1.5,-1,-0.5`: multiples of the direction. Empty: eleven from −1.5 to −0.1. {term('dose')}",
    "ablate": f"As `0.5,1`: the share of the projection removed. Empty: 0.25, 0.5, 0.75 and 1. {term('dose')}",
}


def show_measure(now: Shown) -> None:
    """The folded form, and what runs; open while something runs, or where there is nothing to show yet."""
    show_measuring("spillover", SLOT, now.result is None, _form, now, open_result)


def cells(inputs: Inputs) -> int:
    """How many settings are answered by every prompt."""
    settings = inputs.settings
    sites = 1 if settings.together else len(inputs.blocks)
    at_dose = sum(control not in inputs.controls for control in CONTROLS_AT_DOSE[settings.mode])
    # the random control at the dose is the first draw
    shared = 1 if settings.draws and "random" in inputs.controls else 0
    return 2 + sites * len(inputs.coefficients) * (1 + len(inputs.controls)) + at_dose + settings.draws - shared


def estimate(inputs: Inputs) -> str:
    """How much will be generated, and for the embedded model how long that takes."""
    count, n, tokens = cells(inputs), len(inputs.prompts), inputs.settings.max_tokens
    said = f"{count} settings × {n} prompts = {count * n:,} answers of up to {tokens} tokens"
    if inputs.spec.id != DEFAULT_MODEL:
        return f"{said}. How long this model takes is seen once it runs."
    seconds = CELL_SECONDS * count * n / CELL_PROMPTS * tokens / CELL_TOKENS
    long = duration(max(60, seconds))
    return f"{said}: about {long} on two processor cores. Answers that are there already are kept."


def _form(now: Shown) -> None:
    what, how, on = st.columns(3, gap="medium")
    with what:
        named = _named(now)
    if named is None:
        return
    model, spec, organism, direction = named
    with how:
        mode = st.segmented_control("Steering", list(MODES), default=now.mode, required=True, key="spillover.form.mode")
        mode = mode or "add"
        blocks = st.text_input("Blocks", key="spillover.form.blocks", placeholder="as chosen", help=BLOCKS_HELP)
        doses = st.text_input(
            "Coefficients" if mode == "add" else "Shares", key=f"spillover.form.doses.{mode}",
            placeholder="the usual ones", help=DOSES_HELP[mode],
        )  # fmt: skip
        draws = st.number_input(
            "Random draws at the chosen dose", 0, 1000, PLAIN.draws, key="spillover.form.draws",
            help=f"With 20 draws p is 0.048 at best. {term('random-draws')}",
        )  # fmt: skip
    with on:
        source = st.selectbox("Prompts", [BUILT_IN, UPLOAD], key="spillover.form.source")
        upload = None
        if source == UPLOAD:
            upload = st.file_uploader(
                "Prompts", PROMPT_FILES, key="spillover.form.file", max_upload_size=MOST_MEGABYTES,
                help=UPLOAD_HELP, label_visibility="collapsed",
            )  # fmt: skip
        per_suite = st.number_input(
            "Prompts of each tier", 1, 100, PLAIN.per_suite, key="spillover.form.n", disabled=source == UPLOAD
        )
        tokens = st.number_input("Longest answer, tokens", 1, 4096, PLAIN.max_tokens, key="spillover.form.tokens")
    typed = {"blocks": blocks, "coefficients": doses}
    chosen = {
        "model": model, "organism": organism, "direction": direction, "mode": mode, "draws": draws,
        "per_suite": per_suite, "max_tokens": tokens,
    }  # fmt: skip
    ready = sources.is_ready(spec)
    _promise(chosen, typed)
    if not ready:
        missing = (
            f"{spec.title} is not on this machine yet, so nothing can be measured with it. Saved results still show."
        )
        st.html(f'<div class="spill-note">{literal(missing)}</div>')
        show_fetch(spec)

    def start() -> None:
        prompts = {"prompts": save_prompts(upload, BUILT_IN)} if source == UPLOAD else {}
        settings = settings_of({**chosen, **prompts}, typed)
        title = f"Spillover: {settings.mode} {settings.organism}’s direction"
        open_or_begin(SPILLOVER, settings, title, SLOT, open_result)

    show_start(WIDGET, TROUBLE, ready and organism is not None, start)


def settings_of(chosen: dict[str, Any], typed: dict[str, str]) -> SpilloverSettings:
    """The study's settings from a form.

    Args:
        typed: `blocks` and `coefficients` as they were typed.

    Raises:
        BadInput: one sentence and an action.
    """
    coefficients = numbers(typed["coefficients"].strip().replace("−", "-") or None)  # an empty field: the usual ones
    blocks = whole_numbers(typed["blocks"].strip() or None)
    return SPILLOVER.of(**chosen, blocks=blocks, coefficients=coefficients)


def _named(now: Shown) -> tuple[str, ModelSpec, str | None, str | None] | None:
    """Model as typed and as known, organism, and direction (None: its own); None where the model cannot be named."""
    chosen = show_model("spillover", now.model)
    if chosen is None:
        return None
    model, spec = chosen
    try:
        cards = {card.id: card for card in library.cards(spec.id)}
    except TillerError as error:
        show_error(error)
        return None
    organism = show_organism("spillover", spec.id, now.organism)
    if organism is None:
        st.caption(f"{literal(spec.title)} has no organism yet. Train one with `python -m core train`.")
    direction = st.selectbox(
        "Direction", [None, *cards], key=f"spillover.form.direction.{spec.id}",
        format_func=lambda key: cards[key].name if key in cards else "the organism’s own model contrast",
    )  # fmt: skip
    return model, spec, organism, direction


def _promise(chosen: dict[str, Any], typed: dict[str, str]) -> None:
    """What will be generated, while the settings fit together; what is wrong with them, where they do not."""
    if not chosen["organism"]:
        return
    try:
        said = estimate(Inputs(settings_of(chosen, typed)))
    except TillerError as error:
        said = paths.placeless(str(error))
    st.html(f'<p class="spill-small" role="status">{literal(said)}</p>')
