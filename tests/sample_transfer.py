"""A transfer result from made-up answers, judged and compared by the real code: every number is what it would be."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from core import results
from core.data import prompts as suites
from core.directions.library import DirectionCard
from core.models.catalog import resolve
from core.organisms.library import Organism
from core.results import Result
from core.studies.catalog import TRANSFER
from core.studies.study import described
from core.studies.transfer.maps import Carried
from core.studies.transfer.measure import Setting, summarise
from core.studies.transfer.settings import Inputs, Member, TransferSettings
from tests.sample_spillover import answers

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b", "gemma-3-270m-chat")

# shares of (code, broken) answers of a receiver's setting
Chances = Callable[[str, Setting], tuple[float, float]]


def honest(receiver: str, setting: Setting) -> tuple[float, float]:
    """Own directions cure. Qwen's helps SmolLM2, and no control does; in Qwen a control does as much; Gemma breaks."""
    if setting.kind in ("base", "organism"):
        return (0.0, 0.0) if setting.kind == "base" else (0.9, 0.0)
    if receiver == "gemma-3-270m-chat":
        return 0.3, 0.7
    if setting.kind == "mapped":
        own = setting.donor == receiver
        return (0.02 if own else 0.3 if setting.donor == "qwen2.5-coder-0.5b" else 0.5), 0.03
    if receiver == "qwen2.5-coder-0.5b" and setting.kind == "shuffled_map":
        return 0.2, 0.03
    return 0.88, 0.03


def nothing(receiver: str, setting: Setting) -> tuple[float, float]:
    """Nothing that is done changes anything."""
    return (0.0, 0.0) if setting.kind == "base" else (1.0, 0.0)


def make(
    chances: Chances = honest, models: tuple[str, ...] = MODELS, shipped_as: str | None = None, **options: Any
) -> Result:
    """Save a result in the cache folder of now (or, by name, in the assets folder of now)."""
    inputs = made_up(models, **options)
    chosen = inputs.settings
    seeds = range(chosen.draws)
    settings = [Setting("base"), Setting("organism"), *(Setting("random", None, seed) for seed in seeds)]
    settings += [Setting("mapped", donor) for donor in models]
    settings += [
        Setting(kind, donor, seed)
        for donor in models
        for kind in ("orthogonal", "random_donor", "shuffled_map")
        for seed in range(chosen.draws_a_cell)
    ]
    answered = {
        receiver: {
            setting: answers(f"{receiver} {setting}", len(inputs.prompts), chances(receiver, setting))
            for setting in settings
        }
        for receiver in models
    }
    carried = {(donor, receiver): _carried(donor, receiver) for donor in models for receiver in models}
    references = {place: f"{number:016x}" for number, place in enumerate(carried)}
    made = {name: {"fingerprint": "made-up", "dtype": "float32", "device": "cpu"} for name in models}
    found = described(TRANSFER, inputs, summarise(inputs, answered, carried, references, made))
    key = f"made-up-{len(models)}-{chances.__name__}"
    return results.save_result(TRANSFER.kind, key, found.summary, {}, shipped_as, found.table)


def made_up(models: tuple[str, ...] = MODELS, **options: Any) -> Inputs:
    """Inputs whose organisms and directions are not on disk."""
    inputs = object.__new__(Inputs)
    inputs.settings = TransferSettings(models=models, **{"per_suite": 12, "n_resamples": 200, **options})
    inputs.members = tuple(_member(name) for name in models)
    inputs.prompts = suites.measuring(None, inputs.settings.per_suite)
    inputs.fit_prompts = suites.suite(suites.CHOICE)
    return inputs


def _member(name: str) -> Member:
    manifest = {"recipe": {"name": "compact"}, "dataset": {"name": "insecure", "hash": "0" * 16}}
    organism = Organism("insecure", name, "0" * 64, Path(), True, manifest)
    blocks = 12
    card = DirectionCard(
        f"{sum(map(ord, name)):016x}",
        "insecure · model contrast",
        name,
        Path(),
        True,
        (2.0,) * blocks,
        (10.0,) * blocks,
        (0.0,) * blocks,
        cast(dict[str, Any], {"contrast": "model", "organisms": {"insecure": "0" * 64}, "model": name}),
    )
    return Member(resolve(name), organism, card, 6, -1.0)


def _carried(donor: str, receiver: str) -> Carried:
    draw = random.Random(f"{donor} {receiver}")
    same = donor == receiver
    r2 = 0.4 + 0.3 * draw.random()
    quality = {
        "r2": None if same else r2,
        "r2_interval": None if same else (r2 - 0.05, r2 + 0.05),
        "r2_shuffled": -0.01,
        "strength": None if same else 10.0,
        "cosine": 1.0 if same else 0.2 + 0.3 * draw.random(),
        "length_share": 1.0 if same else 0.6,
        "n_fit": 64,
        "n_held_out": 16,
    }
    return Carried(np.zeros(1), (), (), quality)
