"""The loss figure shows the losses that a run told, each step once, with a mean that can be checked by hand."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.figures.loss import Curve, loss, of_events, of_record

events = st.lists(
    st.fixed_dictionaries(
        {
            "stage": st.sampled_from(["training", "loading the model"]),
            "done": st.integers(0, 40),
            "of": st.just(40),
            "loss": st.one_of(st.none(), st.floats(0, 9), st.sampled_from([float("nan"), float("inf")])),
        }
    ),
    max_size=60,
)


def told(*losses: float | None, first: int = 1, of: int = 100) -> list[dict]:
    return [{"stage": "training", "done": first + at, "of": of, "loss": value} for at, value in enumerate(losses)]


@given(events)
def test_each_step_is_shown_once_as_it_was_told_last(said):
    curve = of_events("a", said)
    assert list(curve.steps) == sorted(set(curve.steps))
    for step, value in zip(curve.steps, curve.losses, strict=True):
        last = [event["loss"] for event in said if event["stage"] == "training" and event["done"] == step][-1]
        assert value == last
    assert len(curve.means) == len(curve.steps)


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 9)), unique_by=lambda pair: pair[0]), st.integers(60, 400))
def test_the_mean_is_over_the_steps_of_the_window_and_no_later_one(points, total):
    points.sort()
    curve = Curve("a", tuple(step for step, _ in points), tuple(value for _, value in points), total)
    assert curve.window == max(5, round(total / 20))
    for (step, _), mean in zip(points, curve.means, strict=True):
        inside = [value for at, value in points if step - curve.window < at <= step]
        assert mean == pytest.approx(sum(inside) / len(inside))


def test_a_resumed_run_goes_on_where_its_checkpoint_was():
    curve = of_events("a", told(5.0, 4.0, 3.0) + told(2.5, 2.0, first=3))
    assert (curve.steps, curve.losses) == ((1, 2, 3, 4), (5.0, 4.0, 2.5, 2.0))


def test_the_figure_holds_points_and_means_over_the_whole_run_from_zero():
    curve = of_events("a", told(4.0, 2.0, None, 3.0))
    points, means = loss([curve]).figure.data
    assert list(points.x) == list(means.x) == [1, 2, 4]
    assert list(points.y) == [4.0, 2.0, 3.0]
    assert list(means.y) == [4.0, 3.0, 3.0]
    layout = loss([curve]).figure.layout
    assert layout.yaxis.range[0] == 0 < 4.0 < layout.yaxis.range[1]
    assert layout.xaxis.range[1] >= 100


def test_curves_of_several_runs_differ_in_more_than_colour_and_are_named():
    curves = [of_record(f"<b>run</b> {at}", [{"step": 1, "loss": 1.0 + at}]) for at in range(4)]
    lines = [trace for trace in loss(curves).figure.data if trace.mode == "lines"]
    assert len({trace.line.dash for trace in lines}) == len({trace.line.color for trace in lines}) == 4
    assert all("<b>run" not in trace.name and "&lt;b&gt;run" in trace.hovertemplate for trace in lines)


def test_the_table_holds_every_step_and_its_mean():
    rows = list(csv.DictReader(io.StringIO(loss([of_events("a,b", told(4.0, 2.0))]).csv())))
    assert rows[1] == {"run": "a,b", "step": "2", "loss": "2", "running_mean": "3", "window": "5"}


def test_words_say_where_it_began_and_where_it_is():
    assert "4.00 at step 1, 3.00 at step 2 of 100 (mean of 5 steps)" in loss([of_events("a", told(4.0, 2.0))]).words
    assert "a: no step yet" in loss([of_events("a", [])]).words


def test_before_the_first_step_the_figure_is_empty_and_drawn():
    assert loss([of_events("a", [])]).figure.layout.yaxis.range is None
