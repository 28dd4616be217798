"""Donor × receiver matrices of a transfer study: what each cell did beside its controls, who gives and who receives.

A cell is one receiver's organism steered by one donor's direction (arXiv 2606.20225). All cells answer the same
prompts, so one bootstrap over prompts serves them all, and scores of rows and columns keep what the cells share. All
differences are of shares between 0 and 1; a negative one is suppression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from core.directions.names import MappedControl
from core.measures.spillover import Judged, against_draws, change, coherent_rate, correct, rates, verdict
from core.statistics import Interval, percentile_interval, resample_weights

DRAW = ("seed", "delta", "delta_coherent", "delta_clean", "broken", "p_corrected")
SCORES = ("delta", "delta_coherent", "minus_control")


@dataclass(frozen=True, eq=False)
class Column:
    """What one receiver answered unsteered: the bare model, and its organism."""

    base: Judged
    unsteered: Judged


@dataclass(frozen=True, eq=False)
class Steered:
    """What a receiver answered with one donor's direction, and with each kind of control by seed.

    A draw that serves several cells is the same object in each, and one comparison.
    """

    mapped: Judged
    controls: Mapping[MappedControl, Mapping[int, Judged]]


@dataclass(frozen=True, eq=False)
class _Resampled:
    """A cell's differences, as measured and in each resample `[resamples]`, by the names in `SCORES`.

    `interval` is of the change of spillover, and has a width also where no resample differs.
    """

    value: dict[str, float]
    draws: dict[str, np.ndarray]
    interval: Interval


def matrix(
    columns: Mapping[str, Column], cells: Mapping[tuple[str, str], Steered], n_resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Every number of the matrix.

    Args:
        columns: by receiver.
        cells: by (donor, receiver); the diagonal is a receiver's own direction. All share one list of prompts.

    Returns:
        `columns`: by receiver, `base` and `organism` (`rates`).
        `cells`: a row each with `donor`, `receiver`, `rates`, `change` and corrected p; `controls`, by kind, the mean,
        lowest and highest difference and each draw; `minus_control`, the difference beyond the mean of the kinds of
        control, with its interval; `among_draws`; `verdict`.
        `donor_scores`, `receiver_scores`: by model, the mean over its row or column without the diagonal, for each of
        `SCORES`, with its interval (None where there is no other model).
        `asymmetry`: M[a, b] − M[b, a] for each pair, with its interval.
        Corrections are over everything that was compared with an unsteered organism.
    """
    weights = resample_weights(len(next(iter(columns.values())).unsteered.code), n_resamples, seed)
    rows, resampled = [], {}
    draws: dict[int, dict[str, Any]] = {}
    for (donor, receiver), steered in cells.items():
        before = columns[receiver].unsteered
        controls = {}
        for kind, judged in steered.controls.items():
            for draw, found in judged.items():
                if id(found) not in draws:
                    draws[id(found)] = {"seed": draw, **rates(found), **change(before, found, n_resamples, seed)}
            controls[kind] = [draws[id(found)] for found in judged.values()]
        cell = _resample(
            before, steered.mapped, [list(judged.values()) for judged in steered.controls.values()], weights
        )
        resampled[donor, receiver] = cell
        rows.append(
            {
                "donor": donor,
                "receiver": receiver,
                **_row(before, steered.mapped, n_resamples, seed),
                "minus_control": cell.value["minus_control"],
                "minus_control_interval": percentile_interval(cell.draws["minus_control"]),
                "controls": controls,
            }
        )
    correct([*rows, *draws.values()])
    for row in rows:
        every = [draw for kind in row["controls"].values() for draw in kind]
        row["among_draws"] = against_draws(row, every)
        row["verdict"] = verdict(row, row["among_draws"])
        row["controls"] = {kind: _summary(found) for kind, found in row["controls"].items() if found}
    models = list(columns)
    others = {name: [other for other in models if other != name] for name in models}
    return {
        "columns": {
            name: {"base": rates(column.base), "organism": rates(column.unsteered)} for name, column in columns.items()
        },
        "cells": rows,
        "donor_scores": {name: _score(resampled, [(name, other) for other in others[name]]) for name in models},
        "receiver_scores": {name: _score(resampled, [(other, name) for other in others[name]]) for name in models},
        "asymmetry": [_asymmetry(resampled, a, b) for a, b in combinations(models, 2)],
    }


