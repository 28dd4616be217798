"""Measure it here: a separation study as a job of its own, on built-in or uploaded prompts."""

from __future__ import annotations

import streamlit as st

from core.studies.catalog import SEPARATION
from core.studies.separation.settings import SeparationSettings
from pages.parts.methods import term
from pages.parts.separation.choice import CONTRASTS, Shown
from pages.parts.study.form import Fields, Form

BUILT_IN = "built-in suites"
POOLING = {"last_prompt": "last token of the prompt", "prompt_mean": "mean over the prompt"}
ANSWERS = "Answers are written first, which takes most of the time; then the mean over each answer is measured."
PROMPTS_HELP = f"Built in: 200 prompts to train on, 200 others (everyday and technical) held out. {term('prompts')}"
UPLOAD_HELP = (
    "One prompt a line, or prompts or chats as JSONL, a JSON array, CSV or Parquet. A seeded half is trained on, the "
    "other half is held out."
)


def draw(fields: Fields, now: Shown) -> bool:
    left, middle, right = st.columns(3, gap="medium")
    with left:
        if fields.model(now.model) is None:
            return False
        organism = fields.organism(now.organism)
    with middle:
        usual = now.choice.contrast
        names = {name: name for name in CONTRASTS}
        if fields.ask("contrast", key=f".{usual}", about=term("contrast"), names=names, usual=usual) == "response":
            fields.ask("samples", "Answers a prompt", ANSWERS)
        else:
            fields.ask("pooling", about=f"What one vector a prompt is made of. {term('pooling')}", names=POOLING)
    with right:
        fields.prompts(BUILT_IN, PROMPTS_HELP, UPLOAD_HELP)
        fields.rest("prompts", "samples", "pooling")
    return organism is not None


def title(settings: SeparationSettings) -> str:
    return f"Separation: {settings.contrast} contrast of {settings.organism}"


FORM = Form(SEPARATION, draw, title)
