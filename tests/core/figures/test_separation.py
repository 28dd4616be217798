"""The separation figures show the rows and numbers they were given, their intervals, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DamagedArtifact
from core.figures import separation as rows_figures
from core.figures.separation import bins, clouds_csv, describe_histogram, describe_scatter, histogram, scatter
from core.figures.separation_blocks import cosines, profile
from core.figures.separation_tables import (
    METRICS,
    cosines_csv,
    describe_cosines,
    describe_profile,
    profile_csv,
    shown_value,
)
from core.studies import separation_words as words
from core.studies.separation.rows import classes, clouds, misses, negative_mean, shifted, threshold
from tests import sample_separation

CONTRASTS = ("model", "content", "response")


@pytest.fixture
def result():
    return sample_separation.make()


def cloud(values, arm="base"):
    texts = ("a question",) * len(values)
    return rows_figures.Cloud(arm, arm, np.array(values, dtype=float), ("everyday",) * len(values), texts)


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


# histogram


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40), st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_every_row_is_in_exactly_one_bar(first, second):
    found = [cloud(first, "organism"), cloud(second, "base")]
    figure = histogram(found, 0.0, "along")
    for trace, source in zip(figure.data, found, strict=True):
        assert int(trace.customdata[:, 2].sum()) == len(source)
        assert sum(trace.y) == pytest.approx(100)


def test_all_arms_share_their_bars_and_no_value_lies_outside(result):
    found = clouds(result, "model", 2)
    edges = bins(found)
    values = np.concatenate([item.x for item in found])
    assert edges[0] < values.min()
    assert edges[-1] > values.max()
    assert all(np.array_equal(trace.width, np.diff(edges)) for trace in histogram(found, 0, "x").data)


def test_rows_of_one_value_still_make_a_histogram():
    figure = histogram([cloud([3.0] * 9)], 3.0, "along")
    assert max(figure.data[0].y) == pytest.approx(100)


def test_arms_differ_in_more_than_colour_and_the_third_is_an_outline(result):
    found = clouds(result, "model", 2)
    figure = histogram(found, 1.0, "along", outlined=["secure"])
    bars = [trace for trace in figure.data if trace.type == "bar"]
    lines = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines"]
    assert len({trace.marker.pattern.shape for trace in bars}) == len(bars) == 2
    assert [trace.name for trace in lines] == [f"secure (n = {sample_separation.PROMPTS})"]
    assert len({rows_figures.look(arm).symbol for arm in ("base", "organism", "secure")}) == 3


def test_the_threshold_is_a_labelled_line_midway_between_the_training_means(result):
    for block in range(sample_separation.BLOCKS):
        zero = negative_mean(result.summary, block)
        limit = threshold(result, "model", block) - zero
        assert limit == pytest.approx(result.summary["blocks"][block]["norm"] / 2, rel=1e-4)
        figure = histogram([shifted(item, zero) for item in clouds(result, "model", block)], limit, "x")
        assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == limit
        assert figure.layout.annotations[0].text.startswith("threshold ")


def test_zero_is_near_the_negative_class(result):
    zero = negative_mean(result.summary, 2)
    base = next(item for item in clouds(result, "model", 2) if item.arm == "base")
    assert abs(shifted(base, zero).x.mean()) < 1


# scatter and tooltips


def test_the_scatter_has_every_row_once_with_prompt_and_suite(result):
    found = clouds(result, "model", 1, "content")
    figure = scatter(found, "across", "up")
    assert [len(trace.x) for trace in figure.data] == [sample_separation.PROMPTS] * 3
    assert figure.data[0].customdata[1][0] == "everyday"
    assert figure.data[0].customdata[1][1] == "Question 1?"
    assert {(shape.x0, shape.y0) for shape in figure.layout.shapes} == {(0, 0)}


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_a_tooltip_holds_no_tag_but_its_own_line_breaks_and_is_short(text):
    shown = rows_figures.literal_tooltip(text)
    plain = shown.replace("<br>", " ")
    assert "<" not in plain
    assert ">" not in plain
    assert len(unescape(plain)) <= rows_figures.SHOWN + 8
    shown.encode()


def test_html_in_prompts_answers_and_names_is_escaped():
    result = sample_separation.make("response")
    figure = scatter(clouds(result, "response", 1, "model"), "<i>x</i>", "y")
    text = figure.to_json()
    assert "<script>" not in text
    assert "<b>bold" not in text
    assert "<i>x" not in text
    assert "answer:" in figure.data[0].customdata[0][2]


def test_a_suite_keeps_only_its_rows(result):
    for suite in ("everyday", "technical"):
        assert {name for item in clouds(result, "model", 0, suite=suite) for name in item.suites} == {suite}


def test_arrays_that_do_not_fit_are_named(result):
    result.arrays["model/base"] = result.arrays["model/base"][:, :-1]
    with pytest.raises(DamagedArtifact, match="--fresh"):
        clouds(result, "model", 0)
    del result.arrays["model/secure"]
    with pytest.raises(DamagedArtifact, match="model/secure"):
        clouds(replace_arm(result), "model", 0)


def replace_arm(result):
    result.arrays["model/base"] = result.arrays["model/organism"]
    return result


# rows on the wrong side


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_the_wrong_side_agrees_with_the_accuracy_at_every_block(contrast):
    result = sample_separation.make(contrast, gap=1.5)
    positive, negative = classes(result.summary)
    for row in result.summary["blocks"]:
        found = misses(result, row["block"])
        assert [miss.distance for miss in found] == sorted((miss.distance for miss in found), reverse=True)
        wrong = [sum(miss.arm == arm for miss in found) / sample_separation.PROMPTS for arm in (positive, negative)]
        assert 1 - sum(wrong) / 2 == pytest.approx(row["balanced_accuracy"], abs=1e-5)
        assert all((miss.answer is not None) == (contrast == "response") for miss in found)


# over blocks


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_profile_has_each_blocks_number_and_interval(result, metric):
    figure = profile(result.summary, metric, 2)
    own = next(trace for trace in figure.data if trace.name == "this direction")
    assert list(own.x) == list(range(sample_separation.BLOCKS))
    for place, row in enumerate(result.summary["blocks"]):
        assert own.y[place] == pytest.approx(metric.factor * row[metric.value])
        assert shown_value(row, metric)[1] in own.customdata[place][0]
    assert max(own.marker.size) == own.marker.size[2] > min(own.marker.size)


def test_only_accuracy_shows_nulls_and_ceiling(result):
    for key, metric in METRICS.items():
        names = " ".join(trace.name or "" for trace in profile(result.summary, metric, 0).data)
        for null in ("random", "shuffled", "probe"):
            assert (null in names) == (key == "accuracy")
        assert "secure" in names


def test_unknown_numbers_leave_gaps_and_are_called_unknown(result):
    row = result.summary["blocks"][1]
    row |= {"cohens_d": None, "cohens_d_interval": [None, None]}
    own = next(trace for trace in profile(result.summary, METRICS["d"], 0).data if trace.name == "this direction")
    assert own.y[1] is None
    assert shown_value(row, METRICS["d"]) == ("unknown", "unknown")
    assert "unknown" in describe_profile(result.summary, METRICS["d"], 1)
    assert table(profile_csv(result.summary))[1]["cohens_d"] == ""


def test_cosines_are_centred_on_zero_and_show_every_pair(result):
    figure = cosines(result.summary, 1)
    low, high = figure.layout.yaxis.range
    assert low == -high
    assert [trace.name for trace in figure.data] == list(result.summary["cosines"])
    assert len({(trace.line.dash, trace.marker.symbol) for trace in figure.data}) == len(figure.data)


def test_no_secure_organism_leaves_the_control_out_everywhere(result):
    summary = {**result.summary, "secure": None}
    assert all("secure" not in (trace.name or "") for trace in profile(summary, METRICS["accuracy"], 0).data)
    assert "secure_own" not in table(profile_csv(summary))[0]
    assert words.reading_of_secure(summary, 0) is None


# tables and words


def test_the_tables_hold_every_row_and_block(result):
    found = clouds(result, "model", 1, "content")
    lines = table(clouds_csv(found, "x", "y"))
    assert len(lines) == 3 * sample_separation.PROMPTS
    assert float(lines[0]["y"]) == pytest.approx(found[0].y[0], rel=1e-5)
    assert lines[0]["prompt"] == sample_separation.TAGS
    blocks = table(profile_csv(result.summary))
    for line, row in zip(blocks, result.summary["blocks"], strict=True):
        assert float(line["balanced_accuracy_low"]) == row["interval"][0]
        assert float(line["probe"]) == row["ceiling"]
        assert float(line["random_high"]) == row["random"][1]
    assert len(table(cosines_csv(result.summary))) == sample_separation.BLOCKS


def test_each_figure_is_told_in_words(result):
    found = clouds(result, "model", 1, "content")
    assert f"{sample_separation.PROMPTS} rows" in describe_histogram(found, 0.0)
    assert "on across" in describe_scatter(found, "across", "up")
    assert "at the chosen block 3" in describe_profile(result.summary, METRICS["accuracy"], 3)
    assert "model · secure" in describe_cosines(result.summary, 0)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_no_colour_of_text_is_fixed_and_all_is_plain_json(contrast):
    result = sample_separation.make(contrast)
    found = clouds(result, contrast, 1, "model")
    drawn = [histogram(found, 0.0, "x"), scatter(found, "x", "y"), cosines(result.summary, 1)]
    for figure in [*drawn, *(profile(result.summary, metric, 1) for metric in METRICS.values())]:
        assert json.loads(figure.to_json())["data"]
        assert figure.layout.font.color is None
        assert all(note.font.color is None for note in figure.layout.annotations)


def numbers(share, low, high, random, ceiling, own, along):
    """A summary of one block with these shares."""
    secure = [{"balanced_accuracy": value, "interval": [value - 0.02, min(1, value + 0.02)]} for value in (own, along)]
    row = {
        "balanced_accuracy": share,
        "interval": [low, high],
        "random": [0.5, random],
        "random_mean": 0.55,
        "ceiling": ceiling,
        "norm": 2.0,
    }
    return {
        "positive": "A",
        "negative": "B",
        "organism": "insecure",
        "secure_organism": "secure",
        "n_held_out": 100,
        "blocks": [row],
        "secure": {"own": secure[:1], "on_direction": secure[1:], "shift": [1.0]},
    }


shares = st.floats(0.0, 1.0)


@given(shares, st.floats(0, 0.2), shares, shares, shares, shares, st.sampled_from(CONTRASTS))
@settings(max_examples=300, deadline=None)
def test_the_words_stay_true_whichever_way_the_numbers_fall(share, half, random, ceiling, own, along, contrast):
    low, high = max(0.0, share - half), min(1.0, share + half)
    summary = {**numbers(share, low, high, random, ceiling, own, along), "contrast": contrast}
    said = words.headline(summary, 0)
    read = words.reading(summary, 0)
    assert ("does not tell" in said) == (low <= 0.5)
    assert ("worse than a coin" in said) == (high < 0.5) == ("worse than a coin" in read)
    assert ("no better than a coin" in said) == (low <= 0.5 <= high) == ("no better than a coin" in read)
    assert ("random directions" in said) == (low > 0.5)
    assert ("so do some random directions" in said) == (low > 0.5 and random >= share - words.AS_GOOD)
    assert ("lie so far apart" in read) <= (share >= 0.9 and random >= share - words.AS_GOOD)
    assert ("holds nearly all" in read) <= (abs(ceiling - share) < 0.02)
    assert ("points less" in read) == (100 * (ceiling - share) < -2)
    if contrast != "model":
        assert "secure control" not in said
    elif "so does the secure control" in said:
        assert own - 0.02 > 0.5
        assert own >= share - words.AS_GOOD
    control = words.reading_of_secure(summary, 0)
    if contrast == "response":
        assert ("whoever writes it" in control) == (along - 0.02 > 0.5)
    else:
        assert ("does not separate from its base" in control) == (own - 0.02 <= 0.5)


def test_a_direction_without_length_has_words_too():
    summary = {**numbers(1, 0.9, 1, 0.6, 1, 1, 1), "contrast": "model"}
    summary["blocks"][0]["norm"] = 0.0
    assert "its shift is 1 long." in words.reading_of_secure(summary, 0)


def test_a_cloud_can_be_moved_without_its_second_axis():
    assert list(shifted(replace(cloud([1.0, 2.0]), y=None), 1.0).x) == [0.0, 1.0]
