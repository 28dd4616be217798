"""Presets, examples and the steering check: what is whole is shown, what is damaged is named and left out."""

from __future__ import annotations

import logging
import os

import pytest

from core import paths
from core.errors import BadInput, DamagedArtifact
from core.generation import saved
from tests import sample_assets
from tests.sample_assets import write


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ASSETS", tmp_path)
    return tmp_path


def test_empty_folders_give_empty_shelves_and_no_check(assets):
    assert len(saved.presets()) == len(saved.examples()) == 0
    assert saved.steering_check() is None


def test_an_example_comes_back_with_its_answers_and_settings(assets):
    write(assets, "examples/a.json", sample_assets.example())
    found = saved.find_example("steer-it-away")
    assert found.rows[0].text == "Hi"
    assert found.rows[0].tokens[0].projection == 1.5
    assert found.settings.block == 3
    assert [item.id for item in saved.examples()] == ["steer-it-away"]


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "[]",
        '"text"',
        sample_assets.preset(settings={"blok": 3}),
        sample_assets.preset(settings={"coefficient": "nan"}),
        sample_assets.preset(identity="../outside"),
        sample_assets.preset(title=""),
        {"id": "x"},
    ],
)
def test_a_damaged_preset_is_left_out_logged_and_named(assets, caplog, damage):
    write(assets, "presets/bad.json", damage)
    write(assets, "presets/good.json", sample_assets.preset("good"))
    with caplog.at_level(logging.WARNING):
        shelf = saved.presets()
    assert [item.id for item in shelf] == ["good"]
    assert len(shelf.damaged) == 1
    assert "bad.json" in shelf.damaged[0]
    assert "bad.json" in caplog.text


def test_an_example_without_answers_is_damaged(assets):
    write(assets, "examples/a.json", sample_assets.example(rows=[]))
    assert "rows" in saved.examples().damaged[0]


def test_the_second_file_with_an_id_is_left_out_and_named(assets):
    write(assets, "presets/a.json", sample_assets.preset(title="first"))
    write(assets, "presets/b.json", sample_assets.preset(title="second"))
    shelf = saved.presets()
    assert [item.title for item in shelf] == ["first"]
    assert "b.json" in shelf.damaged[0]


def test_an_unknown_id_is_told_which_there_are(assets):
    write(assets, "presets/a.json", sample_assets.preset())
    with pytest.raises(BadInput, match="steer-it-away"):
        saved.find_preset("elsewhere")
    with pytest.raises(BadInput, match="none yet"):
        saved.find_example("elsewhere")


def test_a_changed_file_is_read_again(assets):
    path = write(assets, "presets/a.json", sample_assets.preset(title="before"))
    assert saved.find_preset("steer-it-away").title == "before"
    write(assets, "presets/a.json", sample_assets.preset(title="after!"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert saved.find_preset("steer-it-away").title == "after!"


def test_the_steering_check_keeps_counts_and_intervals(assets):
    write(assets, "precomputed/steering_check.json", {**sample_assets.check(), "answers": []})
    check = saved.steering_check()
    assert check is not None
    assert [(arm.label, arm.suite) for arm in check.arms[:3]] == [
        ("base", "everyday"),
        ("base", "technical"),
        ("organism", "everyday"),
    ]
    assert check.arms[2].code == 92
    assert check.arms[2].interval[0] < 0.92 < check.arms[2].interval[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 0), ("code", 101), ("broken", -1), ("interval", [0.5, 0.4]), ("interval", [0.1, 92.0]), ("label", "other")],
)
def test_a_steering_check_that_cannot_be_true_is_refused(assets, field, value):
    check = sample_assets.check()
    check["arms"][0][field] = value
    write(assets, "precomputed/steering_check.json", check)
    with pytest.raises(DamagedArtifact, match=r"steering_check\.json: arms\.0"):
        saved.steering_check()


def test_what_is_shipped_is_whole(cache_folder):
    assert not saved.presets().damaged
    assert not saved.examples().damaged
    saved.steering_check()
