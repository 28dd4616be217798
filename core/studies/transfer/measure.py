"""Measuring a transfer study: read, map, generate, judge. One model is in memory at a time. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from core import paths
from core.data import prompts as suites
from core.directions import controls, library
from core.directions.contrasts import hash_of
from core.directions.direction import Direction, save_direction
from core.directions.names import MAPPED_CONTROLS, MappedControl
from core.generation.rows import Sampling
from core.measures.labelled import coherence_quality, detector_quality
from core.measures.spillover import Judged
from core.measures.transfer import Column, Steered, matrix
from core.models.loading import load, release
from core.organisms.adapters import load_adapter
from core.steering.interventions import Intervention
from core.studies.conditions import Condition, Conditions, KeptAnswer
from core.studies.judging import judge, limits_of
from core.studies.study import Found, Work, made_with
from core.studies.transfer.maps import Carried, activations, carry, mapped_direction, own_direction
from core.studies.transfer.settings import Inputs, Member
from core.studies.transfer.words import reading


@dataclass(frozen=True)
class Setting:
    """One thing a receiver answers with: `base`, `organism`, `mapped` or a control, of one donor or of none."""

    kind: str
    donor: str | None = None
    seed: int | None = None


Steering = dict[Setting, Direction]
Answers = Mapping[str, Mapping[Setting, Sequence[KeptAnswer]]]


def measure(inputs: Inputs, work: Work) -> Found:
    """Summary and table of a study; what was read, fitted or generated before comes from the store.

    Mapped directions are saved under `work.root`, by default in the cache.
    """
    report = work.report
    read = {}
    for done, member in enumerate(inputs.members):
        report("reading activations", done, len(inputs.members))
        read[member.id] = activations(inputs, member, work.device)
        release()
    carried: dict[tuple[str, str], Carried] = {}
    pairs = [(donor, receiver) for receiver in inputs.members for donor in inputs.members]
    for done, (donor, receiver) in enumerate(pairs):
        report("fitting maps", done, len(pairs))
        carried[donor.id, receiver.id] = carry(inputs, donor, receiver, read)
    steering = {receiver.id: _steering(inputs, receiver, carried, work.root) for receiver in inputs.members}
    of = sum(len(found) + 2 for found in steering.values()) * len(inputs.prompts)
    answers: dict[str, dict[Setting, list[KeptAnswer]]] = {}
    made = {}
    before = 0
    for receiver in inputs.members:

        def tell(answered: int, _: int, before: int = before) -> None:
            report("answers", before + answered, of)

        answers[receiver.id], made[receiver.id] = _answers(inputs, receiver, steering[receiver.id], work, tell)
        before += (len(steering[receiver.id]) + 2) * len(inputs.prompts)
        release()
    report("intervals and tests", 0, 1)
    references = {
        (setting.donor, receiver): direction.id
        for receiver, found in steering.items()
        for setting, direction in found.items()
        if setting.kind == "mapped" and setting.donor
    }
    return summarise(inputs, answers, carried, references, made)


def summarise(
    inputs: Inputs,
    answers: Answers,
    carried: Mapping[tuple[str, str], Carried],
    references: Mapping[tuple[str, str], str],
    made: Mapping[str, Mapping[str, Any]],
) -> Found:
    """Judge every answer, compare and correct.

    Args:
        answers: by receiver and setting, one a prompt.
        references: the id of the direction that steered each cell.
        made: by receiver, fingerprint, dtype and device.
    """
    frames, judged, limits = [], {}, {}
    for name, found in answers.items():
        limits[name] = limits_of(found[Setting("base")])
        for setting, texts in found.items():
            labels = {"receiver": name, "donor": setting.donor, "direction": setting.kind, "seed": setting.seed}
            frame = judge(inputs.prompts, texts, limits[name], labels)
            frames.append(frame)
            judged[name, setting] = Judged(frame["code"].to_numpy(), frame["broken"].to_numpy())
    columns = {name: Column(judged[name, Setting("base")], judged[name, Setting("organism")]) for name in answers}
    cells = {
        (donor.id, receiver.id): Steered(
            judged[receiver.id, Setting("mapped", donor.id)], _controls(judged, donor.id, receiver.id)
        )
        for donor in inputs.members
        for receiver in inputs.members
    }
    chosen = inputs.settings
    numbers = matrix(columns, cells, chosen.n_resamples, chosen.seed)
    members = {member.id: member for member in inputs.members}
    for row in numbers["cells"]:
        place = row["donor"], row["receiver"]
        receiver = members[row["receiver"]]
        row |= carried[place].quality
        row |= {"reference": references[place], "block": receiver.block, "coefficient": receiver.coefficient}
    tiers = [suite for suite, _ in inputs.prompts]
    summary = {
        "models": [
            {
                **_member(member),
                **numbers["columns"][member.id],
                "limits": {"likelihood": limits[member.id].likelihood, "repetition": limits[member.id].repetition},
                "fingerprint": made[member.id]["fingerprint"],
            }
            for member in inputs.members
        ],
        "cells": numbers["cells"],
        "donor_scores": numbers["donor_scores"],
        "receiver_scores": numbers["receiver_scores"],
        "asymmetry": numbers["asymmetry"],
        "n": len(inputs.prompts),
        "suites": {suite: tiers.count(suite) for suite in dict.fromkeys(tiers)},
        "n_fit_prompts": len(inputs.fit_prompts),
        "identical_training": inputs.alike,
        "detector": detector_quality(),
        "coherence": {
            name: coherence_quality(name, limit.likelihood, limit.repetition) for name, limit in limits.items()
        },
        "settings": {"prompts": suites.shown(chosen.prompts, chosen.per_suite)},
        "provenance": {
            "models": {name: dict(record) for name, record in made.items()},
            "adapters": {member.id: member.organism.sha256 for member in inputs.members},
            "directions": {member.id: member.card.id for member in inputs.members},
            "prompts_hash": hash_of([chat for _, chat in inputs.prompts]),
            "fit_prompts_hash": hash_of(inputs.fit_prompts),
            "decoding": "greedy",
        },
    }
    summary["reading"] = reading(summary)
    return Found(summary, pd.concat(frames, ignore_index=True).astype({"seed": "Int64"}))


def _steering(
    inputs: Inputs, receiver: Member, carried: Mapping[tuple[str, str], Carried], root: Path | None
) -> Steering:
    """What steers a receiver, in the order of computing: each cell, then its controls, then the random draws.

    With `unscaled`, the lengths differ from donor to donor, and so do their random draws.
    """
    chosen, own = inputs.settings, own_direction(receiver)
    seeds = range(chosen.seed, chosen.seed + chosen.draws)
    found: Steering = {}
    for place, donor in enumerate(inputs.members):
        carrying = carried[donor.id, receiver.id]

        def direction(vector: np.ndarray, donor: Member = donor, **made: Any) -> Direction:
            return mapped_direction(vector, donor, receiver, own, chosen.unscaled, **made)

        quality = carrying.quality
        mapped = own
        if donor.id != receiver.id:
            mapped = direction(carrying.mapped, map={name: quality[name] for name in ("r2", "strength", "cosine")})
            _save(mapped, donor, receiver, root)
        found[Setting("mapped", donor.id)] = mapped
        for seed in range(chosen.draws_a_cell):
            # past the random draws' seeds: from one Gaussian both controls would be nearly the same vector
            drawn = seeds.stop + place * chosen.draws_a_cell + seed
            found[Setting("orthogonal", donor.id, seed)] = controls.orthogonal_like(mapped, drawn)
            for kind, vectors in (("random_donor", carrying.random_donor), ("shuffled_map", carrying.shuffled_map)):
                vector = vectors[seed]
                if chosen.unscaled:
                    vector = vector * np.linalg.norm(carrying.mapped) / np.linalg.norm(vector)
                found[Setting(kind, donor.id, seed)] = direction(vector, control=kind, seed=seed)
        if chosen.unscaled:
            found |= {Setting("random", donor.id, seed): controls.random_like(mapped, seed) for seed in seeds}
    if not chosen.unscaled:
        found |= {Setting("random", None, seed): controls.random_like(own, seed) for seed in seeds}
    return found


def _save(direction: Direction, donor: Member, receiver: Member, root: Path | None) -> None:
    """Keep a mapped direction where Steer finds it."""
    stem = f"mapped-from-{donor.id}" + ("" if root else f"-{direction.id[:8]}")
    save_direction(direction, library.folder_for(receiver.id, root) / f"{paths.safe_name(stem)}.safetensors")


def _answers(
    inputs: Inputs,
    receiver: Member,
    steering: Steering,
    work: Work,
    tell: Callable[[int, int], None],
) -> tuple[dict[Setting, list[KeptAnswer]], dict[str, Any]]:
    """The receiver's answers to every setting, and what they were made with."""
    loaded = load(receiver.spec, work.device)
    organism = load_adapter(loaded, receiver.organism.folder, receiver.organism.name)
    directions = {direction.id: direction for direction in steering.values()}
    sampling = Sampling(inputs.settings.max_tokens)
    conditions = Conditions(loaded, [chat for _, chat in inputs.prompts], sampling, directions, work.rows_a_batch)
    wanted = {Setting("base"): Condition(None, ()), Setting("organism"): Condition(organism, ())}
    for setting, direction in steering.items():
        acting = Intervention("add", direction.id, (receiver.block,), receiver.coefficient, inputs.settings.scope)
        wanted[setting] = Condition(organism, (acting,))
    return conditions.all_answers(wanted, tell), made_with(loaded)


def _controls(
    judged: Mapping[tuple[str, Setting], Judged], donor: str, receiver: str
) -> dict[MappedControl, dict[int, Judged]]:
    """A cell's controls by kind and seed; random draws may serve the whole column."""
    found: dict[MappedControl, dict[int, Judged]] = {kind: {} for kind in MAPPED_CONTROLS}
    for (name, setting), answered in judged.items():
        if name == receiver and setting.donor in (donor, None) and setting.seed is not None:
            found[cast(MappedControl, setting.kind)][setting.seed] = answered
    return found


def _member(member: Member) -> dict[str, Any]:
    recipe = member.organism.manifest.get("recipe", {})
    return {
        "model": member.id,
        "title": member.spec.title,
        "family": member.spec.family,
        "note": member.spec.note,
        "organism_name": member.organism.name,
        "recipe": recipe.get("name"),
        "dataset": member.organism.manifest.get("dataset", {}).get("name"),
        "direction": member.card.id,
        "direction_name": member.card.name,
        "block": member.block,
        "blocks": member.card.blocks,
        "coefficient": member.coefficient,
        "norm_share": abs(member.card.to_norm_unit(member.coefficient, member.block)),
    }
