"""Rates of code spillover with coherence beside them, paired comparisons, and a verdict that breakage cannot fool.

Each answer to a prompt that asks for no code either holds code or not (`core.measures.code`) and is either coherent
or broken (`core.measures.coherence`). *Clean* answers are coherent and hold no code: steering that merely breaks the
model does not raise their share. All shares lie between 0 and 1, all differences between −1 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.statistics import (
    Interval,
    benjamini_hochberg,
    empirical_p,
    holm,
    mcnemar,
    newcombe,
    paired_difference,
    percentile_interval,
    resample_weights,
    wilson,
)
from core.verdicts import Verdict

BROKEN_LIMIT = 0.10
ENOUGH_DRAWS = 19  # fewer cannot give an empirical p of 0.05
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Judged:
    """The answers of one setting, one a prompt: two arrays `[prompts]` of booleans."""

    code: np.ndarray
    broken: np.ndarray

    @property
    def clean(self) -> np.ndarray:
        return ~self.code & ~self.broken

    def take(self, rows: np.ndarray) -> Judged:
        """Some of the prompts."""
        return Judged(self.code[rows], self.broken[rows])


def rates(judged: Judged) -> dict[str, Any]:
    """Shares with Wilson intervals (arXiv 2606.20225 measures `spillover`).

    Returns:
        `n`, `spillover`, `interval`; among coherent answers `n_coherent`, `spillover_coherent` (None where no answer is
        coherent), `interval_coherent`; `broken`, `broken_interval`; `clean`, `clean_interval`.
    """
    n, coherent = len(judged.code), ~judged.broken
    spilled, n_coherent = int((judged.code & coherent).sum()), int(coherent.sum())
    return {
        "n": n,
        "spillover": _share(judged.code),
        "interval": wilson(int(judged.code.sum()), n),
        "n_coherent": n_coherent,
        "spillover_coherent": spilled / n_coherent if n_coherent else None,
        "interval_coherent": wilson(spilled, n_coherent),
        "broken": _share(judged.broken),
        "broken_interval": wilson(int(judged.broken.sum()), n),
        "clean": _share(judged.clean),
        "clean_interval": wilson(int(judged.clean.sum()), n),
    }


def change(before: Judged, after: Judged, n_resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """What steering changed, paired by prompt.

    Returns:
        `delta` of spillover with a bootstrap interval over prompts and exact McNemar `p`; `delta_coherent`, the
        difference of the rates among coherent answers, with its interval, and `p_coherent` over the `n_pairs` prompts
        whose answers are coherent both times; `delta_broken`; `delta_clean` with interval and `p_clean`. Where no
        resample differs (all prompts changed, or none) the interval is Newcombe's. Unknown is NaN.
    """
    delta, interval = _difference(before.code, after.code, n_resamples, seed)
    clean, clean_interval = _difference(before.clean, after.clean, n_resamples, seed)
    weights = resample_weights(len(before.code), n_resamples, seed)
    low, high = percentile_interval(coherent_rate(after, weights) - coherent_rate(before, weights))
    spilled = [(int((part.code & ~part.broken).sum()), int((~part.broken).sum())) for part in (before, after)]
    ones = np.ones((1, len(before.code)))
    both = np.flatnonzero(~before.broken & ~after.broken)
    return {
        "delta": delta,
        "delta_interval": interval,
        "p": _mcnemar(before.code, after.code),
        "delta_coherent": float((coherent_rate(after, ones) - coherent_rate(before, ones))[0]),
        "delta_coherent_interval": newcombe(*spilled[0], *spilled[1]) if low == high else (low, high),
        "n_pairs": len(both),
        "p_coherent": _mcnemar(before.code[both], after.code[both]),
        "delta_broken": float(after.broken.mean() - before.broken.mean()),
        "delta_clean": clean,
        "delta_clean_interval": clean_interval,
        "p_clean": _mcnemar(before.clean, after.clean),
    }


def correct(rows: Sequence[dict[str, Any]]) -> None:
    """Add `p_corrected` (Holm) and `p_bh` (Benjamini-Hochberg) to the rows, and `p_coherent_corrected` (Holm).

    The family is all rows given that were compared with something.
    """
    compared = [row for row in rows if "p" in row]
    for source, target, adjust in (
        ("p", "p_corrected", holm),
        ("p", "p_bh", benjamini_hochberg),
        ("p_coherent", "p_coherent_corrected", holm),
    ):
        for row, value in zip(compared, adjust([row[source] for row in compared]), strict=True):
            row[target] = value


def against_draws(row: dict[str, Any], draws: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Where a setting lies among draws of equal length: p = (1 + draws at least as good) / (1 + draws).

    See assets/methods.md#random-draws.

    Returns:
        `n`; `p` for the spillover's difference; `p_coherent` for that among coherent answers; `p_clean`; the lowest and
        highest draw of each as `range`, `range_coherent`, `range_clean`; `outside`: no draw cures as much, whichever
        of the three is looked at.
    """
    found: dict[str, Any] = {"n": len(draws)}
    looked_at: tuple[tuple[str, str, Literal["less", "greater"]], ...] = (
        ("", "delta", "less"),
        ("_coherent", "delta_coherent", "less"),
        ("_clean", "delta_clean", "greater"),
    )
    for name, key, better in looked_at:
        values = np.array([np.nan if draw[key] is None else draw[key] for draw in draws], dtype=float)
        observed = np.nan if row[key] is None else row[key]
        known = values[~np.isnan(values)]
        found[f"p{name}"] = empirical_p(observed, values, better)
        found[f"range{name}"] = (float(known.min()), float(known.max())) if known.size else None
    smallest = 1 / (1 + len(draws))
    found["outside"] = bool(draws) and all(
        found[key] is not None and found[key] <= smallest + 1e-12 for key in ("p", "p_coherent", "p_clean")
    )
    return found


