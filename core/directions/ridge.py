"""Centred ridge maps from one model's activations to another's (arXiv 2606.20225).

The same prompts go through donor and receiver; row i of both belongs to the same prompt. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.errors import BadInput
from core.statistics import UNKNOWN, Interval, percentile_interval, resample_weights

Array = np.ndarray
Groups = Sequence[Hashable] | Array

# Times the mean eigenvalue of the centred donor activations' Gram matrix, so that a grid means the same for any pair.
# It reaches far below 1, because a few dimensions of a residual stream hold most of its variance.
STRENGTHS: tuple[float, ...] = tuple(float(strength) for strength in np.logspace(-4, 4, 20))
FOLDS = 5


@dataclass(frozen=True, eq=False)
class RidgeMap:
    """A linear map between two residual streams, fitted with an intercept that is not penalised.

    Attributes:
        weights: `[receiver width, donor width]`, float64.
        donor_mean, receiver_mean: `[width]`, of the rows the map was fitted on.
        strength: the penalty chosen, in units of squared activations (scikit-learn's `alpha`).
        r2: cross-validated R² at that strength. Slightly optimistic, since it also chose: see `held_out`.
        r2_by_strength: `(strength, R²)` of the whole grid.
        n: rows it was fitted on.
    """

    weights: Array
    donor_mean: Array
    receiver_mean: Array
    strength: float
    r2: float
    r2_by_strength: tuple[tuple[float, float], ...]
    n: int

    def predict(self, x: ArrayLike) -> Array:
        """The receiver's activations for the donor's, `[n, donor width]` to `[n, receiver width]`."""
        return (np.asarray(x, dtype=np.float64) - self.donor_mean) @ self.weights.T + self.receiver_mean

    def carry(self, v: ArrayLike) -> Array:
        """A direction of the donor in the receiver, `[donor width]` to `[receiver width]`: no means, no rescaling."""
        return self.weights @ np.asarray(v, dtype=np.float64)


def fit(
    x: ArrayLike,
    y: ArrayLike,
    groups: Groups | None = None,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = FOLDS,
    seed: int = 0,
) -> RidgeMap:
    """The ridge map whose strength has the highest cross-validated R² (the first of equals), fitted on all rows.

    R² is one number for all receiver dimensions, each weighted with its variance in the fold: 1 − the sum of squared
    errors / the sum of squared deviations from the fold's own mean. A dimension that does not vary in a fold has no
    weight there. Of the folds the plain mean is taken.

    Args:
        x, y: `[n, donor width]` and `[n, receiver width]`.
        groups: one label a row; rows of a group are never on both sides of a split. Without it every row is its own.
        strengths: multiples of the mean eigenvalue of the Gram matrix of centred x: trace / min(n, donor width).
        folds: groups are shuffled by `seed` and dealt into this many folds of about equal size.

    Raises:
        BadInput: lengths differ, a width is 0, a value is not finite, strengths are not positive, there are fewer
            groups than folds, x does not vary, or y does not vary inside a fold.
    """
    donor, receiver = _paired(x, y)
    if not len(strengths) or not (np.isfinite(strengths).all() and min(strengths) > 0):
        raise BadInput(f"The strengths of a ridge map are positive numbers, but here {list(strengths)}. Change them.")
    if not np.ptp(donor, axis=0).any():
        raise BadInput("The donor's activations are the same in all rows. Give prompts that differ.")
    parts = fold_of_row(_codes(groups, len(donor)), folds, seed)

    donor_mean, receiver_mean = donor.mean(0), receiver.mean(0)
    donor, receiver = donor - donor_mean, receiver - receiver_mean
    penalties = np.asarray(strengths, dtype=np.float64) * (donor**2).sum() / min(donor.shape)
    r2 = np.mean([_fold_r2(donor, receiver, parts == fold, penalties) for fold in range(folds)], axis=0)
    best = int(r2.argmax())
    return RidgeMap(
        _weights(donor, receiver, penalties[best]),
        donor_mean,
        receiver_mean,
        float(penalties[best]),
        float(r2[best]),
        tuple(zip(penalties.tolist(), r2.tolist(), strict=True)),
        len(donor),
    )


def held_out(
    mapping: RidgeMap,
    x: ArrayLike,
    y: ArrayLike,
    groups: Groups | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, Interval]:
    """R² (as in `fit`) on rows the map never saw, with its 95 % percentile interval from resampled groups.

    Deviations are from the mean of these rows, which makes R² about (1 − R²) / n lower than on very many rows.
    Resamples keep that mean: with their own they would be lower once more, and a wide receiver's interval is so narrow
    that it would lie beside its R². The interval is (NaN, NaN) where there is one group.

    Args:
        x, y, groups: as in `fit`.

    Raises:
        BadInput: lengths differ, a width is not the map's, a value is not finite, or y does not vary.
    """
    donor, receiver = _paired(x, y)
    if (receiver.shape[1], donor.shape[1]) != mapping.weights.shape:
        raise BadInput(
            f"The map goes from width {mapping.weights.shape[1]} to {mapping.weights.shape[0]}, but these activations "
            f"are {donor.shape[1]} and {receiver.shape[1]} wide. Take activations of the map's own models and blocks."
        )
    codes = _codes(groups, len(donor))
    varied = np.ptp(receiver, axis=0) > 0
    if not varied.any():
        raise BadInput("The receiver's activations are the same in all rows, so R² has no meaning. Give more prompts.")
    errors = ((receiver - mapping.predict(donor))[:, varied] ** 2).sum(1)
    squares = ((receiver - receiver.mean(0))[:, varied] ** 2).sum(1)
    r2 = float(1 - errors.sum() / squares.sum())
    if codes.max() == 0:
        return r2, UNKNOWN
    weights = resample_weights(len(donor), n_resamples, seed, codes.tolist())
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may hold nothing but rows at the mean
        return r2, percentile_interval(1 - weights @ errors / (weights @ squares))


def fold_of_row(groups: Groups, folds: int = FOLDS, seed: int = 0) -> Array:
    """The fold of each row, `[n]`: groups in random order, the largest first, each into the smallest fold so far.

    Raises:
        BadInput: there are fewer groups than folds, or fewer than two folds.
    """
    codes = _codes(groups, len(groups))
    sizes = np.bincount(codes)
    if not 2 <= folds <= len(sizes):
        raise BadInput(
            f"{len(sizes)} groups of prompts cannot be dealt into {folds} folds. Take at least 2 folds, and at least "
            "as many prompts."
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    rows = np.zeros(folds, dtype=int)
    fold_of_group = np.empty(len(sizes), dtype=int)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of_group[group] = rows.argmin()
        rows[fold_of_group[group]] += sizes[group]
    return fold_of_group[codes]


def _fold_r2(x: Array, y: Array, test: Array, penalties: Array) -> Array:
    """R² on the rows `test` of maps fitted on the others, `[penalties]`.

    All strengths come from one eigendecomposition of the smaller Gram matrix of the training rows. In its basis the
    predictions are P diag(d) Q with d = 1 / (eigenvalues + penalty), so the squared error of any strength is
    ‖E‖² − 2 Σ dₖ (P ∘ EQᵀ)ₖ + dᵀ (PᵀP ∘ QQᵀ) d, E being y less the training mean.
    """
    varied = np.ptp(y[test], axis=0) > 0
    if not varied.any():
        raise BadInput(
            "The receiver's activations are the same in all rows of a fold, so R² has no meaning there. Give more "
            "prompts, or take fewer folds."
        )
    y = y[:, varied]
    mean = x[~test].mean(0), y[~test].mean(0)
    train_x, train_y = x[~test] - mean[0], y[~test] - mean[1]
    test_x, test_y = x[test] - mean[0], y[test] - mean[1]
    if len(train_x) <= x.shape[1]:
        values, basis = np.linalg.eigh(train_x @ train_x.T)
        p, q = test_x @ train_x.T @ basis, basis.T @ train_y
    else:
        values, basis = np.linalg.eigh(train_x.T @ train_x)
        p, q = test_x @ basis, basis.T @ (train_x.T @ train_y)
    d = 1 / (values.clip(0) + penalties[:, None])
    errors = (test_y**2).sum() - 2 * d @ (p * (test_y @ q.T)).sum(0) + (d @ ((p.T @ p) * (q @ q.T)) * d).sum(1)
    return 1 - errors / ((test_y - test_y.mean(0)) ** 2).sum()


def _weights(x: Array, y: Array, penalty: float) -> Array:
    """Ridge weights `[receiver width, donor width]` of centred rows, from the smaller Gram matrix."""
    n, width = x.shape
    if n <= width:
        return np.linalg.solve(x @ x.T + penalty * np.eye(n), y).T @ x
    return np.linalg.solve(x.T @ x + penalty * np.eye(width), x.T @ y).T


def _paired(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Both sides in float64, `[n, width]` with n and widths at least 1."""
    sides = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    for side, owner in zip(sides, ("donor", "receiver"), strict=True):
        if side.ndim != 2 or not side.size:
            raise BadInput(f"The {owner}'s activations have the shape {list(side.shape)}. Give rows × width.")
        if not np.isfinite(side).all():
            raise BadInput(f"The {owner}'s activations hold values that are not finite. Capture them in float32.")
    if len(sides[0]) != len(sides[1]):
        raise BadInput(
            f"The donor has {len(sides[0])} rows and the receiver {len(sides[1])}. Give both the same prompts."
        )
    return sides


def _codes(groups: Groups | None, n: int) -> Array:
    """Group labels as numbers from 0, `[n]`."""
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise BadInput(f"{len(groups)} groups were given for {n} rows. Give one for each row.")
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in groups], dtype=int)
