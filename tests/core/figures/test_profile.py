"""A profile shows each block's number, leaves gaps where it is unknown, and marks the chosen block."""

from __future__ import annotations

import pytest

from core.figures.profile import Band, Line, profile

LINE = Line("own", [0.1, None, 0.3], "#2f86c4", "%{customdata}", told=["a", "b", "c"], size=6, large=13)


def test_a_line_has_a_point_a_block_and_a_large_one_at_the_chosen():
    (line,) = profile([LINE], 2, 3, {}, 300).data
    assert (list(line.x), list(line.y)) == ([0, 1, 2], [0.1, None, 0.3])
    assert list(line.marker.size) == [6, 6, 13]
    assert list(line.customdata) == ["a", "b", "c"]


def test_a_line_without_points_or_tooltip_has_none():
    (line,) = profile([Line("edge", [0.1, 0.2], "#2f86c4", named=False)], 0, 2, {}, 300).data
    assert (line.mode, line.hoverinfo, line.showlegend) == ("lines", "skip", False)


def test_a_band_leaves_out_blocks_without_both_ends():
    (band,) = profile([Band([(0.1, 0.2), (None, 0.4), (0.3, 0.5)], "#2f86c4", 0.2)], 0, 3, {}, 300).data
    assert (list(band.x), list(band.y)) == ([0, 2, 2, 0], [0.2, 0.5, 0.3, 0.1])
    assert (band.fillcolor, band.showlegend) == ("rgba(47, 134, 196, 0.2)", False)


@pytest.mark.parametrize("block, side", [(0, "left"), (9, "right")])
def test_the_chosen_block_is_a_line_named_on_the_side_with_room(block, side):
    layout = profile([LINE], block, 10, {"range": [0, 1]}, 300).layout
    assert [shape.x0 for shape in layout.shapes] == [block]
    assert (layout.annotations[0].text, layout.annotations[0].xanchor) == (f"block {block}", side)
    assert list(layout.yaxis.range) == [0, 1]


def test_a_line_at_zero_is_drawn_where_it_is_asked_for():
    assert [shape.y0 for shape in profile([LINE], 1, 3, {}, 300, zero=True).layout.shapes] == [0, 0]
    assert len(profile([LINE], 1, 3, {}, 300).layout.shapes) == 1
