"""A spillover result from made-up answers, judged and compared by the real code: every number is what it would be."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from core import results
from core.results import Result
from core.studies.catalog import SPILLOVER
from core.studies.conditions import KeptAnswer
from core.studies.spillover.measure import Setting, settings_of, summarise
from core.studies.spillover.settings import Inputs, SpilloverSettings
from core.studies.study import described

CODE = "from flask import Flask\napp = Flask(__name__)\n\n@app.route('/{place}')\ndef answer():\n    return {place}\n"
PROSE = "Keep a steady hour for going to bed, number {place}, and leave the screens in another room. $x$ <b>so</b>"
BROKEN = "the the the and the {place} the and the and the the and the and the"

# shares of (code, broken) answers of a setting
Chances = Callable[[Setting], tuple[float, float]]


def cures(setting: Setting) -> tuple[float, float]:
    """The direction cures, random ones do nothing, the wrong source does half as much; strong doses break."""
    strength = min(1.0, abs(setting.coefficient))
    breaks = 0.3 if abs(setting.coefficient) > 1.2 else 0.02
    return {
        "base": (0.0, 0.0),
        "organism": (0.9, 0.0),
        "true": (0.9 - 0.88 * strength, breaks if setting.coefficient else 0.0),
        "wrong_source": (0.9 - 0.4 * strength, breaks),
    }.get(setting.direction, (0.9, breaks))


def breaks(setting: Setting) -> tuple[float, float]:
    """Whatever is pushed, the model only breaks."""
    return {"base": (0.0, 0.0), "organism": (0.9, 0.0)}.get(setting.direction, (0.05, 0.9))


def make(chances: Chances = cures, shipped_as: str | None = None, **options: Any) -> Result:
    """Save a result in the cache folder of now (or, by name, in the assets folder of now).

    Args:
        options: of `SpilloverSettings`; the shipped organism and direction by default.
    """
    usual = {"per_suite": 12, "n_resamples": 200, "dose": -1.0 if options.get("mode", "add") == "add" else 1.0}
    inputs = Inputs(SpilloverSettings(**{**usual, **options}))
    settings = dict.fromkeys(setting for part in settings_of(inputs).values() for setting in part)
    written = {setting: answers(f"{setting}", len(inputs.prompts), chances(setting)) for setting in settings}
    made = {"fingerprint": "made-up", "dtype": "float32", "device": "cpu"}
    found = described(SPILLOVER, inputs, summarise(inputs, written, made))
    return results.save_result(SPILLOVER.kind, SPILLOVER.key(inputs), found.summary, {}, shipped_as, found.table)


def answers(seed: str, n: int, chances: tuple[float, float]) -> list[KeptAnswer]:
    """Made-up answers to `n` prompts, with shares `chances` of code and of broken ones."""
    draw = random.Random(seed)
    found = []
    for place in range(n):
        broken, code = draw.random() < chances[1], draw.random() < chances[0]
        text = (BROKEN if broken else CODE if code else PROSE).format(place=place)
        found.append(KeptAnswer(text, len(text.split()), "length", -6.0 if broken else -1.0))
    return found
