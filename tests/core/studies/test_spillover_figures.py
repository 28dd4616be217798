"""The figures of a spillover study show its numbers, and draw nothing that is unknown."""

from __future__ import annotations

import copy
import csv
import io
import json

import pytest

from core import paths
from core.studies.moves import moves, state
from core.studies.spillover.arms import ARMS, measured
from core.studies.spillover.figures import before_and_after, draws, figures, four_bars, over_doses
from core.studies.spillover.tables import RATES, dose_row, doses, lines, sites
from tests import sample_spillover

SITE = (13, None)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study that cures at −1 and breaks below −1.2, at two blocks; and the same by ablating."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("cache")))
        paths.cache()
        found = {
            "add": sample_spillover.make(blocks=(13, 9)),
            "ablate": sample_spillover.make(mode="ablate", draws=0),
        }
        assert all(result.table is not None for result in found.values())
        return found


@pytest.fixture
def summary(results):
    return copy.deepcopy(results["add"].summary)


def trace(shown, group, axis="y", mode="lines+markers"):
    found = [item for item in shown.figure.data if (item.legendgroup, item.yaxis, item.mode) == (group, axis, mode)]
    assert len(found) == 1
    return found[0]


def table(shown):
    return list(csv.DictReader(io.StringIO(shown.csv())))


# dose-response


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_each_line_shows_its_rows_rate_and_starts_unsteered(summary, rate):
    shown = over_doses(summary, SITE, rate)
    unsteered = next(item for item in summary["arms"] if item["direction"] == "organism")
    for name in ("true", "random", "orthogonal", "wrong_source"):
        line = trace(shown, name)
        expected = {
            item["coefficient"]: item
            for item in summary["doses"]
            if (item["direction"], item["block"]) == (name, SITE[0])
        }
        expected[0] = unsteered
        assert sorted(expected) == list(line.x)
        for x, y, told in zip(line.x, line.y, line.customdata, strict=True):
            assert y == pytest.approx(100 * expected[x][rate.value])
            assert f"n = {expected[x]['n']}" in told
        broken = trace(shown, name, "y2")
        assert [100 * expected[x]["broken"] for x in broken.x] == pytest.approx(list(broken.y))


def test_unsteered_and_base_are_level_lines(summary):
    shown = over_doses(summary, SITE)
    for name in ("organism", "base"):
        value = next(item for item in summary["arms"] if item["direction"] == name)["spillover"]
        assert list(trace(shown, name, mode="lines").y) == pytest.approx([100 * value] * 2)


def test_open_marks_show_coherent_answers_beside_the_rate_over_all(summary):
    (marks,) = over_doses(summary, SITE).figure.select_traces({"marker.symbol": "diamond-open"})
    assert list(marks.y) == pytest.approx([100 * i["spillover_coherent"] for i in lines(summary, SITE)["true"]])
    assert not list(over_doses(summary, SITE, RATES["clean"]).figure.select_traces({"marker.symbol": "diamond-open"}))


def test_the_doses_at_which_more_than_one_in_ten_break_are_shaded(summary):
    shapes = over_doses(summary, SITE).figure.layout.shapes
    spans = [(shape.x0, shape.x1) for shape in shapes if shape.type == "rect"]
    rows = lines(summary, SITE)["true"]
    assert {item["broken"] > 0.1 for item in rows} == {True, False}
    for item in rows:
        inside = any(start <= item["coefficient"] <= end for start, end in spans)
        assert inside == (item["broken"] > 0.1), item["coefficient"]


def test_an_unknown_rate_is_a_gap_and_not_zero(summary):
    item = dose_row(summary, "true", SITE, -0.5)
    item |= {"spillover_coherent": None, "interval_coherent": [None, None], "n_coherent": 0}
    line = trace(over_doses(summary, SITE, RATES["coherent"]), "true")
    assert line.y[list(line.x).index(-0.5)] is None
    assert "unknown, n = 0" in line.customdata[list(line.x).index(-0.5)]


def test_another_block_has_its_own_lines_and_no_chosen_dose(summary):
    assert sites(summary) == [SITE, (9, None)]
    here, there = over_doses(summary, SITE, dose=-0.5), over_doses(summary, (9, None))
    marked = {shape.x0 for shape in here.figure.layout.shapes if shape.type == "line"}
    assert {summary["dose"]["coefficient"], -0.5} <= marked
    assert any("chosen" in text for text in here.figure.layout.xaxis2.ticktext)
    assert any("shown" in text for text in here.figure.layout.xaxis2.ticktext)
    assert not any("chosen" in text for text in there.figure.layout.xaxis2.ticktext)
    assert "block 9" in there.figure.layout.xaxis2.title.text
    assert trace(there, "true").y != trace(here, "true").y


def test_ablation_has_shares_from_unsteered_to_whole(results):
    summary = results["ablate"].summary
    shown = over_doses(summary, SITE)
    assert list(trace(shown, "true").x) == [0, *doses(summary, SITE)]
    assert "share ablated" in shown.figure.layout.xaxis2.title.text


def test_words_and_table_over_doses_hold_the_numbers(summary):
    shown = over_doses(summary, SITE)
    item = dose_row(summary, "true", SITE, -0.5)
    assert f"−0.5: {100 * item['spillover']:.0f} % [" in shown.words
    assert "n = 24" in shown.words
    found = table(shown)
    assert len(found) == 3 * len([*summary["arms"], *summary["doses"]])
    line = next(
        line for line in found
        if (line["direction"], line["block"], line["coefficient"], line["tier"]) == ("true", "13", "-0.5", "all")
    )  # fmt: skip
    assert float(line["spillover"]) == item["spillover"]
    assert float(line["delta_clean_interval_high"]) == item["delta_clean_interval"][1]
    assert found[0]["p"] == ""


