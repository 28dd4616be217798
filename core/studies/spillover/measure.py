"""Measuring a spillover study: generate its answers, judge them, compare and correct. Needs torch and the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from core.data import prompts as suites
from core.directions import library
from core.directions.contrasts import hash_of
from core.generation.rows import Sampling
from core.measures.labelled import coherence_quality, detector_quality
from core.measures.spillover import Judged, against_draws, change, correct, rates, verdict
from core.models.loading import LoadedModel
from core.steering.interventions import Intervention
from core.studies.conditions import Condition, Conditions, KeptAnswer
from core.studies.judging import judge, limits_of
from core.studies.spillover.settings import CONTROLS_AT_DOSE, Inputs
from core.studies.spillover.words import said
from core.studies.study import Found, Work, made_with

WHOLE = {"block": "Int64", "last_block": "Int64", "seed": "Int64"}  # whole numbers, or none


@dataclass(frozen=True)
class Setting:
    """One thing to measure. `direction` is `base` or `organism` (nothing steered), `true`, or a control's name."""

    direction: str
    reference: str = ""
    blocks: tuple[int, ...] = ()
    coefficient: float = 0.0
    seed: int | None = None

    def intervention(self, inputs: Inputs) -> tuple[Intervention, ...]:
        if not self.reference:
            return ()
        chosen = inputs.settings
        return (Intervention(chosen.mode, self.reference, self.blocks, self.coefficient, chosen.scope),)


def settings_of(inputs: Inputs) -> dict[str, list[Setting]]:
    """What the study measures, in the order of computing: `arms`, `doses`, `draws`."""
    chosen, card = inputs.settings, inputs.card
    sites = [inputs.blocks] if chosen.together else [(block,) for block in inputs.blocks]

    def reference(control: str | None, seed: int = 0) -> str:
        return library.control_reference(card, control, seed)

    doses = [
        Setting(control or "true", reference(control, chosen.seed), site, coefficient, chosen.seed if control else None)
        for control in (None, *inputs.controls)
        for site in sites
        for coefficient in inputs.coefficients
    ]
    doses += [
        Setting(control, reference(control, chosen.seed), sites[0], inputs.dose, chosen.seed)
        for control in CONTROLS_AT_DOSE[chosen.mode]
        if control not in inputs.controls
    ]
    draws = [
        Setting("random", reference("random", seed), sites[0], inputs.dose, seed)
        for seed in range(chosen.seed, chosen.seed + chosen.draws)
    ]
    return {"arms": [Setting("base"), Setting("organism")], "doses": doses, "draws": draws}


def chosen_setting(inputs: Inputs) -> Setting:
    """The direction itself at the chosen dose and first site."""
    blocks = inputs.blocks if inputs.settings.together else inputs.blocks[:1]
    return Setting("true", library.control_reference(inputs.card, None), blocks, inputs.dose)


def measure(inputs: Inputs, work: Work) -> Found:
    """Summary and table of a study; answers that were generated before are read from the cache."""
    work.report("loading the model", 0, 1)
    loaded = work.given.load(inputs.spec, work.device)
    answers = _answers(inputs, loaded, work)
    work.report("intervals and tests", 0, 1)
    return summarise(inputs, answers, made_with(loaded))


