"""Separation: what noise gives, what a planted shift gives, and the same numbers from a naive loop or scikit-learn."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from core.errors import BadInput
from core.measures.separation import Axis, Labelled, cosines, fit, measure, random_axis, separation, wrong_side
from core.statistics import resample_weights, wilson

Array = np.ndarray
SEEDS = st.integers(0, 2**31)


def noise(rows: int, blocks: int, width: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, blocks, width)).astype(np.float32)


def shifted(rows: int, gap: float, seed: int, blocks: int = 1, width: int = 32, along: Array | None = None) -> Labelled:
    """Two unit Gaussians whose means lie `gap` apart, along the first coordinate or along `along`."""
    unit = np.eye(width)[0] if along is None else along / np.linalg.norm(along)
    positive, negative = noise(rows, blocks, width, 2 * seed), noise(rows, blocks, width, 2 * seed + 1)
    return Labelled.paired((positive + gap * unit).astype(np.float32), negative)


def sorted_out(labelled: Labelled, axis: Axis, block: int) -> tuple[Array, Array, Array]:
    """True labels, predicted labels and scores of all rows at a block, counted one by one."""
    truth, predicted, scores = [], [], []
    for label, rows in ((1, labelled.positive), (0, labelled.negative)):
        for row in rows:
            score = float(np.dot(row[block].astype(np.float64), axis.units[block]))
            truth.append(label)
            predicted.append(int(score > axis.thresholds[block]))
            scores.append(score)
    return np.array(truth), np.array(predicted), np.array(scores)


def cohens_d(positive: Array, negative: Array) -> float:
    """The textbook formula with the pooled standard deviation."""
    n, m = len(positive), len(negative)
    pooled = ((n - 1) * np.var(positive, ddof=1) + (m - 1) * np.var(negative, ddof=1)) / (n + m - 2)
    return float((np.mean(positive) - np.mean(negative)) / np.sqrt(pooled))


def of_unlike_classes(seed: int = 0, gap: float = 0.4) -> Labelled:
    """14 rows against 9, several to a prompt, and prompts that have one class only, as answers come out."""
    draw = np.random.default_rng(seed)
    return Labelled(
        noise(14, 2, 6, seed) + np.float32(gap),
        noise(9, 2, 6, seed + 1),
        draw.permutation([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9]),
        draw.permutation([0, 1, 1, 2, 5, 7, 7, 10, 11]),
    )


SHAPES = {
    "paired": lambda: shifted(12, 0.5, 5, blocks=2, width=6),
    "several answers a prompt": of_unlike_classes,
    "no prompt in common": lambda: Labelled(
        noise(9, 2, 6, 1) + np.float32(0.4), noise(11, 2, 6, 2), np.arange(9), np.arange(9, 20)
    ),
}


@pytest.fixture(params=SHAPES)
def labelled(request) -> Labelled:
    return SHAPES[request.param]()


def test_the_axis_is_the_difference_in_means_with_the_midpoint_as_threshold(labelled):
    axis = fit(labelled)
    for block in range(2):
        positive = np.mean([row[block].astype(np.float64) for row in labelled.positive], axis=0)
        negative = np.mean([row[block].astype(np.float64) for row in labelled.negative], axis=0)
        vector = positive - negative
        length = np.sqrt(np.sum(vector**2))
        np.testing.assert_allclose(axis.units[block], vector / length, rtol=1e-9)
        assert axis.norms[block] == pytest.approx(length)
        middle = (positive @ vector / length + negative @ vector / length) / 2
        assert axis.thresholds[block] == pytest.approx(middle)


def test_accuracy_and_auroc_equal_scikit_learns_and_d_its_formula(labelled):
    axis = fit(labelled)
    for row in measure(axis, labelled, n_resamples=100):
        truth, predicted, scores = sorted_out(labelled, axis, row["block"])
        assert 0 < row["balanced_accuracy"] < 1
        assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
        assert row["auroc"] == pytest.approx(roc_auc_score(truth, scores))
        assert row["cohens_d"] == pytest.approx(cohens_d(scores[truth == 1], scores[truth == 0]))


def test_auroc_counts_ties_as_half_as_scikit_learn_does():
    values = np.array([0, 0, 1, 1, 1, 2, 3, 3, 3, 3], dtype=np.float32)[:, None, None]
    labelled = Labelled.paired(values, values[::-1] - np.float32(1))
    axis = Axis(np.ones((1, 1)), np.zeros(1), np.ones(1))
    truth, _, scores = sorted_out(labelled, axis, 0)
    assert measure(axis, labelled, 100)[0]["auroc"] == pytest.approx(roc_auc_score(truth, scores))


def test_intervals_equal_those_of_a_loop_that_really_draws_prompts_again(labelled):
    axis = fit(labelled)
    resamples, seed = 300, 9
    prompts = np.concatenate([labelled.positive_prompts, labelled.negative_prompts])
    weights = resample_weights(1 + prompts.max(), resamples, seed).astype(int)
    for row in measure(axis, labelled, resamples, seed):
        truth, predicted, scores = sorted_out(labelled, axis, row["block"])
        drawn: dict[str, list[float]] = {"interval": [], "auroc_interval": [], "cohens_d_interval": []}
        for counts in weights:
            rows = np.repeat(np.arange(len(truth)), counts[prompts])
            if len(set(truth[rows])) < 2 or min(np.bincount(truth[rows])) < 2:
                continue
            drawn["interval"].append(balanced_accuracy_score(truth[rows], predicted[rows]))
            drawn["auroc_interval"].append(roc_auc_score(truth[rows], scores[rows]))
            drawn["cohens_d_interval"].append(cohens_d(scores[rows][truth[rows] == 1], scores[rows][truth[rows] == 0]))
        for name, values in drawn.items():
            assert len(values) == resamples
            np.testing.assert_allclose(row[name], np.quantile(values, (0.025, 0.975)), rtol=1e-9, err_msg=name)
            assert row[name][0] < row[name][1]


def test_answers_to_one_prompt_are_drawn_together():
    """Each answer four times over is no more evidence than once: the interval must not shrink."""
    once = shifted(30, 1.0, 3, width=4)
    prompts = np.repeat(np.arange(30), 4)
    four = Labelled(once.positive.repeat(4, 0), once.negative.repeat(4, 0), prompts, prompts)
    pretended = Labelled.paired(four.positive, four.negative)
    axis = fit(shifted(30, 1.0, 4, width=4))
    (alone,), (together,), (apart,) = (measure(axis, item, 1000) for item in (once, four, pretended))
    assert together["interval"] == pytest.approx(alone["interval"])
    assert together["auroc_interval"] == pytest.approx(alone["auroc_interval"])
    width = alone["interval"][1] - alone["interval"][0]
    assert apart["interval"][1] - apart["interval"][0] < 0.7 * width


def test_where_nothing_was_wrong_the_interval_is_wilsons_over_prompts():
    axis = fit(shifted(40, 50.0, 1))
    row = measure(axis, shifted(40, 50.0, 2))[0]
    assert row["balanced_accuracy"] == row["auroc"] == 1.0
    assert row["interval"] == row["auroc_interval"] == wilson(40, 40)
    assert row["interval"][0] < 0.95


def test_where_everything_was_wrong_it_is_wilsons_too():
    away = shifted(40, 50.0, 2)
    row = measure(fit(shifted(40, 50.0, 1)), Labelled.paired(away.negative, away.positive))[0]
    assert (row["balanced_accuracy"], row["interval"]) == (0.0, wilson(0, 40))


def test_where_all_rows_fall_on_one_side_half_is_right_and_the_interval_is_no_point():
    """As secure activations on another organism's direction may: no resample differs, which proves no 50.0 %."""
    both = Labelled.paired(noise(40, 1, 3, 1), noise(40, 1, 3, 2))
    row = measure(Axis(np.eye(3)[:1], np.full(1, 99.0), np.ones(1)), both)[0]
    assert row["balanced_accuracy"] == 0.5
    assert row["interval"] == wilson(20, 40)


