"""The spillover figures show the summary's numbers, shade where answers break, and draw nothing that is unknown."""

from __future__ import annotations

import copy
import csv
import io
import json

import pytest

from core import paths
from core.figures.spillover import axis_range, broken_regions, dose_response, ticks
from core.figures.spillover_changes import describe_moves, matrix, moves, moves_csv, state
from core.figures.spillover_strip import strip
from core.figures.spillover_tables import (
    RATES,
    describe_doses,
    describe_strip,
    dose_row,
    doses,
    lines,
    rates_csv,
    sites,
)
from tests import sample_spillover

SITE = (13, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study that cures at −1 and breaks below −1.2, at two blocks; and the same by ablating."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("cache")))
        paths.cache()
        return {
            "add": sample_spillover.make(blocks=(13, 9)).summary,
            "ablate": sample_spillover.make(mode="ablate", draws=0).summary,
        }


@pytest.fixture
def summary(made):
    return copy.deepcopy(made["add"])


def trace(figure, group, axis="y", mode="lines+markers"):
    found = [item for item in figure.data if (item.legendgroup, item.yaxis, item.mode) == (group, axis, mode)]
    assert len(found) == 1
    return found[0]


def row(x, broken):
    return {"coefficient": x, "broken": broken}


# dose-response


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_each_line_shows_its_rows_rate_and_starts_unsteered(summary, rate):
    figure = dose_response(summary, SITE, rate)
    unsteered = next(item for item in summary["arms"] if item["direction"] == "organism")
    for name in ("true", "random", "orthogonal", "wrong_source"):
        shown = trace(figure, name)
        expected = {
            item["coefficient"]: item
            for item in summary["doses"]
            if (item["direction"], item["block"]) == (name, SITE[0])
        }
        expected[0] = unsteered
        assert sorted(expected) == list(shown.x)
        for x, y, told in zip(shown.x, shown.y, shown.customdata, strict=True):
            assert y == pytest.approx(100 * expected[x][rate.value])
            assert f"n = {expected[x]['n']}" in told
        broken = trace(figure, name, "y2")
        assert [100 * expected[x]["broken"] for x in broken.x] == pytest.approx(list(broken.y))


def test_the_band_is_the_wilson_interval_of_the_direction(summary):
    figure = dose_response(summary, SITE)
    band = next(item for item in figure.data if item.fill == "toself" and item.yaxis == "y")
    edges = {(x, round(y, 3)) for x, y in zip(band.x, band.y, strict=True) if x is not None}
    for item in lines(summary, SITE)["true"]:
        for end in item["interval"]:
            assert (item["coefficient"], round(100 * end, 3)) in edges


def test_unsteered_and_base_are_level_lines(summary):
    figure = dose_response(summary, SITE)
    for name in ("organism", "base"):
        shown = trace(figure, name, mode="lines")
        value = next(item for item in summary["arms"] if item["direction"] == name)["spillover"]
        assert list(shown.y) == pytest.approx([100 * value] * 2)


def test_open_marks_show_coherent_answers_beside_the_rate_over_all(summary):
    marks = [item for item in dose_response(summary, SITE).data if item.marker.symbol == "diamond-open"]
    assert list(marks[0].y) == pytest.approx([100 * i["spillover_coherent"] for i in lines(summary, SITE)["true"]])
    assert not [i for i in dose_response(summary, SITE, RATES["clean"]).data if i.marker.symbol == "diamond-open"]


def test_what_breaks_is_shaded_and_named_in_both_panels(summary):
    figure = dose_response(summary, SITE)
    rows = lines(summary, SITE)["true"]
    spans = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    assert {shape.yref for shape in figure.layout.shapes if shape.type == "rect"} == {"y domain", "y2 domain"}
    for item in rows:
        inside = any(start <= item["coefficient"] <= end for start, end in spans)
        assert inside == (item["broken"] > 0.1), item["coefficient"]
    assert sum("broken" in note.text for note in figure.layout.annotations) == len(spans)


def test_nothing_is_shaded_where_nothing_breaks(summary):
    for item in summary["doses"]:
        item["broken"] = 0.1
    assert not [shape for shape in dose_response(summary, SITE).layout.shapes if shape.type == "rect"]


def test_a_broken_stretch_ends_where_the_drawn_line_crosses_one_in_ten():
    rows = [row(-2, 0.3), row(-1, 0.1), row(-0.5, 0.0), row(-0.25, 0.2), row(0, 0.0)]
    found = broken_regions(rows, (-2.1, 0.1))
    assert found[0] == (-2.1, pytest.approx(-1))
    assert found[1] == (pytest.approx(-0.375), pytest.approx(-0.125))
    assert broken_regions([row(0, 0.5)], (-1, 1)) == [(-1, 1)]
    assert broken_regions([row(-1, 0.0), row(0, 0.05)], (-1, 0)) == []


def test_an_unknown_rate_is_a_gap_and_not_zero(summary):
    item = dose_row(summary, "true", SITE, -0.5)
    item |= {"spillover_coherent": None, "interval_coherent": [None, None], "n_coherent": 0}
    figure = dose_response(summary, SITE, RATES["coherent"])
    shown = trace(figure, "true")
    assert shown.y[list(shown.x).index(-0.5)] is None
    assert "unknown, n = 0" in shown.customdata[list(shown.x).index(-0.5)]
    band = next(item for item in figure.data if item.fill == "toself" and item.yaxis == "y")
    assert -0.5 not in band.x
    assert list(band.x).count(None) == 2


def test_the_chosen_dose_and_the_one_looked_at_are_marked(summary):
    dose = summary["dose"]["coefficient"]
    figure = dose_response(summary, SITE, dose=-0.5)
    assert {dose, -0.5} <= {shape.x0 for shape in figure.layout.shapes if shape.type == "line"}
    assert any("chosen" in text for text in figure.layout.xaxis2.ticktext)
    assert any("shown" in text for text in figure.layout.xaxis2.ticktext)


def test_another_block_has_its_own_lines_and_no_chosen_dose(summary):
    assert sites(summary) == [SITE, (9, None)]
    figure = dose_response(summary, (9, None))
    assert not any("chosen" in text for text in figure.layout.xaxis2.ticktext)
    assert "block 9" in figure.layout.xaxis2.title.text
    assert trace(figure, "true").y != trace(dose_response(summary, SITE), "true").y


def test_marks_keep_their_place_and_other_ticks_keep_away():
    values, texts = ticks([-1.5, -1, -0.9, -0.5, 0], {-1.0: "chosen", -0.9: "shown"}, (-1.5, 0))
    assert {-1.0, -0.9} <= set(values)
    assert texts[values.index(-0.9)].startswith("<br>")
    assert all(abs(a - b) > 0.1 for a in values for b in values if a != b and {a, b} != {-1.0, -0.9})


def test_ablation_has_shares_from_unsteered_to_whole(made):
    figure = dose_response(made["ablate"], SITE)
    assert list(trace(figure, "true").x) == [0, *doses(made["ablate"], SITE)]
    assert "share ablated" in figure.layout.xaxis2.title.text
    low, high = axis_range(lines(made["ablate"], SITE)["true"])
    assert low < 0 < 1 < high


# strip


def test_each_draw_is_a_dot_and_the_direction_a_diamond_with_its_interval(summary):
    figure = strip(summary)
    for axis, key in (("y", "delta_clean"), ("y2", "delta_coherent")):
        dots = trace(figure, "random", axis, "markers")
        assert list(dots.x) == pytest.approx([100 * item[key] for item in summary["random_draws"]])
        true = trace(figure, "true", axis, "markers")
        item = dose_row(summary, "true", SITE, summary["dose"]["coefficient"])
        assert true.x[0] == pytest.approx(100 * item[key])
        assert true.marker.symbol == "diamond"
        assert true.x[0] + true.error_x.array[0] == pytest.approx(100 * item[f"{key}_interval"][1])
    named = {item.legendgroup for item in figure.data}
    assert named == {"true", "random", "orthogonal", "sign_flipped", "wrong_layer", "wrong_source"}
    assert len({item.marker.symbol for item in figure.data}) == len(named)
    assert f"{summary['among_draws']['p_clean']:.2g}" in figure.layout.annotations[0].text


def test_without_draws_the_strip_says_so_and_has_no_dots(made):
    figure = strip(made["ablate"])
    assert "no random draws" in figure.layout.annotations[0].text
    assert len(trace(figure, "true", "y", "markers").x) == 1
    assert all(not len(item.x) for item in figure.data if item.name.startswith("random ("))


def test_an_unknown_change_is_not_drawn_at_zero(summary):
    for item in (*summary["random_draws"], *summary["doses"]):
        item |= {"delta_coherent": None, "delta_coherent_interval": [None, None]}
    figure = strip(summary)
    assert list(trace(figure, "random", "y2", "markers").x) == []
    assert list(trace(figure, "true", "y2", "markers").x) == [None]


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
    figure = matrix(found, "code-clean")
    texts = [note.text for note in figure.layout.annotations]
    assert [text for text in texts if text.startswith("<b>2</b> cured")]
    assert texts.count("0") == 6
    assert not any("<b>x</b>" in text for text in texts)
    assert [shape.line.width for shape in figure.layout.shapes].count(3) == 1
    (marks,) = figure.data
    assert {data[0] for data in marks.customdata} == {move.key for move in found}
    assert "code to clean 2" in describe_moves(found)
    table = list(csv.DictReader(io.StringIO(moves_csv(found))))
    assert sum(int(line["count"]) for line in table) == 4


# words and tables


def test_words_and_tables_hold_the_numbers(summary):
    words = describe_doses(summary, SITE, RATES["all"])
    item = dose_row(summary, "true", SITE, -0.5)
    assert f"−0.5: {100 * item['spillover']:.0f} % [" in words
    assert "n = 24" in words
    assert "20 random draws" in describe_strip(summary)
    rows = [*summary["arms"], *summary["doses"]]
    table = list(csv.DictReader(io.StringIO(rates_csv(rows))))
    assert len(table) == 3 * len(rows)
    line = next(
        line for line in table
        if (line["direction"], line["block"], line["coefficient"], line["tier"]) == ("true", "13", "-0.5", "all")
    )  # fmt: skip
    assert float(line["spillover"]) == item["spillover"]
    assert float(line["delta_clean_interval_high"]) == item["delta_clean_interval"][1]
    assert table[0]["p"] == ""


def test_figures_fix_no_colour_of_text_and_are_plain_json(summary):
    for figure in (dose_response(summary, SITE), strip(summary), matrix(moves(["code"], ["clean"], ["a"]))):
        assert figure.layout.font.color is None
        assert all(note.font.color is None for note in figure.layout.annotations)
        assert json.loads(figure.to_json())["data"]
