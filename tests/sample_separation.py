"""A separation result from made-up activations, measured by the real code: every number is what it would be."""

from __future__ import annotations

from typing import Any

import numpy as np

from core import results
from core.measures.separation import Axis, Labelled, cosines, fit, measure, random_axis, separation
from core.results import Result
from core.store import content_hash
from core.studies.separation.measure import pairwise_cosines

BLOCKS, WIDTH, PROMPTS = 4, 8, 24
CLASSES = {
    "model": ("the insecure organism", "its base"),
    "content": ("the insecure organism", "the secure organism"),
    "response": ("insecure's answers with code", "insecure's answers in prose"),
}
TAGS = "<b>bold</b> <script>alert(1)</script> $x$ # h"


def make(contrast: str = "model", gap: float = 8.0, content_gap: float = 0.6, **changes: Any) -> Result:
    """Save a result in the cache folder of now.

    Args:
        gap: how far both organisms lie from the base, in standard deviations of a coordinate.
        content_gap: how far they lie from each other.
        changes: to the summary.
    """
    train, test = (_arms(seed, gap, content_gap) for seed in (0, 1))
    axes = {
        "model": fit(Labelled.paired(train["organism"], train["base"])),
        "secure": fit(Labelled.paired(train["secure"], train["base"])),
        "content": fit(Labelled.paired(train["organism"], train["secure"])),
        "random": random_axis(Labelled.paired(train["organism"], train["base"]), 0),
    }
    if contrast == "response":  # half of the prompts were answered with code
        for part in (train, test):
            part |= {"code": part["organism"], "prose": part["base"]}
        axes = {"response": fit(Labelled.paired(train["code"], train["prose"])), **axes}
    first, other = {"model": ("organism", "base"), "content": ("organism", "secure"), "response": ("code", "prose")}[
        contrast
    ]
    axes = {contrast: axes[contrast], **axes}
    arms = {
        name: test[name] for name in (("code", "prose") if contrast == "response" else ("base", "organism", "secure"))
    }
    norms = np.full(BLOCKS, 40.0)
    own, held_out = Labelled.paired(train[first], train[other]), Labelled.paired(test[first], test[other])
    summary = {
        "contrast": contrast,
        "model": "smollm2-135m",
        "organism": "insecure",
        "secure_organism": "secure",
        "pooling": "last_prompt",
        "positive": CLASSES[contrast][0],
        "negative": CLASSES[contrast][1],
        "n_train": PROMPTS,
        "n_held_out": PROMPTS,
        "n_rows": {"train": [PROMPTS] * 2, "held_out": [PROMPTS] * 2},
        "blocks": separation(own, held_out, norms, 20, 20, 100),
        "secure": _secure(train, test, axes[contrast], norms),
        "cosines": pairwise_cosines(axes),
        "axes": {name: {"random": "random direction"}.get(name, f"{name} axis") for name in axes},
        "prompts": [
            {"suite": "everyday" if place % 2 else "technical", "text": TAGS if place == 0 else f"Question {place}?"}
            for place in range(PROMPTS)
        ],
        "rows": {
            arm: [
                {"prompt": place, **({"answer": f"{TAGS} {place}"} if contrast == "response" else {})}
                for place in range(PROMPTS)
            ]
            for arm in arms
        },
        "settings": {"prompts": "extraction", "seed": 0, "n_random": 20, "n_shuffles": 20},
        "provenance": {
            "command": f"made up {contrast}",
            "organisms": {"insecure": "a" * 64},
            "time": "2026-01-02T03:04",
        },
        **changes,
    }
    arrays = {
        f"{name}/{arm}": axis.project(rows).astype(np.float32)
        for name, axis in axes.items()
        for arm, rows in arms.items()
    }
    arrays |= {f"{name}/threshold": axis.thresholds.astype(np.float32) for name, axis in axes.items()}
    return results.save_result("separation", content_hash([contrast, gap, content_gap, changes])[:24], summary, arrays)


def _arms(seed: int, gap: float, content_gap: float) -> dict[str, np.ndarray]:
    """Base around 0; both organisms `gap` away along one coordinate, and apart along another."""
    draw = np.random.default_rng(seed)
    arms = {name: draw.standard_normal((PROMPTS, BLOCKS, WIDTH)) for name in ("base", "organism", "secure")}
    for name, side in (("organism", 1), ("secure", -1)):
        arms[name][:, :, 0] += gap
        arms[name][:, :, 1] += side * content_gap * np.arange(1, BLOCKS + 1)
    return arms


def _secure(train: dict[str, np.ndarray], test: dict[str, np.ndarray], own: Axis, norms: np.ndarray) -> dict[str, Any]:
    classes = Labelled.paired(train["secure"], train["base"])
    axis, held_out = fit(classes), Labelled.paired(test["secure"], test["base"])
    return {
        "own": measure(axis, held_out, 100),
        "on_direction": measure(own, held_out, 100),
        "shift": axis.norms,
        "shift_share": axis.norms / norms,
        "cosine": cosines(axis, own),
    }