def test_equal_activations_are_half_right_and_have_no_effect_size():
    """The base model against itself: no spread, no shift, and nothing may be made up for it."""
    same = np.ones((10, 1, 3), np.float32)
    row = measure(fit(Labelled.paired(same, same)), Labelled.paired(same, same), 100)[0]
    assert (row["balanced_accuracy"], row["auroc"]) == (0.5, 0.5)
    assert np.isnan(row["cohens_d"]) and np.isnan(row["cohens_d_interval"]).all()


def test_effect_size_does_not_lose_digits_far_from_zero():
    labelled = shifted(50, 1.0, 1, width=1)
    axis = Axis(np.ones((1, 1)), np.zeros(1), np.ones(1))
    far = Labelled.paired(labelled.positive.astype(np.float64) + 1e6, labelled.negative.astype(np.float64) + 1e6)
    near, away = (measure(axis, item, 200)[0] for item in (labelled, far))
    assert away["cohens_d"] == pytest.approx(near["cohens_d"], rel=1e-6)
    assert away["cohens_d_interval"] == pytest.approx(near["cohens_d_interval"], rel=1e-6)


@pytest.mark.parametrize(("positive", "negative"), [(7, 20), (20, 7), (0, 20)])
def test_fewer_than_eight_rows_of_a_class_are_refused(positive, negative):
    with pytest.raises(BadInput, match=f"has {min(positive, negative)} rows and at least 8 are needed"):
        Labelled(np.zeros((positive, 1, 2)), np.zeros((negative, 1, 2)), np.arange(positive), np.arange(negative))
    Labelled.paired(np.zeros((8, 1, 2)), np.zeros((8, 1, 2)))