def summarise(inputs: Inputs, answers: Mapping[Setting, Sequence[KeptAnswer]], made: Mapping[str, Any]) -> Found:
    """Judge the answers of every setting of `settings_of`, compare and correct.

    Args:
        answers: one a prompt for each setting.
        made: provenance of the answers: fingerprint, dtype, device.
    """
    chosen = inputs.settings
    plan = settings_of(inputs)
    base, unsteered = plan["arms"]
    limits = limits_of(answers[base])
    frames = {
        setting: judge(inputs.prompts, found, limits, _labels(inputs, setting)).astype(WHOLE)
        for setting, found in answers.items()
    }
    judged = {
        setting: Judged(frame["code"].to_numpy(), frame["broken"].to_numpy()) for setting, frame in frames.items()
    }
    tier_of = np.array([suite for suite, _ in inputs.prompts])
    tiers = {str(suite): np.flatnonzero(tier_of == suite) for suite in dict.fromkeys(tier_of)}

    def row(setting: Setting) -> dict[str, Any]:
        found = judged[setting]
        numbers = {**_named(inputs, setting), **rates(found)}
        numbers["suites"] = {suite: rates(found.take(rows)) for suite, rows in tiers.items()}
        if setting.reference:
            numbers |= change(judged[unsteered], found, chosen.n_resamples, chosen.seed)
            for suite, rows in tiers.items():
                before = judged[unsteered].take(rows)
                numbers["suites"][suite] |= change(before, found.take(rows), chosen.n_resamples, chosen.seed)
        return numbers

    arms, doses, draws = ([row(setting) for setting in plan[part]] for part in ("arms", "doses", "draws"))
    correct([*doses, *draws])
    at_dose = doses[plan["doses"].index(chosen_setting(inputs))]
    among = against_draws(at_dose, draws)
    for item in doses:
        item["chosen"] = all(item[name] == at_dose[name] for name in ("block", "last_block", "coefficient"))
    summary = {
        "model": inputs.spec.id,
        "organism": inputs.organism.name,
        "direction": inputs.card.id,
        "direction_name": inputs.card.name,
        "mode": chosen.mode,
        "dose": {name: at_dose[name] for name in ("block", "last_block", "coefficient", "norm_share")},
        "n": len(inputs.prompts),
        "suites": {suite: len(rows) for suite, rows in tiers.items()},
        "arms": arms,
        "doses": doses,
        "random_draws": draws,
        "among_draws": among,
        "verdict_code": verdict(at_dose, among),
        "limits": {"likelihood": limits.likelihood, "repetition": limits.repetition},
        "detector": detector_quality(),
        "coherence": coherence_quality(inputs.spec.id, limits.likelihood, limits.repetition),
        "settings": {"prompts": suites.shown(chosen.prompts, chosen.per_suite)},
        "provenance": {
            **made,
            "adapter": inputs.organism.sha256,
            "direction": inputs.card.provenance,
            "prompts_hash": hash_of([chat for _, chat in inputs.prompts]),
            "decoding": "greedy" if not chosen.temperature else f"temperature {chosen.temperature:g}",
        },
    }
    summary["verdict"] = said(summary)
    return Found(summary, pd.concat(frames.values(), ignore_index=True))


def _answers(inputs: Inputs, loaded: LoadedModel, work: Work) -> dict[Setting, list[KeptAnswer]]:
    """The answers of every setting; one that is named twice is answered once."""
    chosen, settings = inputs.settings, [setting for part in settings_of(inputs).values() for setting in part]
    organism = work.given.adapter(loaded, inputs.organism)
    directions = library.resolve(setting.reference for setting in settings if setting.reference)
    sampling = Sampling(chosen.max_tokens, chosen.temperature, seed=chosen.seed)
    conditions = Conditions(loaded, [chat for _, chat in inputs.prompts], sampling, directions, work.rows_a_batch)
    wanted = {
        setting: Condition(None if setting.direction == "base" else organism, setting.intervention(inputs))
        for setting in settings
    }
    return conditions.all_answers(wanted, partial(work.report, "answers"))


def _named(inputs: Inputs, setting: Setting) -> dict[str, Any]:
    """How a row of the result says what it is."""
    block = setting.blocks[0] if setting.blocks else None
    steered = bool(setting.reference)
    return {
        "direction": setting.direction,
        "reference": setting.reference or None,
        "block": block,
        "last_block": setting.blocks[-1] if steered and len(setting.blocks) > 1 else None,
        "coefficient": setting.coefficient,
        "norm_share": abs(inputs.card.to_norm_unit(setting.coefficient, block))
        if block is not None and inputs.settings.mode == "add"
        else None,
        "seed": setting.seed,
    }


def _labels(inputs: Inputs, setting: Setting) -> dict[str, Any]:
    named = _named(inputs, setting)
    return {name: named[name] for name in ("direction", "block", "last_block", "coefficient", "seed")}