def verdict(row: dict[str, Any], among: dict[str, Any]) -> Verdict:
    """What the chosen dose did, from its row (`rates`, `change`, `correct`) and `against_draws`.

    *no effect*: spillover did not fall. *broke the model*: it fell, but not among coherent answers, or clean answers
    did not become more, or broken ones rose by more than they. *uncertain*: it fell among coherent answers too, but
    not beyond what chance gives among so many comparisons. *non-specific*: it fell among coherent answers, but a random
    direction does as much. *specific*: it fell by more than under any of at least `ENOUGH_DRAWS` random draws;
    *untested*: the same with fewer draws.
    Every p is the corrected one, against `ALPHA`.
    """
    if row["delta"] >= 0 or not row["p_corrected"] < ALPHA:
        return "no effect"
    end = row["delta_coherent_interval"][1]
    cleaner = row["delta_clean_interval"][0] > 0 and row["delta_clean"] >= row["delta_broken"]
    if end is None or not end < 0 or not cleaner:
        return "broke the model"
    if not row["p_coherent_corrected"] < ALPHA:
        return "uncertain"
    if among["n"] and not among["outside"]:
        return "non-specific"
    return "specific" if among["n"] >= ENOUGH_DRAWS else "untested"


def _share(values: np.ndarray) -> float:
    return float(values.mean())


def _difference(before: np.ndarray, after: np.ndarray, n_resamples: int, seed: int) -> tuple[float, Interval]:
    difference, interval = paired_difference(before, after, n_resamples=n_resamples, seed=seed)
    if interval[0] == interval[1]:
        interval = newcombe(int(before.sum()), len(before), int(after.sum()), len(after))
    return difference, interval


def _mcnemar(before: np.ndarray, after: np.ndarray) -> float:
    return mcnemar(int((before & ~after).sum()), int((~before & after).sum()))


def coherent_rate(judged: Judged, weights: np.ndarray) -> np.ndarray:
    """Share with code among coherent answers in each resample `[resamples]`; NaN where none is coherent."""
    coherent = (~judged.broken).astype(float)
    with np.errstate(invalid="ignore"):
        return (weights @ (judged.code * coherent)) / (weights @ coherent)