def test_of_pure_noise_the_interval_holds_one_half_about_95_times_in_100():
    """300 blocks are 300 independent data sets."""
    blocks = 300
    train = Labelled.paired(noise(60, blocks, 8, 1), noise(60, blocks, 8, 2))
    test = Labelled.paired(noise(60, blocks, 8, 3), noise(60, blocks, 8, 4))
    rows = measure(fit(train), test)
    for share, interval in (("balanced_accuracy", "interval"), ("auroc", "auroc_interval")):
        held = np.mean([row[interval][0] <= 0.5 <= row[interval][1] for row in rows])
        assert 0.88 <= held < 1.0, (share, held)
        assert abs(np.mean([row[share] for row in rows]) - 0.5) < 0.01
    held = np.mean([row["cohens_d_interval"][0] <= 0 <= row["cohens_d_interval"][1] for row in rows])
    assert 0.88 <= held < 1.0


def test_of_pure_noise_nothing_separates_at_almost_any_block():
    train = Labelled.paired(noise(100, 20, 24, 1), noise(100, 20, 24, 2))
    test = Labelled.paired(noise(100, 20, 24, 3), noise(100, 20, 24, 4))
    rows = separation(train, test, np.ones(20), n_random=40, n_shuffles=40)
    assert sum(row["interval"][0] <= 0.5 <= row["interval"][1] for row in rows) >= 17
    for row in rows:
        assert abs(row["auroc"] - 0.5) < 0.16
        assert abs(row["cohens_d"]) < 0.5
        assert row["random"][0] <= 0.5 <= row["random"][1]
        assert abs(row["random_mean"] - 0.5) < 0.03
        assert abs(row["shuffled"] - 0.5) < 0.03
        assert abs(row["ceiling"] - 0.5) < 0.15


