"""The held-out rows of a separation study: by suite, on the wrong side, and damaged."""

from __future__ import annotations

import pytest

from core.errors import DamagedArtifact
from core.studies.separation.rows import classes, clouds, misses, negative_mean, shifted, threshold
from tests import sample_separation


@pytest.fixture
def result():
    return sample_separation.make()


def test_zero_is_near_the_negative_class(result):
    zero = negative_mean(result.summary, 2)
    base = next(item for item in clouds(result, "model", 2) if item.arm == "base")
    assert abs(shifted(base, zero).x.mean()) < 1


def test_the_threshold_is_midway_between_the_training_means(result):
    for block in range(sample_separation.BLOCKS):
        limit = threshold(result, "model", block) - negative_mean(result.summary, block)
        assert limit == pytest.approx(result.summary["blocks"][block]["norm"] / 2, rel=1e-4)


def test_a_cloud_can_be_moved_with_and_without_its_second_axis(result):
    (flat, *_), (cloud, *_) = clouds(result, "model", 1), clouds(result, "model", 1, "content")
    moved = shifted(cloud, 1.0, 2.0)
    assert list(moved.x) == list(cloud.x - 1)
    assert list(moved.y) == list(cloud.y - 2)
    assert shifted(flat, 1.0).y is None


def test_a_suite_keeps_only_its_rows(result):
    for suite in ("everyday", "technical"):
        assert {name for item in clouds(result, "model", 0, suite=suite) for name in item.suites} == {suite}


def test_arrays_that_do_not_fit_are_named(result):
    result.arrays["model/base"] = result.arrays["model/base"][:, :-1]
    with pytest.raises(DamagedArtifact, match="--fresh"):
        clouds(result, "model", 0)
    result.arrays["model/base"] = result.arrays["model/organism"]
    del result.arrays["model/secure"]
    with pytest.raises(DamagedArtifact, match="model/secure"):
        clouds(result, "model", 0)


@pytest.mark.parametrize("contrast", ["model", "content", "response"])
def test_the_wrong_side_agrees_with_the_accuracy_at_every_block(contrast):
    result = sample_separation.make(contrast, gap=1.5)
    positive, negative = classes(result.summary)
    for row in result.summary["blocks"]:
        found = misses(result, row["block"])
        assert [miss.distance for miss in found] == sorted((miss.distance for miss in found), reverse=True)
        wrong = [sum(miss.arm == arm for miss in found) / sample_separation.PROMPTS for arm in (positive, negative)]
        assert 1 - sum(wrong) / 2 == pytest.approx(row["balanced_accuracy"], abs=1e-5)
        assert all((miss.answer is not None) == (contrast == "response") for miss in found)
