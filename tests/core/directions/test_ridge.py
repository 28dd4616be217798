"""Ridge maps are scikit-learn's, find a planted map, and find nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV

from core.directions.ridge import STRENGTHS, fit, fold_of_row, held_out
from core.errors import BadInput
from core.statistics import UNKNOWN, resample_weights

SEEDS = st.integers(0, 2**31)


def pair(n: int = 60, donor: int = 12, receiver: int = 9, noise: float = 1.0, seed: int = 0):
    """Correlated donor activations far from the origin, and receiver ones that depend on them."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, donor)) @ draw.standard_normal((donor, donor)) + 5 * draw.standard_normal(donor)
    y = x @ draw.standard_normal((donor, receiver)) + noise * donor * draw.standard_normal((n, receiver)) - 7
    return x, y


def uneven(n: int) -> list[str]:
    """Groups of 1, 2, 3, … rows, lying scattered."""
    labels = np.repeat([f"prompt {size}" for size in range(n)], range(n))[:n]
    return np.random.default_rng(1).permutation(labels).tolist()


def constant_columns():
    x, y = pair()
    x[:, 3], y[:, 2] = 0.1, 1.7
    return x, y


def collinear_columns():
    x, y = pair()
    x[:, 5:9] = x[:, :4] * [1, -2, 3, 0.5]
    return x, y


def column_of_one_row():
    """In all folds but one this receiver dimension does not vary."""
    x, y = pair()
    y[:, 4] = 0.0
    y[7, 4] = 30.0
    return x, y


CASES = {
    "more rows than width": (pair(80, 10, 7), None),
    "fewer rows than width": (pair(40, 70, 7), None),
    "as many rows as width": (pair(40, 40, 30), None),
    "training rows fewer than width, all rows more": (pair(50, 45, 60), None),
    "one receiver dimension": (pair(receiver=1), None),
    "groups of unequal size": (pair(90, 20, 5), uneven(90)),
    "groups of unequal size, wide": (pair(90, 120, 5), uneven(90)),
    "constant columns": (constant_columns(), None),
    "collinear columns": (collinear_columns(), None),
    "a column that varies in one fold only": (column_of_one_row(), None),
}


@pytest.mark.parametrize(("rows", "groups"), CASES.values(), ids=CASES)
def test_a_map_is_the_one_of_scikit_learn(rows, groups):
    x, y = rows
    ours = fit(x, y, groups)
    parts = fold_of_row(range(len(x)) if groups is None else groups)
    theirs = GridSearchCV(
        Ridge(),
        {"alpha": [strength for strength, _ in ours.r2_by_strength]},
        cv=[(np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)) for fold in range(5)],
        scoring=make_scorer(r2_score, multioutput="variance_weighted"),
    ).fit(x, y)
    found = [r2 for _, r2 in ours.r2_by_strength]
    np.testing.assert_allclose(found, theirs.cv_results_["mean_test_score"], rtol=0, atol=1e-6)
    assert ours.strength == theirs.best_params_["alpha"]
    assert ours.r2 == pytest.approx(theirs.best_score_, abs=1e-6)
    coefficients = theirs.best_estimator_.coef_.reshape(ours.weights.shape)
    np.testing.assert_allclose(ours.weights, coefficients, rtol=1e-6, atol=1e-8)
    unseen = x[::-1] * 1.5 + 2
    predicted = theirs.best_estimator_.predict(unseen).reshape(len(x), -1)
    np.testing.assert_allclose(ours.predict(unseen), predicted, rtol=1e-6, atol=1e-6)


def test_the_cases_choose_strengths_inside_the_grid():
    """At an end of the grid the choice would say little about the equality with scikit-learn."""
    chosen = [fit(x, y, groups) for (x, y), groups in CASES.values()]
    inside = [made.r2_by_strength[0][0] < made.strength < made.r2_by_strength[-1][0] for made in chosen]
    assert sum(inside) >= len(inside) - 1