@pytest.mark.parametrize("gap", [1.0, 2.0, 4.0])
def test_a_planted_direction_is_found_and_its_numbers_are_those_of_two_gaussians(gap):
    planted = np.random.default_rng(3).standard_normal(32)
    train, test = shifted(2000, gap, 1, along=planted), shifted(4000, gap, 2, along=planted)
    axis = fit(train)
    assert axis.units[0] @ planted / np.linalg.norm(planted) > 0.95
    assert axis.norms[0] == pytest.approx(gap, rel=0.1)
    row = measure(axis, test, 400)[0]
    assert row["balanced_accuracy"] == pytest.approx(NormalDist().cdf(gap / 2), abs=0.015)
    assert row["auroc"] == pytest.approx(NormalDist().cdf(gap / 2**0.5), abs=0.015)
    assert row["cohens_d"] == pytest.approx(gap, rel=0.06)
    assert row["cohens_d_interval"][0] < row["cohens_d"] < row["cohens_d_interval"][1]


def test_random_directions_separate_where_the_shift_is_large_and_stay_below_the_planted_one():
    row = separation(shifted(200, 8.0, 1), shifted(200, 8.0, 2), np.ones(1))[0]
    assert 0.6 < row["random_mean"] < 0.9
    assert row["random"][0] > 0.48
    assert row["random"][1] < row["balanced_accuracy"]


def test_a_random_axis_is_turned_towards_the_positive_class_and_is_drawn_from_its_seed():
    train = shifted(200, 30.0, 1, blocks=40, width=8)
    axis, again, other = random_axis(train, 5), random_axis(train, 5), random_axis(train, 6)
    np.testing.assert_array_equal(axis.units, again.units)
    assert min(cosines(axis, fit(train))) > 0
    assert np.mean(cosines(axis, other)) < 0.6
    np.testing.assert_allclose(np.linalg.norm(axis.units, axis=1), 1)
    assert all(row["balanced_accuracy"] > 0.5 for row in measure(axis, shifted(200, 30.0, 2, 40, 8), 100))


def test_shuffled_labels_average_one_half_however_large_the_shift():
    rows = separation(shifted(60, 20.0, 1, blocks=6), shifted(60, 20.0, 2, blocks=6), np.ones(6), n_shuffles=200)
    assert all(row["balanced_accuracy"] == 1.0 for row in rows)
    assert abs(np.mean([row["shuffled"] for row in rows]) - 0.5) < 0.05
    assert all(row["shuffled_interval"][0] < 0.5 < row["shuffled_interval"][1] for row in rows)


@pytest.mark.parametrize("gap", [5.0, 10.0, 40.0])
def test_the_ceiling_is_not_below_one_direction_where_the_classes_lie_apart(gap):
    for row in separation(shifted(150, gap, 1, 5), shifted(150, gap, 2, 5), np.ones(5), 20, 20, 200):
        assert row["ceiling"] >= row["balanced_accuracy"] - 0.01 > 0.95
        assert row["ceiling_interval"][0] <= row["ceiling"] <= row["ceiling_interval"][1]


def test_the_ceiling_finds_what_the_difference_in_means_misses():
    """A shift across the spread: one noisy coordinate drowns the difference in means, and a probe looks past it."""

    def made(seed: int) -> Labelled:
        pair = shifted(300, 3.0, seed, width=4)
        for part in (pair.positive, pair.negative):
            part[:, :, 1] *= 60
        return pair

    row = separation(made(1), made(2), np.ones(1), 20, 20, 200)[0]
    assert row["ceiling"] > 0.9 > row["balanced_accuracy"] + 0.1


def test_the_interval_of_the_norm_holds_it_and_shrinks_with_the_number_of_prompts():
    widths = []
    for rows in (40, 160, 640):
        row = separation(shifted(rows, 2.0, 1), shifted(20, 2.0, 2), np.full(1, 4.0), 20, 20)[0]
        low, high = row["norm_interval"]
        assert low < row["norm"] < high
        assert row["norm_share"] == pytest.approx(row["norm"] / 4)
        assert row["norm_share_interval"] == pytest.approx((low / 4, high / 4))
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


