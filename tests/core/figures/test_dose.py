"""A dose-response shades what breaks, leaves gaps where nothing is known, and marks doses without crowding."""

from __future__ import annotations

import pytest

from core.figures.dose import Line, axis_range, broken_regions, dose_response, ticks
from core.figures.palette import DIRECTIONS

DOSES = [-1.0, -0.5, 0.0]


def line(key="true", rates=(0.1, 0.4, 0.9), broken=(0.3, 0.0, 0.0)):
    intervals = [(None, None) if rate is None else (rate - 0.05, rate + 0.05) for rate in rates]
    ends = [(share, share + 0.1) for share in broken]
    told = [f"{key} at {dose}" for dose in DOSES]
    return Line(key, key, DIRECTIONS[key], DOSES, (rates, intervals), (broken, ends), told)


def drawn(*lines):
    return dose_response(lines, [], {}, 0.1, ("coefficient", "answers with code"))


def trace(figure, group, axis="y", mode="lines+markers"):
    found = [item for item in figure.data if (item.legendgroup, item.yaxis, item.mode) == (group, axis, mode)]
    assert len(found) == 1
    return found[0]


def rectangles(figure):
    return [shape for shape in figure.layout.shapes if shape.type == "rect"]


def test_the_band_is_the_interval_of_the_first_line_with_a_gap_where_nothing_is_known():
    figure = drawn(line(rates=(0.1, None, 0.9)), line("random"))
    assert trace(figure, "true").y[1] is None
    bands = [item for item in figure.data if item.fill == "toself"]
    assert [(band.legendgroup, band.yaxis) for band in bands] == [("true", "y"), ("true", "y2")]
    edges = {(x, round(y)) for x, y in zip(bands[0].x, bands[0].y, strict=True) if x is not None}
    assert edges == {(-1, 15), (-1, 5), (0, 95), (0, 85)}
    assert list(bands[0].x).count(None) == 2
    assert figure.data[1].legendgroup == "random", "the first line is drawn over the others"


def test_what_breaks_is_shaded_and_named_in_both_panels():
    shaded = drawn(line())
    assert [shape.yref for shape in rectangles(shaded)] == ["y domain", "y2 domain"]
    assert all(shape.x0 < -1 < shape.x1 < -0.5 for shape in rectangles(shaded))
    assert sum("broken" in note.text for note in shaded.layout.annotations) == 2
    assert not rectangles(drawn(line(broken=(0.1, 0.0, 0.0))))


def test_a_broken_stretch_ends_where_the_drawn_line_crosses_the_limit():
    found = broken_regions([-2, -1, -0.5, -0.25, 0], [0.3, 0.1, 0.0, 0.2, 0.0], 0.1, (-2.1, 0.1))
    assert found[0] == (-2.1, pytest.approx(-1))
    assert found[1] == (pytest.approx(-0.375), pytest.approx(-0.125))
    assert broken_regions([0], [0.5], 0.1, (-1, 1)) == [(-1, 1)]
    assert broken_regions([-1, 0], [0.0, 0.05], 0.1, (-1, 0)) == []
    assert broken_regions([-1, 0], [None, 0.2], 0.1, (-1, 0)) == [(-1, 0)]


def test_marks_keep_their_place_and_other_ticks_keep_away():
    values, texts = ticks([-1.5, -1, -0.9, -0.5, 0], {-1.0: "chosen", -0.9: "shown"}, (-1.5, 0))
    assert {-1.0, -0.9} <= set(values)
    assert texts[values.index(-0.9)].startswith("<br>")
    assert all(abs(a - b) > 0.1 for a in values for b in values if a != b and {a, b} != {-1.0, -0.9})


def test_the_axis_has_room_on_both_sides_also_of_one_dose():
    for doses in ([0, 0.5, 1], [0.5]):
        low, high = axis_range(doses)
        assert low < min(doses) <= max(doses) < high