@pytest.mark.parametrize("width", [20, 300])
def test_a_planted_map_is_found(width):
    """Uncorrelated donor dimensions, so R² has a closed form: what the noise and estimating the map leave."""
    n, noise = (1500, 2.0) if width == 20 else (250, 0.3)
    draw = np.random.default_rng(0)
    rank = 20
    basis = np.linalg.qr(draw.standard_normal((width, rank)))[0]
    true = draw.standard_normal((15, rank)) @ basis.T
    x = draw.standard_normal((n, rank)) @ basis.T + 3.0
    y = x @ true.T + noise * draw.standard_normal((n, 15)) - 11
    made = fit(x, y)
    v = basis @ draw.standard_normal(rank)
    carried = made.carry(v)
    assert carried @ (true @ v) / np.linalg.norm(carried) / np.linalg.norm(true @ v) > 0.99
    left = 15 * noise**2
    expected = 1 - left * (1 + rank / (0.8 * n)) / ((true**2).sum() + left)
    assert made.r2 == pytest.approx(expected, abs=0.01)
    np.testing.assert_allclose(made.predict(x).mean(0), y.mean(0))


@pytest.mark.parametrize("width", [30, 300])
def test_shuffled_pairs_have_no_r2(width):
    x, y = pair(400, width, 40, noise=0.1)
    right = fit(x[:200], y[:200])
    assert min(right.r2, held_out(right, x[200:], y[200:])[0]) > 0.5
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(200)
        wrong = fit(x[:200], y[:200][order])
        assert wrong.r2 <= 0.05
        for truth in (y[200:], y[200:][order]):
            r2, (low, high) = held_out(wrong, x[200:], truth)
            assert low <= r2 <= high <= 0.05


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.sampled_from([8, 40]))
def test_a_constant_added_to_either_side_changes_no_weight(seed, to_x, to_y, donor):
    x, y = pair(30, donor, 5, seed=seed)
    plain, moved = fit(x, y), fit(x + to_x, y + to_y)
    np.testing.assert_allclose(moved.weights, plain.weights, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(moved.predict(x + to_x), plain.predict(x) + to_y, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([8, 40]))
def test_weights_turn_with_the_donors_space(seed, donor):
    x, y = pair(30, donor, 5, seed=seed)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((donor, donor)))[0]
    plain, turned = fit(x, y), fit(x @ turn.T, y)
    assert turned.r2 == pytest.approx(plain.r2, abs=1e-8)
    np.testing.assert_allclose(turned.weights, plain.weights @ turn.T, rtol=1e-6, atol=1e-8)


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(2, 6), SEEDS)
def test_folds_never_split_a_group_and_are_about_as_large_as_groups_allow(groups, folds, seed):
    if len(set(groups)) < folds:
        with pytest.raises(BadInput, match="folds"):
            fold_of_row(groups, folds, seed)
        return
    parts = fold_of_row(groups, folds, seed)
    assert all(len(set(parts[np.array(groups) == label])) == 1 for label in groups)
    sizes = np.bincount(parts, minlength=folds)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= max(map(groups.count, groups))


