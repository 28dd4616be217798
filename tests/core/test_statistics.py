"""Intervals, tests and corrections against closed forms, scipy, statsmodels and naive loops."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from core.errors import BadInput
from core.statistics import (
    benjamini_hochberg,
    bootstrap,
    cluster_bootstrap,
    empirical_p,
    holm,
    mcnemar,
    newcombe,
    paired_difference,
    percentile_interval,
    permutation_test,
    resample_weights,
    wilson,
)

NAN = float("nan")
quick = settings(max_examples=25, deadline=None)
samples = st.lists(st.integers(-50, 50), min_size=2, max_size=30).map(lambda x: np.array(x, dtype=float))
shares = st.floats(0, 1)
p_lists = st.lists(shares, min_size=1, max_size=12)


def unknown(interval):
    return all(math.isnan(end) for end in interval)


def test_importing_leaves_scipy_until_it_is_needed():
    code = "import core.statistics, sys; sys.exit(any(name.startswith('scipy') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_its_closed_form(case):
    successes, n = case
    z, share = norm.ppf(0.975), successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = wilson(successes, n)
    assert low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert high == pytest.approx(min(1, centre + half), abs=1e-9)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_equals_statsmodels(case, confidence):
    reference = proportion_confint(*case, alpha=1 - confidence, method="wilson")
    assert wilson(*case, confidence) == pytest.approx(reference, abs=1e-9)


def test_nothing_counted_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 60), st.integers(1, 60), st.randoms(use_true_random=False))
def test_newcombe_equals_statsmodels_and_turns_with_its_sides(n_first, n_second, random):
    first, second = random.randint(0, n_first), random.randint(0, n_second)
    low, high = newcombe(first, n_first, second, n_second)
    expected = confint_proportions_2indep(second, n_second, first, n_first, method="newcomb", compare="diff")
    assert (low, high) == pytest.approx(expected, abs=1e-9)
    assert newcombe(second, n_second, first, n_first) == pytest.approx((-high, -low), abs=1e-9)


def test_a_difference_from_nothing_is_unknown():
    assert all(map(math.isnan, newcombe(0, 0, 3, 4)))


def test_bootstrap_equals_scipys_bca():
    values = np.random.default_rng(5).exponential(size=40)
    reference = stats.bootstrap((values,), np.mean, n_resamples=2000, rng=np.random.default_rng(3))
    assert bootstrap(np.mean, values, seed=3) == pytest.approx(tuple(reference.confidence_interval))


def test_bootstrap_of_a_mean_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = [
        low <= 3 <= high
        for low, high in (bootstrap(np.mean, rng.normal(3, 2, 30), n_resamples=800, seed=run) for run in range(200))
    ]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_interval_of_a_large_sample_equals_the_normal_one():
    values = np.random.default_rng(2).normal(size=3000)
    half = norm.ppf(0.975) * values.std() / math.sqrt(3000)
    assert bootstrap(np.mean, values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


@quick
@given(samples)
def test_interval_of_a_mean_goes_upwards_within_the_data(values):
    low, high = bootstrap(np.mean, values, n_resamples=200)
    assert values.min() <= low <= high <= values.max()


@quick
@given(samples)
def test_a_higher_confidence_gives_no_narrower_interval(values):
    narrow, wide = (bootstrap(np.mean, values, confidence=c, n_resamples=200) for c in (0.6, 0.99))
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@quick
@given(samples, st.sampled_from([-4.0, 0.5, 8.0]))
def test_interval_of_a_mean_moves_with_the_unit(values, factor):
    plain = bootstrap(np.mean, values, n_resamples=200)
    assert bootstrap(np.mean, factor * values, n_resamples=200) == pytest.approx(
        sorted(factor * end for end in plain), abs=1e-9
    )


def test_constant_data_give_an_interval_of_no_width_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bootstrap(np.mean, [0.1] * 9) == (0.1, 0.1)
        assert bootstrap(np.mean, [True] * 9) == (1.0, 1.0)


def test_a_statistic_outside_all_its_resamples_gets_the_percentile_interval():
    values = np.arange(40.0)

    def different(sample):
        return len(np.unique(sample))

    low, high = bootstrap(different, values)
    assert 15 < low < high < 35 < different(values)


def test_resamples_without_the_statistic_are_left_out():
    labels = np.array([1, 1, 0, 0, 0, 0])
    scores = np.array([2.0, 3.0, 1.0, 0.0, 2.5, 1.5])

    def gap(label, score):
        return score[label == 1].mean() - score[label == 0].mean() if 0 < label.sum() < len(label) else NAN

    low, high = bootstrap(gap, labels, scores, paired=True)
    assert -1 < low < gap(labels, scores) < high <= 3


@pytest.mark.parametrize("sample", [[4.0], [1.0, NAN, 2.0]])
def test_one_value_or_an_unknown_value_leaves_the_interval_unknown(sample):
    assert unknown(bootstrap(np.mean, sample))
    assert unknown(paired_difference(sample, np.zeros(len(sample)))[1])
    assert unknown(cluster_bootstrap(np.mean, sample, range(len(sample))))


def test_one_value_in_either_sample_leaves_the_interval_unknown():
    assert unknown(bootstrap(lambda a, b: a.mean() - b.mean(), [1.0, 2.0, 3.0], [1.0]))


def test_paired_samples_are_resampled_together():
    first = np.random.default_rng(0).normal(0, 50, 40)
    second = first + np.random.default_rng(1).normal(1, 0.1, 40)

    def difference(a, b, axis=-1):
        return b.mean(axis=axis) - a.mean(axis=axis)

    together = bootstrap(difference, first, second, paired=True)
    apart = bootstrap(difference, first, second)
    assert together == pytest.approx((1, 1), abs=0.1)
    assert apart[1] - apart[0] > 20


def test_statistics_with_and_without_an_axis_get_the_same_interval():
    values = np.random.default_rng(8).normal(size=25)
    assert bootstrap(lambda x: x.mean(), values) == pytest.approx(bootstrap(np.mean, values))


def test_memory_limit_on_resamples_does_not_change_what_is_covered(monkeypatch):
    values = np.random.default_rng(8).normal(size=25)
    whole = bootstrap(np.mean, values)
    monkeypatch.setattr("core.statistics.BATCH_VALUES", 200)
    assert bootstrap(np.mean, values) == pytest.approx(whole, abs=0.05)


def test_nothing_to_measure_is_bad_input():
    for call in (
        lambda: bootstrap(np.mean, []),
        lambda: cluster_bootstrap(np.mean, [], []),
        lambda: paired_difference([], []),
        lambda: resample_weights(0),
    ):
        with pytest.raises(BadInput):
            call()


def test_sizes_that_do_not_fit_are_refused():
    for call in (
        lambda: bootstrap(np.mean),
        lambda: bootstrap(np.mean, np.ones((3, 2))),
        lambda: bootstrap(lambda a, b: 0.0, [1.0], [1.0, 2.0], paired=True),
        lambda: cluster_bootstrap(np.mean, [1.0, 2.0], ["a"]),
        lambda: paired_difference([1.0], [1.0, 2.0]),
        lambda: permutation_test([1.0], [1.0, 2.0]),
        lambda: percentile_interval([1.0], confidence=95),
    ):
        with pytest.raises(ValueError):
            call()


@quick
@given(samples, st.randoms(use_true_random=False))
def test_paired_difference_is_the_mean_change_and_turns_with_its_sides(first, random):
    second = np.array([value + random.randint(-5, 5) for value in first])
    mean, (low, high) = paired_difference(first, second, n_resamples=200)
    back, (back_low, back_high) = paired_difference(second, first, n_resamples=200)
    assert mean == pytest.approx(np.mean(second) - np.mean(first)) == -back
    assert (second - first).min() <= low <= high <= (second - first).max()
    assert (back_low, back_high) == pytest.approx((-high, -low), abs=1e-9)


def test_paired_difference_takes_shares_of_true_and_false():
    mean, (low, high) = paired_difference([True] * 20 + [False] * 20, [False] * 40)
    assert mean == -0.5
    assert -0.7 < low < -0.5 < high < -0.3


@quick
@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 99))
def test_weights_count_what_a_naive_loop_draws(n, n_resamples, seed):
    drawn = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
    naive = np.zeros((n_resamples, n))
    for row, prompts in enumerate(drawn):
        for prompt in prompts:
            naive[row, prompt] += 1
    weights = resample_weights(n, n_resamples, seed)
    assert weights.dtype == float
    assert np.array_equal(weights, naive)
    assert (weights.sum(axis=1) == n).all()


@quick
@given(st.lists(st.sampled_from(["a", "b", ("c", 1), 4]), min_size=1, max_size=15))
def test_clusters_are_drawn_whole_and_as_many_as_there_are(clusters):
    weights = resample_weights(len(clusters), 50, clusters=clusters)
    firsts = [clusters.index(label) for label in clusters]
    assert np.array_equal(weights, weights[:, firsts])
    assert (weights[:, sorted(set(firsts))].sum(axis=1) == len(set(clusters))).all()


def test_every_prompt_is_drawn_once_on_average_and_varies_like_a_multinomial():
    weights = resample_weights(10, 20_000)
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.04)
    assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.05)


def test_weighted_means_give_the_bootstrap_interval_of_every_column_at_once():
    values = np.random.default_rng(4).normal(size=(60, 3))
    low, high = percentile_interval(resample_weights(60) @ values / 60)
    assert low.shape == high.shape == (3,)
    for column in range(3):
        interval = bootstrap(np.mean, values[:, column])
        width = interval[1] - interval[0]
        assert (low[column], high[column]) == pytest.approx(interval, abs=0.1 * width)


def test_clusters_of_one_prompt_give_the_plain_bootstrap():
    values = np.random.default_rng(6).normal(size=50)
    plain = bootstrap(np.mean, values)
    alone = cluster_bootstrap(np.mean, values, list(range(50)))
    assert alone == pytest.approx(plain, abs=0.08 * (plain[1] - plain[0]))
    assert alone == pytest.approx(percentile_interval(resample_weights(50) @ values / 50))


def test_answers_that_repeat_within_a_question_do_not_narrow_the_interval():
    questions = np.random.default_rng(7).normal(size=20)
    once = cluster_bootstrap(np.mean, questions, range(20))
    ten_times = cluster_bootstrap(np.mean, np.repeat(questions, 10), np.repeat(np.arange(20), 10).tolist())
    assert ten_times == pytest.approx(once)
    low, high = bootstrap(np.mean, np.repeat(questions, 10))
    assert high - low < 0.5 * (once[1] - once[0])


def test_one_question_leaves_the_clustered_interval_unknown():
    assert unknown(cluster_bootstrap(np.mean, [1.0, 2.0, 3.0], ["same"] * 3))


def test_clusters_of_uneven_size_follow_a_loop_that_draws_them():
    values, clusters = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), ["x", "y", "x", "z", "z", "z"]
    groups = [values[[label == name for label in clusters]] for name in "xyz"]
    every = [np.median(np.concatenate([groups[i] for i in chosen])) for chosen in product(range(3), repeat=3)]
    low, high = cluster_bootstrap(np.median, values, clusters, confidence=0.999)
    assert (low, high) == (min(every), max(every))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0.05, 0.99))
def test_percentile_interval_equals_numpy_and_leaves_out_what_is_undefined(resampled, confidence):
    reference = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    assert percentile_interval(resampled, confidence) == pytest.approx(tuple(reference))
    assert percentile_interval([NAN, *resampled, NAN], confidence) == pytest.approx(tuple(reference))


def test_percentile_interval_follows_the_axis_and_is_unknown_where_nothing_is_defined():
    resampled = np.array([[0.0, 1.0, 2.0], [NAN, NAN, NAN]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = percentile_interval(resampled, 0.5, axis=1)
        assert unknown(percentile_interval([NAN, NAN]))
        assert unknown(percentile_interval([]))
    assert np.array_equal(low, [0.5, NAN], equal_nan=True)
    assert np.array_equal(high, [1.5, NAN], equal_nan=True)


def test_infinite_resamples_widen_the_interval_and_are_not_unknown():
    assert percentile_interval([-math.inf] * 30 + [0.0] * 40 + [math.inf] * 30) == (-math.inf, math.inf)
    assert percentile_interval([0.0] * 99 + [math.inf], 0.9) == (0.0, 0.0)
    assert percentile_interval([0.0, math.inf], 0.5) == (0.0, math.inf)
    assert percentile_interval([-math.inf, 0.0], 0.5) == (-math.inf, 0.0)


def test_seeds_reproduce_and_differ():
    values, other = np.random.default_rng(9).normal(size=(2, 30))
    for draw in (
        lambda seed: bootstrap(np.mean, values, seed=seed),
        lambda seed: cluster_bootstrap(np.mean, values, [i // 3 for i in range(30)], seed=seed),
        lambda seed: paired_difference(values, other, seed=seed)[1],
        lambda seed: permutation_test(values, other, n_resamples=999, seed=seed),
        lambda seed: resample_weights(30, 5, seed).tolist(),
    ):
        assert draw(0) == draw(0) != draw(1)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_statsmodels_and_does_not_care_which_is_first(first, second):
    reference = reference_mcnemar([[7, first], [second, 3]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(min(1.0, reference))
    assert mcnemar(first, second) == mcnemar(second, first)


def test_mcnemar_of_no_discordant_pair_is_one_and_of_five_to_none_is_a_sixteenth():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 / 2**5)
    with pytest.raises(ValueError):
        mcnemar(-1, 1)


@quick
@given(st.lists(st.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1)]), min_size=2, max_size=9))
def test_permutation_of_paired_yes_and_no_equals_mcnemar(pairs):
    first, second = np.array(pairs).T
    discordant = [int(((first == a) & (second == 1 - a)).sum()) for a in (1, 0)]
    assert permutation_test(0.1 * first, 0.1 * second) == pytest.approx(mcnemar(*discordant))


def test_permutation_of_independent_samples_counts_every_arrangement():
    # {7, 8, 9} against {1, 2, 3, 4}: the most extreme of C(7, 3) = 35 arrangements, on either side
    assert permutation_test([7, 8, 9], [1, 2, 3, 4], paired=False) == pytest.approx(2 / 35)


@quick
@example([3, 4, 5, 3, 2, 1], [2, 2, 4, 5, 0, 5])
@given(*[st.lists(st.integers(0, 5), min_size=2, max_size=6)] * 2)
def test_equal_means_tie_in_spite_of_rounding_errors(first, second):
    pool, n = first + second, len(first)
    sums = np.array([sum(chosen) for chosen in combinations(pool, n)])  # whole numbers: exact
    extreme = min((sums <= sum(first)).mean(), (sums >= sum(first)).mean())
    tenths = 0.1 * np.array(first), 0.1 * np.array(second)
    assert permutation_test(*tenths, paired=False) == pytest.approx(min(1, 2 * extreme))


@quick
@given(samples, st.integers(-5, 5), st.sampled_from([1e-6, 0.3, 1e5]), st.booleans())
def test_permutation_p_ignores_the_unit_and_the_zero_point(first, shift, factor, paired):
    second = np.roll(first, 1) + shift
    p = permutation_test(first, second, paired, n_resamples=199)
    assert 0 < p <= 1
    assert permutation_test(factor * first + 40 * factor, factor * second + 40 * factor, paired, 199) == p


def test_permutation_p_is_near_the_t_test_on_normal_data():
    rng = np.random.default_rng(11)
    first, second = rng.normal(0, 1, 60), rng.normal(0.4, 1, 60)
    assert permutation_test(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.02)
    assert permutation_test(first, second, paired=False) == pytest.approx(
        stats.ttest_ind(first, second).pvalue, abs=0.02
    )


def test_permutation_p_is_never_zero_and_is_unknown_where_a_value_is():
    assert permutation_test(np.zeros(50), np.ones(50), n_resamples=99) == pytest.approx(2 / 100)
    assert permutation_test([1.0], [2.0]) == permutation_test([], []) == 1.0
    assert permutation_test([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert math.isnan(permutation_test([0.0, NAN, 0.0], [1.0, 1.0, 1.0]))


@given(shares, st.lists(shares, max_size=30), st.sampled_from(["less", "greater"]))
def test_empirical_p_lies_within_its_bounds_and_ignores_the_order(observed, draws, better):
    p = empirical_p(observed, draws, better)
    assert 1 / (1 + len(draws)) <= p <= 1
    assert p == empirical_p(observed, draws[::-1], better) == empirical_p(observed, [*draws, NAN], better)
    other = empirical_p(observed, draws, "less" if better == "greater" else "greater")
    ties = draws.count(observed)
    assert (p + other) * (1 + len(draws)) == pytest.approx(2 + len(draws) + ties)


@pytest.mark.parametrize(("better", "p"), [("less", 2 / 4), ("greater", 4 / 4)])
def test_empirical_p_counts_draws_at_least_as_good(better, p):
    assert empirical_p(1.0, [1.0, 2.0, 3.0], better) == p


def test_empirical_p_without_draws_is_one_and_of_an_unknown_is_unknown():
    assert empirical_p(0.0, [], "less") == 1.0
    assert math.isnan(empirical_p(NAN, [1.0], "less"))
    with pytest.raises(ValueError):
        empirical_p(0.0, [1.0], "more")


@quick  # statsmodels takes its time over Holm
@given(p_lists)
def test_corrections_equal_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


@given(p_lists)
def test_holm_is_at_least_benjamini_hochberg_which_is_at_least_the_raw_p(p_values):
    for raw, false_share, any_false in zip(p_values, benjamini_hochberg(p_values), holm(p_values), strict=True):
        assert raw <= false_share <= any_false <= 1


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@given(p_values=p_lists, random=st.randoms(use_true_random=False))
def test_corrections_keep_the_ranking_and_follow_the_order_given(correct, p_values, random):
    adjusted = correct(p_values)
    by_raw = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert by_raw == sorted(by_raw)
    shuffled = random.sample(range(len(p_values)), len(p_values))
    assert correct([p_values[i] for i in shuffled]) == [adjusted[i] for i in shuffled]


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@given(p_values=p_lists, place=st.integers(0, 12))
def test_an_unknown_p_stays_unknown_and_is_no_comparison(correct, p_values, place):
    adjusted = correct([*p_values[:place], NAN, *p_values[place:]])
    unknown_one = adjusted.pop(min(place, len(p_values)))
    assert math.isnan(unknown_one)
    assert adjusted == correct(p_values)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_corrections_of_nothing_are_nothing_and_of_no_p_are_refused(correct):
    assert correct([]) == []
    assert unknown(correct([NAN, NAN]))
    with pytest.raises(ValueError):
        correct([0.5, 1.5])


def test_corrections_in_closed_form():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