def ranking(scores: Mapping[str, Mapping[str, Any]], by: str = "delta") -> list[str]:
    """Models by their score, the strongest suppression first; those without a score last."""
    return sorted(scores, key=lambda name: (scores[name][by] is None, scores[name][by] or 0.0, name))


def _summary(draws: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean, lowest and highest of a kind of control, and its draws."""
    deltas = [draw["delta"] for draw in draws]
    coherent = [draw["delta_coherent"] for draw in draws if np.isfinite(draw["delta_coherent"])]
    return {
        "n": len(draws),
        "delta": float(np.mean(deltas)),
        "lowest": min(deltas),
        "highest": max(deltas),
        "delta_coherent": float(np.mean(coherent)) if coherent else None,
        "broken": float(np.mean([draw["broken"] for draw in draws])),
        "draws": [{name: draw[name] for name in DRAW} for draw in draws],
    }


def _resample(before: Judged, after: Judged, controls: Sequence[Sequence[Judged]], weights: np.ndarray) -> _Resampled:
    """Each kind of control weighs the same, however many draws it has."""
    measured = np.vstack([np.ones(weights.shape[1]), weights])
    totals = measured.sum(1)
    delta = measured @ (after.code.astype(float) - before.code) / totals
    coherent = coherent_rate(after, measured) - coherent_rate(before, measured)
    kinds = [np.mean([draw.code for draw in kind], axis=0) for kind in controls if kind]
    beyond = np.full(len(measured), np.nan)
    if kinds:
        beyond = measured @ (after.code - np.mean(kinds, axis=0)) / totals
    every = {"delta": delta, "delta_coherent": coherent, "minus_control": beyond}
    return _Resampled(
        {name: float(values[0]) for name, values in every.items()},
        {name: values[1:] for name, values in every.items()},
        change(before, after, len(weights))["delta_interval"],
    )


def _row(before: Judged, after: Judged, n_resamples: int, seed: int) -> dict[str, Any]:
    """Rates and change of a cell; `interval` is that of the change, `spillover_interval` that of the rate."""
    found = rates(after)
    moved = change(before, after, n_resamples, seed)
    return {**found, **moved, "spillover_interval": found["interval"], "interval": moved["delta_interval"]}


def _score(resampled: Mapping[tuple[str, str], _Resampled], places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Mean over cells, prompts resampled together; where no resample differs, the mean of the cells' own intervals."""
    there = [resampled[place] for place in places if place in resampled]
    score: dict[str, Any] = {"n": len(there)}
    for name in SCORES:
        value, interval = _mean([cell.value[name] for cell in there], [cell.draws[name] for cell in there])
        if interval is not None and interval[0] == interval[1]:
            interval = tuple(np.mean([cell.interval for cell in there], axis=0).tolist())
        score |= {name: value, f"{name}_interval": interval}
    return score


def _mean(values: Sequence[float], draws: Sequence[np.ndarray]) -> tuple[float | None, Interval | None]:
    if not values or not np.isfinite(values).all():
        return None, None
    return float(np.mean(values)), percentile_interval(np.mean(draws, axis=0))


def _asymmetry(resampled: Mapping[tuple[str, str], _Resampled], a: str, b: str) -> dict[str, Any]:
    """How much more the direction of `a` does in `b` than the other way round; negative: `a` gives more."""
    there, back = resampled.get((a, b)), resampled.get((b, a))
    if there is None or back is None:
        return {"a": a, "b": b, "difference": None, "interval": None}
    low, high = percentile_interval(there.draws["delta"] - back.draws["delta"])
    if low == high:  # no resample differs
        low, high = there.interval[0] - back.interval[1], there.interval[1] - back.interval[0]
    return {"a": a, "b": b, "difference": there.value["delta"] - back.value["delta"], "interval": (low, high)}
