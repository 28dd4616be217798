"""Intervals, tests and corrections for the numbers that Tiller shows.

Every function takes one value a prompt (or an answer), unless it says otherwise. scipy.stats is slow to
import and pages import this module, so each function imports what it needs when it is called.

Unknown is NaN: an interval or a p that the data cannot give is NaN and never a number that looks like one.
Sizes that do not fit together are a `ValueError`; having nothing at all to measure is `BadInput`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from core.errors import BadInput

Interval = tuple[float, float]

UNKNOWN: Interval = (float("nan"), float("nan"))

# scipy holds this many values of a sample at a time, so that memory does not grow with the resamples.
BATCH_VALUES = 4_000_000


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927); (0, 1) where nothing was counted."""
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def newcombe(first: int, n_first: int, second: int, n_second: int, confidence: float = 0.95) -> Interval:
    """Interval of the difference of two shares, second − first, from their Wilson intervals (Newcombe 1998, method 10).

    For where nothing varies, so that a bootstrap would claim certainty. Shares paired by prompt are taken as
    independent, which is cautious where they agree. (NaN, NaN) where a share counts nothing.
    """
    if not n_first or not n_second:
        return UNKNOWN
    one, other = first / n_first, second / n_second
    (low_one, high_one), (low_other, high_other) = (
        wilson(first, n_first, confidence),
        wilson(second, n_second, confidence),
    )
    gap = other - one
    return (
        gap - math.hypot(other - low_other, high_one - one),
        gap + math.hypot(high_other - other, one - low_one),
    )