# strip


def test_each_draw_is_a_dot_and_the_direction_a_diamond_with_its_interval(summary):
    shown = draws(summary)
    for axis, key in (("y", "delta_clean"), ("y2", "delta_coherent")):
        dots = trace(shown, "random", axis, "markers")
        assert list(dots.x) == pytest.approx([100 * item[key] for item in summary["random_draws"]])
        true = trace(shown, "true", axis, "markers")
        item = dose_row(summary, "true", SITE, summary["dose"]["coefficient"])
        assert true.x[0] == pytest.approx(100 * item[key])
        assert true.x[0] + true.error_x.array[0] == pytest.approx(100 * item[f"{key}_interval"][1])
    named = {item.legendgroup for item in shown.figure.data}
    assert named == {"true", "random", "orthogonal", "sign_flipped", "wrong_layer", "wrong_source"}
    assert len({item.marker.symbol for item in shown.figure.data}) == len(named)
    assert f"{summary['among_draws']['p_clean']:.2g}" in shown.figure.layout.annotations[0].text
    assert "20 random draws" in shown.words


def test_without_draws_the_strip_says_so_and_has_no_dots(results):
    shown = draws(results["ablate"].summary)
    assert "no random draws" in shown.figure.layout.annotations[0].text
    assert len(trace(shown, "true", "y", "markers").x) == 1
    assert not any(item.name.startswith("random (") for item in shown.figure.data)


def test_an_unknown_change_is_not_drawn_at_zero(summary):
    for item in (*summary["random_draws"], *summary["doses"]):
        item |= {"delta_coherent": None, "delta_coherent_interval": [None, None]}
    shown = draws(summary)
    for kind in ("random", "true"):
        assert set(trace(shown, kind, "y2", "markers").x) == {None}


# before and after


def test_moves_count_each_prompt_once_and_by_tier():
    before = ["code", "code", "clean", "broken", "code"]
    after = ["clean", "broken", "clean", "clean", "clean"]
    found = {move.key: move for move in moves(before, after, ["a", "a", "b", "b", "b"])}
    assert len(found) == 9
    assert sum(move.count for move in found.values()) == 5
    assert (found["code-clean"].count, found["code-clean"].tiers) == (2, {"a": 1, "b": 1})
    assert found["clean-broken"].count == 0
    assert state(code=True, broken=True) == "broken"


def test_the_matrix_says_every_count_and_outlines_the_chosen_move():
    found = moves(["code"] * 3 + ["clean"], ["clean", "clean", "code", "broken"], ["<b>x</b>", "y", "y", "y"])
    shown = before_and_after(found, "code-clean")
    texts = [note.text for note in shown.figure.layout.annotations]
    assert [text for text in texts if text.startswith("<b>2</b> cured")]
    assert texts.count("0") == 6
    assert not any("<b>x</b>" in text for text in texts)
    assert [shape.line.width for shape in shown.figure.layout.shapes] == [3]
    assert {data[0] for data in shown.figure.data[-1].customdata} == {move.key for move in found}
    assert "code to clean 2" in shown.words
    assert sum(int(line["count"]) for line in table(shown)) == 4


# four bars


def test_each_arm_counts_the_answers_of_the_table(results):
    result = results["add"]
    answers, dose = result.table, result.summary["dose"]["coefficient"]
    names = {"base": ("base", 0), "organism": ("organism", 0), "steered": ("true", dose), "random": ("random", dose)}
    arms = measured(result.summary)
    assert [arm["arm"] for arm in arms] == [name for name in names for _ in range(2)]
    for arm in arms:
        direction, coefficient = names[arm["arm"]]
        here = answers[
            (answers.direction == direction) & (answers.coefficient == coefficient) & (answers.suite == arm["suite"])
            & (answers.block.isna() | (answers.block == SITE[0]))
        ]  # fmt: skip
        if direction == "random":
            here = here[here.seed == 0]
        assert (arm["n"], arm["code"], arm["broken"]) == (len(here), here.code.sum(), here.broken.sum())


def test_bars_words_and_table_have_every_count(summary):
    shown, arms = four_bars(summary), measured(summary)
    points = list(shown.figure.select_traces({"mode": "markers", "xaxis": "x"}))
    shares = {(p.legendgroup, round(y)): x for p in points for x, y in zip(p.x, p.y, strict=True)}
    for arm, line in zip(arms, table(shown), strict=True):
        assert shares[arm["suite"], list(ARMS).index(arm["arm"])] == pytest.approx(100 * arm["code"] / arm["n"])
        assert float(line["broken_low"]) == arm["broken_low"]
    assert shown.words.count("prompts:") == 8
    assert "<br>" not in shown.words


def test_an_arm_that_was_not_measured_is_left_out(summary):
    summary["doses"] = [row for row in summary["doses"] if row["direction"] != "random"]
    summary["random_draws"] = []
    figure = four_bars(summary).figure
    assert list(ARMS).index("random") not in {round(place) for item in figure.data for place in item.y}
    assert list(figure.layout.yaxis.ticktext) == list(ARMS.values())


@pytest.mark.parametrize("mode", ["add", "ablate"])
def test_a_report_has_plain_figures_of_every_block_without_a_colour_of_text(results, mode):
    drawn = list(figures(results[mode]))
    assert len({shown.title for shown in drawn}) == len(drawn) == (4 if mode == "add" else 2)
    for shown in drawn:
        assert shown.figure.layout.font.color is None
        assert all(note.font.color is None for note in shown.figure.layout.annotations)
        assert json.loads(shown.figure.to_json())["data"]
