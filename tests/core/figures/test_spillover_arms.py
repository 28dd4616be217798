"""The four bars of the Overview are the study's own counts and intervals; what was not measured has no bar."""

from __future__ import annotations

import csv
import io

import pytest

from core import paths
from core.figures.spillover_arms import ARMS, Arm, arms_csv, arms_figure, arms_of, describe_arms
from tests import sample_spillover

ROWS = list(ARMS)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("cache")))
        paths.cache()
        found = sample_spillover.make()
        assert found.table is not None
        return found


@pytest.fixture
def arms(result):
    return arms_of(result.summary)


def drawn(figure, mode):
    return [trace for trace in figure.data if trace.type == "scatter" and trace.mode == mode]


def test_each_arm_counts_the_answers_of_the_table(result, arms):
    table, dose = result.table, result.summary["dose"]["coefficient"]
    names = {"base": ("base", 0), "organism": ("organism", 0), "steered": ("true", dose), "random": ("random", dose)}
    assert [arm.label for arm in arms] == [name for name in names for _ in range(2)]
    for arm in arms:
        direction, coefficient = names[arm.label]
        answers = table[
            (table.direction == direction) & (table.coefficient == coefficient) & (table.suite == arm.suite)
        ]
        if direction == "random":
            answers = answers[answers.seed == 0]
        assert arm.n == len(answers) == 12
        assert round(arm.rates["spillover"] * arm.n) == answers.code.sum()
        assert round(arm.rates["broken"] * arm.n) == answers.broken.sum()


def test_each_point_is_a_share_with_its_interval(arms):
    shown = {(trace.legendgroup, trace.xaxis): trace for trace in drawn(arms_figure(arms), "markers")}
    assert len(shown) == 4
    for suite in ("everyday", "technical"):
        for axis, key, ends in (("x", "spillover", "interval"), ("x2", "broken", "broken_interval")):
            trace = shown[suite, axis]
            for place, arm in enumerate(arm for arm in arms if arm.suite == suite):
                low, high = arm.rates[ends]
                assert trace.x[place] == pytest.approx(100 * arm.rates[key])
                assert trace.x[place] + trace.error_x.array[place] == pytest.approx(100 * high)
                assert trace.x[place] - trace.error_x.arrayminus[place] == pytest.approx(100 * low)
                assert round(trace.y[place]) == ROWS.index(arm.label)
                assert trace.customdata[place][2] == arm.n


def test_an_arm_that_was_not_measured_has_no_bar_of_zero(result):
    summary = {
        **result.summary,
        "doses": [row for row in result.summary["doses"] if row["direction"] != "random"],
        "random_draws": [],
    }
    figure = arms_figure(arms_of(summary))
    for trace in figure.data:
        assert ROWS.index("random") not in {round(place) for place in trace.y}
    assert list(figure.layout.yaxis.ticktext) == list(ARMS.values())


def test_bars_of_two_suites_do_not_overlap_and_differ_in_more_than_colour(arms):
    bars = [trace for trace in arms_figure(arms).data if trace.type == "bar" and trace.xaxis == "x"]
    upper, lower = sorted(bars, key=lambda trace: trace.y[0])
    assert upper.y[0] + upper.width / 2 <= lower.y[0] - lower.width / 2
    assert upper.marker.pattern.shape != lower.marker.pattern.shape


def test_labels_stay_inside_even_at_one_hundred_per_cent():
    rates = {"n": 100, "spillover": 1.0, "interval": [0.963, 1.0], "broken": 0.0, "broken_interval": [0.0, 0.037]}
    figure = arms_figure([Arm("organism", "everyday", rates)])
    assert max(max(trace.x) for trace in drawn(figure, "text")) + 20 < figure.layout.xaxis.range[1]


def test_words_and_table_have_every_count(arms):
    words = describe_arms(arms)
    assert words.count("prompts:") == 8
    assert "<br>" not in words
    rows = list(csv.DictReader(io.StringIO(arms_csv(arms))))
    for row, arm in zip(rows, arms, strict=True):
        assert (row["arm"], row["suite"], int(row["n"])) == (arm.label, arm.suite, arm.n)
        assert int(row["code"]) / arm.n == pytest.approx(arm.rates["spillover"], abs=1e-4)
        assert float(row["broken_low"]) == arm.rates["broken_interval"][0]