def bootstrap(
    statistic: Callable[..., Any],
    *samples: ArrayLike,
    paired: bool = False,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of `statistic(*samples)`, each sample `[n_i]` (BCa: Efron 1987).

    With `paired` the samples belong to the same prompts and are resampled together, else each on its own.
    A statistic with a parameter `axis` is called with many resamples at once, any other with 1-D arrays.

    The interval is bias-corrected and accelerated (BCa). It is the percentile interval where BCa is undefined:
    constant data, a statistic outside all its resamples, or one that is undefined in some resamples (those are
    left out) or without one prompt. It is (NaN, NaN) where the statistic of the samples is NaN, where no resample
    has one, and where a sample has one value: one prompt says nothing about how prompts differ.

    Raises:
        BadInput: a sample is empty.
        ValueError: no samples; one is not 1-D; paired samples differ in length.
    """
    from scipy import stats

    data = [_one_value_each(sample) for sample in samples]
    if not data:
        raise ValueError("a bootstrap needs at least one sample")
    if paired:
        _same_length(*data)
    if min(map(len, data)) == 1:
        return UNKNOWN
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        if np.isnan(float(statistic(*data))):
            return UNKNOWN
        result = stats.bootstrap(
            data,
            statistic,
            paired=paired,
            confidence_level=confidence,
            n_resamples=n_resamples,
            batch=_batch(*data),
            rng=np.random.default_rng(seed),
        )
    low, high = map(float, result.confidence_interval)
    # Where BCa is undefined its ends are NaN; under an extreme acceleration they can also cross.
    return (low, high) if low <= high else percentile_interval(result.bootstrap_distribution, confidence)


def resample_weights(
    n: int, n_resamples: int = 2000, seed: int = 0, clusters: Sequence[Hashable] | None = None
) -> np.ndarray:
    """How often each of `n` prompts occurs in each bootstrap resample, float64 `[n_resamples, n]`.

    `weights @ values / n` are the resampled means, whatever the number of columns of `values`. Rows sum to n.
    With `clusters` (one label a prompt) whole clusters are drawn with replacement, as many as there are: members
    of a cluster share their count, and rows sum to n only where all clusters have the same size, so divide by the
    sum of the row.
    With one prompt or one cluster all resamples are the same; an interval from them would be too narrow.

    Raises:
        BadInput: n is 0.
        ValueError: there is not one cluster label for each prompt.
    """
    if n < 1:
        raise BadInput("There are no prompts to resample. Give at least one.")
    units, unit_of_prompt = n, None
    if clusters is not None:
        if len(clusters) != n:
            raise ValueError(f"{len(clusters)} cluster labels were given for {n} prompts")
        codes: dict[Hashable, int] = {}
        unit_of_prompt = np.array([codes.setdefault(label, len(codes)) for label in clusters])
        units = len(codes)
    drawn = np.random.default_rng(seed).integers(units, size=(n_resamples, units))
    drawn += units * np.arange(n_resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * units).reshape(n_resamples, units).astype(float)
    return counts if unit_of_prompt is None else counts[:, unit_of_prompt]


def percentile_interval(resampled: ArrayLike, confidence: float = 0.95, axis: int = 0) -> tuple[Any, Any]:
    """Percentile interval of statistics that were computed in each resample (Efron 1979).

    `resampled` has the resamples along `axis`; low and high have its other axes, and are floats where there are
    none. Resamples where the statistic is NaN are left out; where all are, or there are none, low and high are NaN.

    Raises:
        ValueError: the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("a confidence is a share between 0 and 1")
    values = np.moveaxis(np.asarray(resampled, dtype=float), axis, 0)
    if not len(values):
        values = np.full((1, *values.shape[1:]), np.nan)
    quantile: Callable[..., Any] = np.nanquantile if np.isnan(values).any() else np.quantile
    tail = (1 - confidence) / 2
    ends = []
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.filterwarnings("ignore", "All-NaN slice")
        for level, outwards in ((tail, "lower"), (1 - tail, "higher")):
            end = quantile(values, level, axis=0)
            if np.isinf(values).any():  # next to an infinity there is no interpolating: take the outer neighbour
                end = np.where(np.isfinite(end), end, quantile(values, level, axis=0, method=outwards))
            ends.append(end if np.ndim(end) else float(end))
    return ends[0], ends[1]


def cluster_bootstrap(
    statistic: Callable[[np.ndarray], Any],
    values: ArrayLike,
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of `statistic(values)`, values `[n]`, where whole clusters (questions) are resampled.

    A resample keeps the order of the values and may be longer or shorter than they are. (NaN, NaN) where there is
    one cluster, where the statistic of the values is NaN, or where no resample has one.

    Raises:
        BadInput: there are no values.
        ValueError: there is not one cluster label for each value.
    """
    data = _one_value_each(values)
    weights = resample_weights(len(data), n_resamples, seed, clusters).astype(int)
    with np.errstate(all="ignore"):
        if len(set(clusters)) == 1 or np.isnan(float(statistic(data))):
            return UNKNOWN
        resampled = np.array([statistic(np.repeat(data, counts)) for counts in weights], dtype=float)
    return percentile_interval(resampled, confidence)


def paired_difference(
    first: ArrayLike, second: ArrayLike, confidence: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> tuple[float, Interval]:
    """Mean of second − first over prompts, both `[n]` on the same prompts, and its `bootstrap` interval.

    Raises:
        BadInput: there are no prompts.
        ValueError: the lengths differ.
    """
    before, after = _one_value_each(first), _one_value_each(second)
    _same_length(before, after)
    change = after.astype(float) - before.astype(float)
    return float(change.mean()), bootstrap(np.mean, change, confidence=confidence, n_resamples=n_resamples, seed=seed)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test from the discordant pairs (binomial); 1 where there are none.

    Raises:
        ValueError: a count is negative.
    """
    from scipy.stats import binomtest

    if min(only_first, only_second) < 0:
        raise ValueError("a count of pairs is not negative")
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def permutation_test(
    first: ArrayLike, second: ArrayLike, paired: bool = True, n_resamples: int = 9999, seed: int = 0
) -> float:
    """Two-sided p for a difference in means; 1 where a sample has fewer than two values, NaN where one is NaN.

    Paired values, both `[n]`, swap sides prompt by prompt (sign flips); others, `[n]` and `[m]`, are dealt out
    anew. Exact where there are at most `n_resamples` such arrangements, else that many are drawn and the observed
    one counts among them.

    Raises:
        ValueError: a sample is not 1-D, or paired lengths differ.
    """
    from scipy import stats

    samples = [np.asarray(sample, dtype=float) for sample in (first, second)]
    if any(sample.ndim != 1 for sample in samples):
        raise ValueError("a sample has one value a prompt: a 1-D array")
    if paired:
        _same_length(*samples)
    if np.isnan(np.concatenate(samples)).any():
        return float("nan")  # every comparison with NaN is false, which would count as a very small p
    if min(map(len, samples)) < 2:
        return 1.0
    # Centred, scaled and rounded, so that arrangements with equal means tie in spite of rounding errors.
    centre = np.concatenate(samples).mean()
    scale = max(np.abs(sample - centre).max() for sample in samples) or 1.0
    result = stats.permutation_test(
        [(sample - centre) / scale for sample in samples],
        lambda a, b, axis: np.round(a.mean(axis=axis) - b.mean(axis=axis), 12),
        permutation_type="samples" if paired else "independent",
        vectorized=True,
        n_resamples=n_resamples,
        batch=_batch(*samples),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def empirical_p(observed: float, draws: ArrayLike, better: Literal["less", "greater"]) -> float:
    """(1 + draws at least as good as the observed value) / (1 + draws): never 0, and 1 without draws.

    Draws that are NaN are left out; an observed NaN gives NaN.
    """
    if better not in ("less", "greater"):
        raise ValueError("better is less or greater")
    if np.isnan(observed):
        return float("nan")
    known = np.asarray(draws, dtype=float).ravel()
    known = known[~np.isnan(known)]
    as_good = known <= observed if better == "less" else known >= observed
    return float((1 + as_good.sum()) / (1 + known.size))


def holm(p_values: ArrayLike) -> list[float]:
    """Holm's adjusted p (Holm 1979), in the order given; they bound the chance of any false finding.

    NaN stays NaN and does not count as a comparison. Raises ValueError for a p outside 0 to 1.
    """

    def step_down(known: np.ndarray) -> np.ndarray:
        order = np.argsort(known, kind="stable")
        adjusted = np.empty_like(known)
        adjusted[order] = np.maximum.accumulate(known[order] * np.arange(known.size, 0, -1))
        return adjusted

    return _adjusted(p_values, step_down)


def benjamini_hochberg(p_values: ArrayLike) -> list[float]:
    """Benjamini and Hochberg's adjusted p (1995), in the order given; they bound the share of false findings.

    NaN stays NaN and does not count as a comparison. Raises ValueError for a p outside 0 to 1.
    """
    from scipy.stats import false_discovery_control

    return _adjusted(p_values, false_discovery_control)


def _adjusted(p_values: ArrayLike, adjust: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    adjusted = np.array(p_values, dtype=float)
    known = ~np.isnan(adjusted)
    if not ((adjusted[known] >= 0) & (adjusted[known] <= 1)).all():
        raise ValueError("a p lies between 0 and 1")
    if known.any():
        adjusted[known] = np.minimum(adjust(adjusted[known]), 1.0)
    return adjusted.tolist()


def _one_value_each(sample: ArrayLike) -> np.ndarray:
    """The sample as an array `[n]`, n at least 1."""
    values = np.asarray(sample)
    if values.ndim != 1:
        raise ValueError("a sample has one value a prompt: a 1-D array")
    if not values.size:
        raise BadInput("There are no values to compute an interval from. Choose at least two prompts.")
    return values


def _same_length(*samples: np.ndarray) -> None:
    if len({len(sample) for sample in samples}) > 1:
        raise ValueError(f"paired samples have one value for each prompt, but here {[len(s) for s in samples]}")


def _batch(*samples: np.ndarray) -> int:
    return max(1, BATCH_VALUES // sum(map(len, samples)))
