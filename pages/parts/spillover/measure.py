"""Measure it here: a spillover study as a job of its own, on the measuring suites or on uploaded prompts."""

from __future__ import annotations

import streamlit as st

from core.studies.catalog import SPILLOVER
from core.studies.spillover.settings import CONTROLS_AT_DOSE, Inputs, SpilloverSettings
from pages.parts.methods import term
from pages.parts.spillover.choice import MODES, Shown
from pages.parts.study import form
from pages.parts.study.form import Fields, Form

BUILT_IN = "measuring suites"
UPLOAD_HELP = (
    "One prompt a line, or prompts or chats as JSONL, a JSON array, CSV or Parquet. They should ask for prose: any "
    "code in an answer counts as spillover."
)
BLOCKS_HELP = "As `13`, `9,13` or `0-29`. Empty: the block that was chosen for the direction."
DOSES_HELP = {
    "add": f"As `-1.5,-1,-0.5`: multiples of the direction. Empty: eleven from −1.5 to −0.1. {term('dose')}",
    "ablate": f"As `0.5,1`: the share of the projection removed. Empty: 0.25, 0.5, 0.75 and 1. {term('dose')}",
}
DRAWS_HELP = f"With 20 draws p is 0.048 at best. {term('random-draws')}"


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
    return form.estimate(cells(inputs), len(inputs.prompts), inputs.settings.max_tokens, inputs.spec)


def draw(fields: Fields, now: Shown) -> bool:
    what, how, on = st.columns(3, gap="medium")
    with what:
        able = fields.subject(now.model, now.organism)
    if fields.spec is None:
        return False
    with how:
        mode = fields.ask("mode", "Steering", names=MODES, usual=now.mode)
        fields.ask("blocks", about=BLOCKS_HELP, placeholder="as chosen")
        named = "Coefficients" if mode == "add" else "Shares"
        fields.ask("coefficients", named, DOSES_HELP[mode], f".{mode}", placeholder="the usual ones")
        fields.ask("draws", "Random draws at the chosen dose", DRAWS_HELP)
    with on:
        own = fields.prompts(BUILT_IN, "", UPLOAD_HELP)
        fields.ask("per_suite", "Prompts of each tier", disabled=own)
        fields.ask("max_tokens", "Longest answer, tokens")
        fields.rest("prompts")
    return able


def title(settings: SpilloverSettings) -> str:
    return f"Spillover: {settings.mode} {settings.organism}’s direction"


FORM = Form(SPILLOVER, draw, title, estimate)
