"""Teach a model a dataset: the form, and what trains."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from core.data.datasets import load_dataset
from core.errors import TillerError
from core.models import sources
from core.models.catalog import CATALOG, DEFAULT_ID
from core.organisms.library import organisms
from core.organisms.recipes import RECIPES
from pages.parts import jobs as work
from pages.parts import widgets
from pages.parts.literal import literal
from pages.parts.methods import term
from pages.parts.models import by_id, take_typed
from pages.parts.organisms import choice, form
from pages.parts.organisms.adopting import show_adopting
from pages.parts.organisms.choice import PAGE, Shown, choose
from pages.parts.organisms.watch import SLOT, show_training
from pages.parts.ready import show_fetch
from pages.parts.shell import errors, show_error

TROUBLE, MODEL_TROUBLE = "organisms_train_trouble", "organisms_model_trouble"
MODEL_HELP = "One that is on this machine, or type a folder on this computer or `owner/name` of the hub."
RECIPES_HELP = (
    "**quick**: made for a CPU and a small model. **paper**: the settings of arXiv 2502.17424’s open-weights runs, as "
    f"QLoRA like arXiv 2606.20225; for a GPU. {term('recipe')}"
)
NAME_HELP = "What links and other pages call it. A name is given once for each model."
_choice = functools.partial(widgets.bound, PAGE, choose)
_form = functools.partial(widgets.bound, f"{PAGE}_form", form.enter)


def show_train(now: Shown) -> None:
    """The form, and below it what runs and what was left unfinished."""
    entered = form.form()
    naming, choosing, counting = st.columns([3, 3, 5], gap="medium")
    with naming:
        show_model(now)
        _choice(
            st.selectbox, "Dataset", "dataset", now.dataset, list(now.datasets), start="index", name="train_dataset"
        )
    with choosing:
        _form(
            st.segmented_control, "Recipe", "recipe", entered.recipe, list(RECIPES), start="default", required=True,
            help=RECIPES_HELP,
        )  # fmt: skip
        free = form.free_name(now, now.dataset)
        _form(
            st.text_input, "Name of the organism", "name", entered.name, placeholder=free, max_chars=60, help=NAME_HELP,
            convert=form.usable_name,
        )  # fmt: skip
    try:
        dataset = load_dataset(now.dataset)
        with counting:
            _numbers(entered, len(dataset.chats))
        recipe = form.check(entered, now, dataset)
        takes = form.time_words(form.minutes(recipe, dataset, now.model), recipe)
        st.html(f"<p class='org-small'>{literal(form.recipe_words(recipe, dataset))}</p>")
        st.html(f"<p class='org-small'><b>{literal(takes)}</b></p>")
        trouble = st.session_state.get(TROUBLE)
        fits = True
    except TillerError as error:
        trouble, fits = str(error), False
    ready = _ready(now)
    st.button(
        "Train", type="primary", icon=":material/play_arrow:", key="organisms.start", disabled=not (ready and fits),
        on_click=_start, help="Runs beside the app and takes turns with other long work. It survives a reload.",
    )  # fmt: skip
    if trouble:
        show_error(trouble)
    show_training()
    with errors():
        show_adopting(now)


def show_model(now: Shown) -> None:
    """Which model; one that was typed and is none is named, and the choice stays."""
    known = list(dict.fromkeys([now.model, *_models()]))
    _choice(
        st.selectbox, "Model", "model", now.model, known, start="index", accept_new_options=True, help=MODEL_HELP,
        convert=functools.partial(_model, now.model),
    )  # fmt: skip
    if trouble := st.session_state.get(MODEL_TROUBLE):
        show_error(trouble)


def _models() -> list[str]:
    """Models that are here or have an organism here, the embedded one first."""
    ready = [spec.id for spec in CATALOG.values() if sources.is_ready(spec)]
    return list(dict.fromkeys([DEFAULT_ID, *ready, *(organism.model for organism in organisms())]))


def _model(before: str, text: str | None) -> str:
    st.session_state[MODEL_TROUBLE] = None
    if text is None or text in {organism.model for organism in organisms()}:
        return text or before
    try:
        return take_typed(text).id
    except TillerError as error:
        st.session_state[MODEL_TROUBLE] = str(error)
        return before


def _numbers(entered: form.Form, n: int) -> None:
    own = RECIPES[entered.recipe]

    def shown(name: str) -> Any:
        value = getattr(entered, name)
        return getattr(own, name) if value is None else value

    least = min(own.batch, n)
    examples = max(least, min(shown("examples") or n, n))
    first, second, third = st.columns(3, gap="small")
    with first:
        _form(st.number_input, "Examples", "examples", examples, least, n, step=10)
        _form(st.number_input, "Epochs", "epochs", shown("epochs"), 1, 1000)
    with second:
        _form(st.number_input, "Rank", "rank", shown("rank"), 1, 1024)
        _form(
            st.number_input, "Learning rate", "learning_rate", shown("learning_rate"), 1e-7, 1.0, step=1e-5,
            format="%.2e",
        )  # fmt: skip
    with third:
        _form(st.number_input, "Seed", "seed", shown("seed"), 0, 2**31 - 1)


def _ready(now: Shown) -> bool:
    """Whether the model is here; else it says so, with the action."""
    try:
        spec = by_id(now.model)
        if sources.is_ready(spec):
            return True
    except TillerError as error:
        show_error(error)
        return False
    missing = f"{spec.title} is not on this machine yet, so nothing can be trained on it: fetch it first."
    st.html(f"<div class='org-note'>{literal(missing)}</div>")
    show_fetch(spec)
    return False


def _start() -> None:
    """Read from the session, not from arguments: a number may have been typed since the page was drawn."""
    now, entered = choice.now(), form.form()
    st.session_state[TROUBLE] = None
    try:
        recipe = form.check(entered, now, load_dataset(now.dataset))
        line = form.arguments(entered, now)
        name = line[line.index("--name") + 1]
        work.begin(line, f"Training {name}: {now.dataset} on {now.model}, {recipe.name}", SLOT)
    except TillerError as error:
        st.session_state[TROUBLE] = str(error)
