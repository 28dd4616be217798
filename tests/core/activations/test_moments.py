"""Streaming moments equal numpy's over all rows at once, however the rows are cut into batches."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.activations.moments import Moments

ROWS = st.integers(2, 12).flatmap(
    lambda rows: arrays.arrays(np.float64, (rows, 2, 3), elements=st.floats(-1e3, 1e3, width=32))
)


def moments(rows: np.ndarray, cuts: list[int]) -> Moments:
    made = Moments()
    for part in np.split(rows, sorted(cuts)):
        made.update(torch.from_numpy(part))
    return made


@given(ROWS, st.lists(st.integers(0, 12), max_size=5))
def test_moments_equal_numpy_however_rows_are_batched(rows, cuts):
    """Empty batches count for nothing."""
    made = moments(rows, cuts)
    assert made.n == len(rows)
    np.testing.assert_allclose(made.mean, rows.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(made.variance, rows.var(0, ddof=1), rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(made.mean_norm, np.linalg.norm(rows, axis=-1).mean(0), rtol=1e-9, atol=1e-9)


def test_a_small_spread_around_a_large_mean_is_not_lost():
    """Where the sum of squares minus the square of the sum would give nonsense."""
    rows = 1e8 + np.array([4.0, 7.0, 13.0, 16.0]).reshape(4, 1, 1)
    np.testing.assert_allclose(moments(rows, [1, 2, 3]).variance, [[30.0]], rtol=1e-9)


def test_float32_batches_are_summed_in_float64():
    made = Moments()
    for _ in range(10_000):
        made.update(torch.full((1, 1, 1), 0.1))
    assert made.mean.dtype == torch.float64
    assert abs(float(made.mean) - float(torch.tensor(0.1))) < 1e-12


def test_the_variance_of_one_row_is_unknown():
    made = moments(np.ones((1, 2, 3)), [])
    assert made.variance.isnan().all()
    assert made.variance.shape == (2, 3)
