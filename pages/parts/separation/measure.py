"""Measure it here: a separation study as a job of its own, on built-in or uploaded prompts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import paths, store
from core.data.chat import read_prompts
from core.errors import BadInput, TillerError
from core.models import sources
from core.models.catalog import CATALOG, ModelSpec, resolve
from core.studies import separation
from pages.parts import jobs as work
from pages.parts.literal import literal
from pages.parts.ready import show_fetch
from pages.parts.separation.choice import CONTRASTS, WIDGET, Shown, open_result, organism_names
from pages.parts.shell import errors, show_error

SLOT, TROUBLE = "separation_job", "separation_trouble"
BUILT_IN, UPLOAD = "built-in suites", "my own prompts"
POOLING = {"last_prompt": "last token of the prompt", "prompt_mean": "mean over the prompt"}
SAMPLES: int = separation.SeparationSettings.model_fields["samples"].default
MOST_MEGABYTES = 20
ANSWERS = "Answers are written first, which takes most of the time; then the mean over each answer is measured."
UPLOAD_HELP = "One prompt a line, or chat JSONL. A seeded half is trained on, the other half is held out."


def show_measure(now: Shown) -> None:
    """The folded form, and what runs; open while something runs, or where there is nothing to show yet."""
    running = work.live("separate")
    label = "Measure it here" + (" · running" if running else "")
    with st.expander(label, icon=":material/straighten:", expanded=bool(running) or now.result is None):
        st.fragment(_form)(now)
        st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(bool(running))


def save_upload(kind: str, name: str, data: bytes) -> Path:
    """An uploaded file in the cache, in a folder named by the hash of its content."""
    target = paths.cache() / "uploads" / kind / hashlib.sha256(data).hexdigest()[:16] / paths.safe_name(name)
    if not target.exists():
        store.write_file(target, data)
    return target


def arguments(settings: separation.SeparationSettings) -> list[str]:
    """The command line of these settings."""
    found = ["separate", "--model", settings.model, "--organism", settings.organism]
    found += ["--contrast", settings.contrast, "--pooling", settings.pooling]
    if settings.prompts != separation.suites.EXTRACTION:
        found += ["--prompts", settings.prompts]
    return found + (["--samples", str(settings.samples)] if settings.contrast == "response" else [])


def _form(now: Shown) -> None:
    left, middle, right = st.columns(3, gap="medium")
    with left:
        known = list(dict.fromkeys([now.model, *(spec.id for spec in CATALOG.values() if sources.is_ready(spec))]))
        typed = st.selectbox(
            "Model", known, key=f"separation.form.model.{now.model}", accept_new_options=True,
            help="One that is on this machine, or type a folder on this computer or `owner/name` of the hub.",
        )  # fmt: skip
        try:
            spec: ModelSpec = resolve(typed or now.model)
        except TillerError as error:
            show_error(error)
            return
        names = organism_names(spec.id)
        place = names.index(now.organism) if now.organism in names else 0
        organism = st.selectbox("Organism", names, place, key=f"separation.form.organism.{spec.id}.{now.organism}")
    with middle:
        usual = list(CONTRASTS).index(now.choice.contrast)
        contrast = st.selectbox("Contrast", list(CONTRASTS), usual, key=f"separation.form.contrast.{usual}")
        pooling, samples = "last_prompt", SAMPLES
        if contrast == "response":
            label = "Answers a prompt"
            samples = int(st.number_input(label, 1, 100, SAMPLES, key="separation.form.samples", help=ANSWERS))
        else:
            pooling = st.selectbox(
                "Pooling", list(POOLING), format_func=lambda name: POOLING[name], key="separation.form.pooling"
            )
    with right:
        source = st.segmented_control(
            "Prompts", (BUILT_IN, UPLOAD), default=BUILT_IN, required=True, key="separation.form.source",
            help="Built in: 200 prompts to train on, and 200 others (everyday and technical) held out.",
        )  # fmt: skip
        upload = None
        if source == UPLOAD:
            upload = st.file_uploader(
                "Prompts to measure on", ["txt", "jsonl"], key="separation.form.file", help=UPLOAD_HELP,
                max_upload_size=MOST_MEGABYTES,
            )  # fmt: skip
    ready = sources.is_ready(spec)
    if not ready:
        missing = f"{spec.title} is not on this machine yet, so nothing can be measured with it."
        st.html(f'<div class="sep-note">{literal(missing)}</div>')
        show_fetch(spec)
    elif not names:
        st.caption(f"{spec.title} has no organism yet. Train one with `python -m core train`.")
    if st.button(
        "Measure", type="primary", icon=":material/play_arrow:", key=WIDGET, disabled=not (ready and names),
        help="Runs beside the app and takes turns with other long work. Saved results are shown at once.",
    ):  # fmt: skip
        st.session_state[TROUBLE] = None
        try:
            prompts = _uploaded(upload) if source == UPLOAD else separation.suites.EXTRACTION
            chosen = {"model": typed or spec.id, "organism": organism, "contrast": contrast, "pooling": pooling}
            _start(separation.from_options(**chosen, samples=samples, prompts=prompts))
        except TillerError as error:
            st.session_state[TROUBLE] = str(error)
        st.rerun()
    if st.session_state.get(TROUBLE):
        show_error(st.session_state[TROUBLE])


def _uploaded(upload: UploadedFile | None) -> str:
    """Where an uploaded file of prompts lies, once it is known to be readable."""
    if upload is None:
        raise BadInput("No prompts were chosen. Choose a file, or take the built-in suites.")
    path = save_upload("prompts", upload.name, upload.getvalue())
    read_prompts(path)
    return str(path)


def _start(settings: separation.SeparationSettings) -> None:
    """Show the saved result of these settings, else start measuring."""
    saved = separation.find(settings)
    if saved is not None:
        open_result(saved.summary)
        return
    if settings.contrast == "content" and separation.Inputs(settings).secure is None:
        raise BadInput(
            f"The content contrast compares {settings.organism} with the secure organism. Choose another organism."
        )
    work.begin(arguments(settings), f"Separation: {settings.contrast} contrast of {settings.organism}", SLOT)


def _watch(polling: bool) -> None:
    running = work.live("separate")
    for job in running:
        work.show_job(job)
    mine = work.own(SLOT)
    if mine is not None and mine.state == "done":
        st.session_state.pop(SLOT)
        with errors():
            open_result(mine.result())
        st.rerun()
    if polling and not running:
        st.rerun()
    if mine is not None and not mine.live:
        work.show_end(mine)
