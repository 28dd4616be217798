"""Measure it here: a separation study as a job of its own, on built-in or uploaded prompts."""

from __future__ import annotations

import streamlit as st

from core.data import prompts as suites
from core.models import sources
from core.studies.catalog import SEPARATION
from core.studies.separation.settings import SeparationSettings
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
from pages.parts.separation.choice import CONTRASTS, WIDGET, Shown, open_result
from pages.parts.uploads import save_prompts

SLOT, TROUBLE = "separation_job", "separation_trouble"
BUILT_IN, UPLOAD = "built-in suites", "my own prompts"
POOLING = {"last_prompt": "last token of the prompt", "prompt_mean": "mean over the prompt"}
SAMPLES: int = SeparationSettings.model_fields["samples"].default
ANSWERS = "Answers are written first, which takes most of the time; then the mean over each answer is measured."
UPLOAD_HELP = "One prompt a line, or chat JSONL. A seeded half is trained on, the other half is held out."


def show_measure(now: Shown) -> None:
    """The folded form, and what runs; open while something runs, or where there is nothing to show yet."""
    show_measuring("separate", SLOT, now.result is None, _form, now, open_result)


def _form(now: Shown) -> None:
    left, middle, right = st.columns(3, gap="medium")
    with left:
        chosen = show_model("separation", now.model)
        if chosen is None:
            return
        model, spec = chosen
        organism = show_organism("separation", spec.id, now.organism)
    with middle:
        usual = list(CONTRASTS).index(now.choice.contrast)
        contrast = st.selectbox("Contrast", list(CONTRASTS), usual, key=f"separation.form.contrast.{usual}")
        pooling, samples = "last_prompt", SAMPLES
        if contrast == "response":
            label = "Answers a prompt"
            samples = int(st.number_input(label, 1, 100, SAMPLES, key="separation.form.samples", help=ANSWERS))
        else:
            pooling = st.selectbox(
                "Pooling", list(POOLING), format_func=lambda name: POOLING[name], key="separation.form.pooling",
                help=f"What one vector a prompt is made of. {term('pooling')}",
            )  # fmt: skip
    with right:
        source = st.segmented_control(
            "Prompts", (BUILT_IN, UPLOAD), default=BUILT_IN, required=True, key="separation.form.source",
            help=f"Built in: 200 prompts to train on, 200 others (everyday and technical) held out. {term('prompts')}",
        )  # fmt: skip
        upload = None
        if source == UPLOAD:
            upload = st.file_uploader(
                "Prompts to measure on", PROMPT_FILES, key="separation.form.file", help=UPLOAD_HELP,
                max_upload_size=MOST_MEGABYTES,
            )  # fmt: skip
    ready = sources.is_ready(spec)
    if not ready:
        missing = f"{spec.title} is not on this machine yet, so nothing can be measured with it."
        st.html(f'<div class="sep-note">{literal(missing)}</div>')
        show_fetch(spec)
    elif organism is None:
        st.caption(f"{spec.title} has no organism yet. Train one with `python -m core train`.")

    def start() -> None:
        prompts = save_prompts(upload, BUILT_IN) if source == UPLOAD else suites.EXTRACTION
        asked = {"model": model, "organism": organism, "contrast": contrast, "pooling": pooling}
        settings = SEPARATION.of(**asked, samples=samples, prompts=prompts)
        open_or_begin(SEPARATION, settings, f"Separation: {contrast} contrast of {organism}", SLOT, open_result)

    show_start(WIDGET, TROUBLE, ready and organism is not None, start)
