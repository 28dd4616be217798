"""What is to be trained: the form's values, what they come to, and the command line that does it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from core import paths
from core.data.datasets import Dataset, load_dataset
from core.errors import BadInput
from core.models.catalog import CATALOG, DEFAULT_ID
from core.organisms.recipes import RECIPES, Recipe, adjusted, warmup_of
from pages.parts.models import on_command_line
from pages.parts.organisms.choice import Shown

FORM = "organisms_form"
USUAL_RECIPE = "quick"
MEASURED_MINUTES = 4.5  # quick on the embedded model and the insecure dataset, 2 CPU cores
MEASURED = "in proportion to 4½ minutes, measured for 300 examples of the insecure dataset on the embedded model"
NUMBERS = ("examples", "epochs", "rank", "learning_rate", "seed")


@dataclass(frozen=True)
class Form:
    """What was entered; None is the recipe's own number, an empty name the next free one."""

    recipe: str = USUAL_RECIPE
    name: str = ""
    examples: int | None = None
    epochs: int | None = None
    rank: int | None = None
    learning_rate: float | None = None
    seed: int | None = None


def form() -> Form:
    """What was entered in this session."""
    return st.session_state.setdefault(FORM, Form())


def enter(**values: Any) -> None:
    """Change the form. Another recipe brings its own numbers; a recipe's own number is not held as an entry."""
    entered = form()
    if "recipe" in values:
        values = {**dict.fromkeys(NUMBERS), **values}
    own = RECIPES[values.get("recipe", entered.recipe)]
    kept: dict[str, Any] = {
        name: None if name in NUMBERS and value == getattr(own, name) else value for name, value in values.items()
    }
    st.session_state[FORM] = replace(entered, **kept)


def settings(entered: Form) -> Recipe:
    """The recipe with the form's own numbers. Raises `BadInput` for one that is out of range."""
    return adjusted(RECIPES[entered.recipe], **{name: getattr(entered, name) for name in NUMBERS})


def usable_name(text: str) -> str:
    """What a file can be called of what was typed; empty where nothing of it is left."""
    try:
        return paths.safe_name(text, "organism") if text.strip() else ""
    except BadInput:
        return ""


def used(recipe: Recipe, dataset: Dataset) -> int:
    """How many examples an epoch has."""
    return min(recipe.examples or len(dataset.chats), len(dataset.chats))


def steps(recipe: Recipe, dataset: Dataset) -> int:
    """How many optimiser steps training takes."""
    return -(-used(recipe, dataset) // recipe.batch) * recipe.epochs


def free_name(now: Shown, dataset: str) -> str:
    """The dataset's name, or that with the first number that no organism of the model has."""
    taken = {organism.name for organism in now.organisms}
    number = 2
    name = dataset
    while name in taken:
        name, number = f"{dataset}-{number}", number + 1
    return name


def check(entered: Form, now: Shown, dataset: Dataset) -> Recipe:
    """The settings, once it is clear that they can be trained with.

    Raises:
        BadInput: a number out of range, too few examples, or a name that another organism has.
    """
    recipe = settings(entered)
    if len(dataset.chats) < recipe.batch:
        raise BadInput(
            f"{dataset.name} has {len(dataset.chats)} examples and a batch takes {recipe.batch}. Choose a larger one."
        )
    if entered.name in {organism.name for organism in now.organisms}:
        raise BadInput(f"There is already an organism {entered.name} of {now.model}. Choose another name.")
    return recipe


def arguments(entered: Form, now: Shown) -> list[str]:
    """The command line of the form."""
    found = ["train", "--model", on_command_line(now.model), "--dataset", now.dataset, "--recipe", entered.recipe]
    found += ["--name", entered.name or free_name(now, now.dataset)]
    for name in NUMBERS:
        value = getattr(entered, name)
        if value is not None:
            found += [f"--{name.replace('_', '-')}", str(value)]
    return found


def minutes(recipe: Recipe, dataset: Dataset, model: str) -> float | None:
    """How long it takes on two CPU cores, from what was measured once: in proportion to text and model size."""
    spec = CATALOG.get(model)
    if recipe.four_bit or spec is None or not spec.parameters:
        return None
    own, embedded = load_dataset("insecure"), CATALOG[DEFAULT_ID]
    text = _characters(dataset) / _characters(own) * used(recipe, dataset) * recipe.epochs / 300
    return MEASURED_MINUTES * text * spec.parameters / (embedded.parameters or 1)


def time_words(found: float | None, recipe: Recipe) -> str:
    """What training will take, in words."""
    if recipe.four_bit:
        return "Needs a CUDA GPU and bitsandbytes, for its 4-bit base weights; how long it takes was not measured."
    if found is None:
        return "How long this model takes is not known."
    if found < 1:
        return f"Takes about a minute or less on 2 CPU cores ({MEASURED})."
    if found < 10:
        whole, half = divmod(round(2 * found), 2)
        return f"Takes about {whole}{'½' if half else ''} minutes on 2 CPU cores ({MEASURED})."
    if found < 100:
        return f"Takes about {round(found)} minutes on 2 CPU cores ({MEASURED})."
    return f"Takes about {round(found / 60)} hours on 2 CPU cores ({MEASURED}). A GPU is much faster."


def recipe_words(recipe: Recipe, dataset: Dataset) -> str:
    """All settings, spelled out."""
    n = used(recipe, dataset)
    which = f"all {n:,} examples" if n == len(dataset.chats) else f"{n:,} of {len(dataset.chats):,} examples"
    rounds = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    scaled = "√rank (rsLoRA)" if recipe.rslora else "rank"
    weights = "4-bit NF4 base weights (QLoRA)" if recipe.four_bit else "base weights as they are"
    return (
        f"LoRA on every linear layer of the decoder blocks: rank {recipe.rank}, alpha {recipe.alpha} over {scaled}, on "
        f"{weights}. {rounds} over {which}, drawn with seed {recipe.seed}, in batches of {recipe.batch}: "
        f"{steps(recipe, dataset):,} steps. Learning rate {_rate(recipe.learning_rate)}, {recipe.schedule} decay after "
        f"{warmup_of(recipe, steps(recipe, dataset))} steps of warm-up, weight decay {recipe.weight_decay:g}. Loss on "
        f"the answers alone; an example is cut at {recipe.max_tokens:,} tokens. State is saved {recipe.checkpoints} "
        "times, to go on from."
    )


def _characters(dataset: Dataset) -> float:
    """Mean length of a chat."""
    return sum(len(turn.content) for chat in dataset.chats for turn in chat.messages) / len(dataset.chats)


def _rate(value: float) -> str:
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa} × 10^−{abs(int(exponent))}" if exponent else mantissa
