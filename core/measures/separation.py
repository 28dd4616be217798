"""How well one direction tells two sets of activations apart, block by block.

The direction is fitted on training prompts and scored on held-out ones: projected on the unit vector, with the
midpoint of the two training means as threshold (arXiv 2606.20225 reports this number, without nulls). Beside it
stand what any direction would reach: random ones, and ones fitted to labels that say nothing; and what all coordinates
together reach: a logistic probe. Needs numpy and scikit-learn, not torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import BadInput
from core.statistics import percentile_interval, resample_weights, wilson

Array = np.ndarray
FEWEST = 8


@dataclass(frozen=True)
class Labelled:
    """Activations of two classes, and the prompt that each row belongs to.

    Attributes:
        positive, negative: `[rows, blocks, width]`, each class with its own number of rows.
        positive_prompts, negative_prompts: `[rows]`, the row's prompt as a number from 0; intervals resample prompts.
    """

    positive: Array
    negative: Array
    positive_prompts: Array
    negative_prompts: Array

    def __post_init__(self) -> None:
        fewest = min(len(self.positive), len(self.negative))
        if fewest < FEWEST:
            raise BadInput(
                f"One of the two classes has {fewest} rows and at least {FEWEST} are needed to measure separation. "
                "Give more prompts, or draw more answers a prompt."
            )

    @classmethod
    def paired(cls, positive: Array, negative: Array) -> Labelled:
        """Both classes of the same prompts, row by row."""
        rows = np.arange(len(positive))
        return cls(positive, negative, rows, rows)

    @property
    def prompts(self) -> int:
        return 1 + int(max(self.positive_prompts.max(), self.negative_prompts.max()))

    def block(self, block: int) -> tuple[Array, Array]:
        """Both classes at a block in float64, `[rows, width]`."""
        return self.positive[:, block].astype(np.float64), self.negative[:, block].astype(np.float64)


@dataclass(frozen=True)
class Axis:
    """A unit vector and a threshold per block: `units` `[blocks, width]`, `thresholds` and `norms` `[blocks]`."""

    units: Array
    thresholds: Array
    norms: Array

    def project(self, activations: Array) -> Array:
        """Projections `[blocks, rows]` of activations `[rows, blocks, width]`."""
        return np.einsum("rbw,bw->br", activations.astype(np.float64), self.units)


def fit(train: Labelled) -> Axis:
    """The difference in means at every block, with the midpoint of the two means as threshold."""
    positive, negative = train.positive.mean(0, dtype=np.float64), train.negative.mean(0, dtype=np.float64)
    return _axis(positive - negative, (positive + negative) / 2)


def random_axis(train: Labelled, seed: int) -> Axis:
    """A uniformly random direction at every block, turned and thresholded by the training means."""
    positive, negative = train.positive.mean(0, dtype=np.float64), train.negative.mean(0, dtype=np.float64)
    drawn = np.random.default_rng(seed).standard_normal(positive.shape)
    drawn *= np.where(((positive - negative) * drawn).sum(1) < 0, -1.0, 1.0)[:, None]
    return _axis(drawn, (positive + negative) / 2)


def measure(axis: Axis, test: Labelled, n_resamples: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """What `axis` reaches on held-out rows, a dict a block.

    Returns:
        `block`, `balanced_accuracy`, `interval`, `auroc`, `auroc_interval`, `cohens_d`, `cohens_d_interval`. Intervals
        are 95 % bootstrap over prompts; where no resample differs (nothing was wrong, or everything, or all rows of
        one class), Wilson's over prompts, since 200 right answers of 200 are no proof of 100 %.
    """
    resamples = _Resamples(test, n_resamples, seed)
    positive, negative = axis.project(test.positive), axis.project(test.negative)
    return [
        {"block": block, **_numbers(positive[block], negative[block], axis.thresholds[block], resamples)}
        for block in range(len(axis.thresholds))
    ]


def separation(
    train: Labelled,
    test: Labelled,
    residual_norms: Array,
    n_random: int = 100,
    n_shuffles: int = 100,
    n_resamples: int = 1000,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """The whole table of assets/methods.md#separation, a dict a block.

    Args:
        residual_norms: `[blocks]`, mean length of the base model's residual stream.

    Returns:
        what `measure` says, and `threshold`; `norm` (length of the difference in means) with `norm_interval`, and both
        as a share of the residual norm; `random` (central 95 % of random directions' balanced accuracy) and
        `random_mean`; `shuffled` (mean over directions fitted to shuffled labels) and `shuffled_interval`;
        `ceiling` with `ceiling_interval` (a logistic probe on all coordinates).
    """
    axis = fit(train)
    rows = measure(axis, test, n_resamples, seed)
    lengths = _length_intervals(axis, train, n_resamples, seed)
    resamples = _Resamples(test, n_resamples, seed)
    draw = np.random.default_rng(seed)
    for block, row in enumerate(rows):
        here, there = train.block(block), test.block(block)
        norm, residual = float(axis.norms[block]), float(residual_norms[block])
        random = _random_accuracies(here, there, n_random, draw)
        shuffled = _shuffled_accuracies(here, there, n_shuffles, draw)
        row |= {
            "threshold": float(axis.thresholds[block]),
            "norm": norm,
            "norm_interval": lengths[block],
            "norm_share": norm / residual,
            "norm_share_interval": tuple(end / residual for end in lengths[block]),
            "residual_norm": residual,
            "random": _central(random),
            "random_mean": float(random.mean()),
            "shuffled": float(shuffled.mean()),
            "shuffled_interval": _central(shuffled),
            **_ceiling(here, there, resamples),
        }
        if report:
            report(block + 1, len(rows))
    return rows


def cosines(first: Axis, second: Axis) -> list[float]:
    """Cosine of two directions at every block."""
    return [float(value) for value in (first.units * second.units).sum(1)]


class _Resamples:
    """How often each held-out row counts in each resample of the prompts, `[resamples, rows]` for both classes."""

    def __init__(self, test: Labelled, n_resamples: int, seed: int) -> None:
        weights = resample_weights(test.prompts, n_resamples, seed)
        self.prompts = test.prompts
        self.positive, self.negative = weights[:, test.positive_prompts], weights[:, test.negative_prompts]
        self.all_positive, self.all_negative = self.positive.sum(1), self.negative.sum(1)

    def accuracy(self, right_positive: Array, right_negative: Array) -> Array:
        with np.errstate(invalid="ignore"):  # a resample without one class has no balanced accuracy
            return (
                self.positive @ right_positive / self.all_positive + self.negative @ right_negative / self.all_negative
            ) / 2

    def auroc(self, above: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return ((self.positive @ above) * self.negative).sum(1) / (self.all_positive * self.all_negative)

    def cohens_d(self, positive: Array, negative: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            means, variances = [], []
            for weights, total, values in (
                (self.positive, self.all_positive, positive),
                (self.negative, self.all_negative, negative),
            ):
                mean = weights @ values / total
                means.append(mean)
                variances.append((weights @ values**2 / total - mean**2).clip(0) * total / (total - 1))
            gap = _pooled_variance(variances[0], variances[1], self.all_positive, self.all_negative)
            return (means[0] - means[1]) / np.sqrt(gap)

    def interval(self, resampled: Array) -> tuple[float, float]:
        low, high = percentile_interval(resampled[np.isfinite(resampled)])
        return float(low), float(high)

    def share_interval(self, share: float, resampled: Array) -> tuple[float, float]:
        low, high = self.interval(resampled)
        if low == high:
            return wilson(round(share * self.prompts), self.prompts)
        return low, high


def _numbers(positive: Array, negative: Array, threshold: float, resamples: _Resamples) -> dict[str, Any]:
    right_positive, right_negative = positive > threshold, negative <= threshold
    accuracy = float((right_positive.mean() + right_negative.mean()) / 2)
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    auroc = float(above.mean())
    # centred first: squares of numbers far from 0 would lose their last digits
    middle = np.concatenate([positive, negative]).mean()
    first, second = positive - middle, negative - middle
    variance = _pooled_variance(first.var(ddof=1), second.var(ddof=1), len(first), len(second))
    d = float((first.mean() - second.mean()) / np.sqrt(variance)) if variance else float("nan")
    return {
        "balanced_accuracy": accuracy,
        "interval": resamples.share_interval(accuracy, resamples.accuracy(right_positive, right_negative)),
        "auroc": auroc,
        "auroc_interval": resamples.share_interval(auroc, resamples.auroc(above)),
        "cohens_d": d,
        "cohens_d_interval": resamples.interval(resamples.cohens_d(first, second)),
    }


def _pooled_variance(first: Any, second: Any, n_first: Any, n_second: Any) -> Any:
    return ((n_first - 1) * first + (n_second - 1) * second) / (n_first + n_second - 2)


def _axis(vectors: Array, middle: Array) -> Axis:
    norms = np.linalg.norm(vectors, axis=1)
    units = vectors / np.maximum(norms, np.finfo(np.float64).tiny)[:, None]
    return Axis(units, (middle * units).sum(1), norms)


def _length_intervals(axis: Axis, train: Labelled, n_resamples: int, seed: int) -> list[tuple[float, float]]:
    """Intervals of the shift's length along its own axis: the length of a resampled mean itself is biased upwards."""
    resamples = _Resamples(train, n_resamples, seed + 1)
    positive, negative = axis.project(train.positive), axis.project(train.negative)
    with np.errstate(invalid="ignore"):
        along = (
            resamples.positive @ positive.T / resamples.all_positive[:, None]
            - resamples.negative @ negative.T / resamples.all_negative[:, None]
        )
    return [resamples.interval(column) for column in along.T]


def _random_accuracies(train: tuple[Array, Array], test: tuple[Array, Array], n: int, draw) -> Array:
    """Balanced accuracies of random directions; sign and threshold come from the training means."""
    vectors = draw.standard_normal((n, train[0].shape[1]))
    means = [vectors @ part.mean(0) for part in train]
    sign = np.where(means[0] < means[1], -1.0, 1.0)
    return _accuracies(vectors * sign[:, None], sign * (means[0] + means[1]) / 2, test)


def _shuffled_accuracies(train: tuple[Array, Array], test: tuple[Array, Array], n: int, draw) -> Array:
    """Balanced accuracies of directions and thresholds fitted to labels that say nothing.

    Either side of each split gets a random half of each class, as in `core.directions.controls.shuffled_label`.
    """
    rows, first = np.concatenate(train), len(train[0])
    sides = np.zeros((n, len(rows)), dtype=bool)
    for side in sides:
        side[draw.permutation(first)[: first // 2]] = True
        side[first + draw.permutation(len(rows) - first)[: (len(rows) - first) // 2]] = True
    weights = sides / sides.sum(1, keepdims=True)
    others = ~sides / (~sides).sum(1, keepdims=True)
    vectors, middles = (weights - others) @ rows, (weights + others) @ rows / 2
    return _accuracies(vectors, (vectors * middles).sum(1), test)


def _accuracies(vectors: Array, thresholds: Array, test: tuple[Array, Array]) -> Array:
    right_positive = (test[0] @ vectors.T > thresholds).mean(0)
    return (right_positive + (test[1] @ vectors.T <= thresholds).mean(0)) / 2


def _central(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _ceiling(train: tuple[Array, Array], test: tuple[Array, Array], resamples: _Resamples) -> dict[str, Any]:
    """What a linear probe on all coordinates reaches on held-out rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced"))
    probe.fit(np.concatenate(train), np.repeat([1, 0], [len(part) for part in train]))
    right_positive, right_negative = (probe.predict(part) == label for part, label in zip(test, (1, 0), strict=True))
    share = float((right_positive.mean() + right_negative.mean()) / 2)
    resampled = resamples.accuracy(right_positive, right_negative)
    return {"ceiling": share, "ceiling_interval": resamples.share_interval(share, resampled)}


def wrong_side(positive: Array, negative: Array, threshold: float) -> Iterator[tuple[bool, int]]:
    """Rows on the wrong side of the threshold at one block, as (whether of the positive class, row), worst first.

    Args:
        positive, negative: `[rows]`, projections.
    """
    misses = [(threshold - value, True, row) for row, value in enumerate(positive) if value <= threshold]
    misses += [(value - threshold, False, row) for row, value in enumerate(negative) if value > threshold]
    for _, is_positive, row in sorted(misses, reverse=True):
        yield is_positive, row