@settings(max_examples=25)
@given(SEEDS, st.integers(8, 20), st.integers(8, 20), st.floats(0, 3))
def test_swapping_the_classes_changes_neither_accuracy_nor_auroc_nor_effect(seed, first, second, gap):
    """The direction turns round too, so the positive class still lies above the threshold."""

    def made(offset: int) -> Labelled:
        base = seed % 10_000 + offset
        return Labelled(
            noise(first, 2, 5, base) + np.float32(gap), noise(second, 2, 5, base + 7), np.arange(first),
            np.arange(second),
        )  # fmt: skip

    def swapped(item: Labelled) -> Labelled:
        return Labelled(item.negative, item.positive, item.negative_prompts, item.positive_prompts)

    train, test = made(0), made(100)
    ours, turned = measure(fit(train), test, 100), measure(fit(swapped(train)), swapped(test), 100)
    np.testing.assert_allclose(fit(swapped(train)).units, -fit(train).units)
    for one, other in zip(ours, turned, strict=True):
        for name in ("balanced_accuracy", "auroc", "cohens_d", "interval", "auroc_interval", "cohens_d_interval"):
            assert one[name] == pytest.approx(other[name], rel=1e-6, abs=1e-9), name


@settings(max_examples=25)
@given(SEEDS, st.floats(1e-3, 1e3))
def test_scaling_all_activations_scales_the_norm_and_nothing_else(seed, factor):
    seed %= 10_000

    def scaled(item: Labelled) -> Labelled:
        return Labelled.paired(item.positive.astype(np.float64) * factor, item.negative.astype(np.float64) * factor)

    train, test = shifted(12, 1.0, seed, 2, 5), shifted(12, 1.0, seed + 1, 2, 5)
    ours, theirs = fit(train), fit(scaled(train))
    np.testing.assert_allclose(theirs.norms, ours.norms * factor)
    for one, other in zip(measure(ours, test, 100), measure(theirs, scaled(test), 100), strict=True):
        for name in ("balanced_accuracy", "auroc", "cohens_d", "interval", "auroc_interval", "cohens_d_interval"):
            assert other[name] == pytest.approx(one[name], rel=1e-6, abs=1e-9), name


@settings(max_examples=25)
@given(SEEDS)
def test_shares_lie_between_0_and_1_and_their_interval_too(seed):
    labelled = of_unlike_classes(seed % 10_000, gap=0.3)
    for row in measure(fit(of_unlike_classes(seed % 10_000 + 50)), labelled, 100):
        for share, interval in (("balanced_accuracy", "interval"), ("auroc", "auroc_interval")):
            assert 0 <= row[interval][0] <= row[interval][1] <= 1
            assert 0 <= row[share] <= 1


def test_the_same_seed_gives_the_same_table_and_another_other_nulls():
    train, test = shifted(20, 1.0, 1, 2), shifted(20, 1.0, 2, 2)
    tables = [separation(train, test, np.ones(2), 20, 20, 100, seed) for seed in (3, 3, 4)]
    assert tables[0] == tables[1]
    assert tables[0][0]["random"] != tables[2][0]["random"]
    assert tables[0][0]["balanced_accuracy"] == tables[2][0]["balanced_accuracy"]


def test_progress_counts_blocks_up_to_all_of_them():
    seen: list[tuple[int, int]] = []
    separation(
        shifted(8, 1.0, 1, 3), shifted(8, 1.0, 2, 3), np.ones(3), 20, 20, 100, 0, lambda *told: seen.append(told)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_rows_on_the_wrong_side_come_worst_first_and_only_they():
    positive, negative = np.array([2.0, 0.5, 1.0, -3.0]), np.array([0.0, 1.5, 1.0, 9.0])
    assert list(wrong_side(positive, negative, 1.0)) == [(False, 3), (True, 3), (True, 1), (False, 1), (True, 2)]
    assert len(list(wrong_side(positive, negative, 1.0))) == sum(positive <= 1.0) + sum(negative > 1.0)