def test_folds_are_drawn_by_the_seed():
    first, again, other = (fold_of_row(range(100), seed=seed).tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert first != sorted(first)


@pytest.mark.parametrize("seed", range(5))
def test_one_large_group_and_many_small_ones_make_equal_folds(seed):
    groups = [0] * 12 + list(range(1, 25))
    assert np.bincount(fold_of_row(groups, 3, seed)).tolist() == [12, 12, 12]


def test_copies_of_a_prompt_do_not_leak_through_the_folds():
    """Nothing is to be learned here; rows without groups would find their own copies among the training rows."""
    draw = np.random.default_rng(0)
    x, y = (np.repeat(draw.standard_normal((40, width)), 5, axis=0) for width in (60, 10))
    groups = np.repeat(np.arange(40), 5)
    assert fit(x, y).r2 > 0.9
    assert fit(x, y, groups).r2 <= 0.05


@pytest.mark.parametrize(("n", "donor"), [(30, 50), (50, 30)])
def test_a_strength_is_a_multiple_of_the_mean_eigenvalue_in_whatever_unit(n, donor):
    x, y = pair(n, donor, 6)
    made, scaled = fit(x, y), fit(10 * x, y)
    eigenvalues = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    penalties = [strength for strength, _ in made.r2_by_strength]
    np.testing.assert_allclose(penalties, np.array(STRENGTHS) * eigenvalues.mean())
    assert scaled.strength == pytest.approx(100 * made.strength)
    assert scaled.r2 == pytest.approx(made.r2)
    np.testing.assert_allclose(10 * scaled.weights, made.weights, rtol=1e-6, atol=1e-8)


def test_held_out_r2_is_scikit_learns_and_its_interval_resamples_groups():
    x, y = pair(120, noise=0.4)
    groups = uneven(60)
    made = fit(x[:60], y[:60])
    r2, interval = held_out(made, x[60:], y[60:], groups, n_resamples=300)
    predicted, mean = made.predict(x[60:]), y[60:].mean(0)
    assert r2 == pytest.approx(r2_score(y[60:], predicted, multioutput="variance_weighted"))
    resampled = []
    for counts in resample_weights(60, 300, clusters=groups).astype(int):
        rows = np.repeat(np.arange(60), counts)
        resampled.append(1 - ((y[60:] - predicted)[rows] ** 2).sum() / ((y[60:] - mean)[rows] ** 2).sum())
    assert interval == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])))
    assert interval[0] < r2 < interval[1]


def test_one_group_has_no_interval():
    x, y = pair()
    assert held_out(fit(x, y), x, y, ["the only one"] * len(x))[1] == UNKNOWN


X, Y = pair()
BAD = {
    "a row too many": ((X[1:], Y), {}, "59 rows"),
    "not finite": ((np.where(X[3, 3] == X, np.inf, X), Y), {}, "donor's activations hold"),
    "NaN": ((X, np.where(Y[3, 3] == Y, np.nan, Y)), {}, "receiver's activations hold"),
    "width 0": ((X[:, :0], Y), {}, r"shape \[60, 0\]"),
    "one axis": ((X, Y[:, 0]), {}, r"shape \[60\]"),
    "no rows": ((X[:0], Y[:0]), {}, r"shape \[0, 12\]"),
    "donor does not vary": ((X * 0 + 0.1, Y), {}, "same in all rows"),
    "receiver does not vary": ((X, Y * 0 + 0.1), {}, "R² has no meaning"),
    "folds of one row": ((X[:5], Y[:5]), {}, "fewer folds"),
    "fewer groups than folds": ((X, Y), {"groups": [0, 1, 2, 3] * 15}, "4 groups"),
    "one fold": ((X, Y), {"folds": 1}, "at least 2 folds"),
    "groups of other rows": ((X, Y), {"groups": [0, 1]}, "2 groups were given for 60 rows"),
    "strength 0": ((X, Y), {"strengths": [1.0, 0.0]}, "positive"),
    "strength NaN": ((X, Y), {"strengths": [float("nan")]}, "positive"),
    "no strength": ((X, Y), {"strengths": []}, "positive"),
}


@pytest.mark.parametrize(("rows", "options", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_fitted_says_why(rows, options, message):
    with pytest.raises(BadInput, match=message):
        fit(*rows, **options)


def test_a_map_is_not_tried_on_another_models_activations_nor_on_ones_that_do_not_vary():
    made = fit(X, Y)
    with pytest.raises(BadInput, match="from width 12 to 9"):
        held_out(made, Y, X)
    with pytest.raises(BadInput, match="R² has no meaning"):
        held_out(made, X[:1], Y[:1])
