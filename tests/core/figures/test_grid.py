"""A grid has every cell once, with its text, its colour, a mark to click on and its outlines."""

from __future__ import annotations

from core.figures.grid import Cell, Scale, grid

RED = Scale(0, 1, ((0, "rgba(200, 0, 0, 0)"), (1, "rgba(200, 0, 0, 0.5)")), ((0, "none"), (1, "all")))
BLUE = Scale(0, 1, ((0, "rgba(0, 0, 200, 0)"), (1, "rgba(0, 0, 200, 0.5)")))
LINE = {"width": 3, "color": "#888888"}
CELLS = [
    Cell(0, 0, ("a", "b"), "first", "told <b>1</b>", 0.2, RED),
    Cell(0, 1, ("a", "c"), "second", "told 2", None, RED, (LINE,)),
    Cell(1, 1, ("d", "c"), "third", "told 3", 1.0, BLUE),
]


def drawn(**more):
    return grid(CELLS, ["up", "down"], ["left", "right"], 200, ("rows", None), **more)


def test_each_scale_colours_its_own_cells_and_unknown_ones_stay_blank():
    red, blue, _ = drawn().data
    assert [list(line) for line in red.z] == [[0.2, None], [None, None]]
    assert [list(line) for line in blue.z] == [[None, None], [None, 1.0]]
    assert (red.showscale, blue.showscale) == (True, False)
    assert list(red.colorbar.ticktext) == ["none", "all"]


def test_each_cell_has_a_text_and_an_unseen_mark_that_hands_on_its_key():
    figure = drawn()
    marks = figure.data[-1]
    assert [tuple(data) for data in marks.customdata] == [(*cell.key, cell.tooltip) for cell in CELLS]
    assert list(zip(marks.y, marks.x, strict=True)) == [(0, 0), (0, 1), (1, 1)]
    assert marks.marker.opacity == marks.selected.marker.opacity == marks.unselected.marker.opacity == 0
    assert "customdata[2]" in marks.hovertemplate
    assert [(note.y, note.x, note.text) for note in figure.layout.annotations] == [
        (0, 0, "first"), (0, 1, "second"), (1, 1, "third")
    ]  # fmt: skip


def test_the_first_row_is_on_top_and_an_outline_lies_around_its_cell():
    layout = drawn(margin={"t": 26}).layout
    assert list(layout.yaxis.range) == [1.5, -0.5]
    assert (layout.yaxis.title.text, layout.xaxis.title.text, layout.margin.t) == ("rows", None, 26)
    (outline,) = layout.shapes
    assert (outline.x0 < 1 < outline.x1, outline.y0 < 0 < outline.y1, outline.line.width) == (True, True, 3)
