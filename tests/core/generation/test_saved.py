"""Presets and examples: what is whole is shown, what is damaged is named and left out."""

from __future__ import annotations

import logging
import os

import pytest

from core import paths
from core.errors import BadInput
from core.generation import saved
from tests import sample_assets
from tests.sample_assets import write


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ASSETS", tmp_path)
    return tmp_path


def test_empty_folders_give_empty_shelves(assets):
    assert len(saved.presets()) == len(saved.examples()) == 0


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


def test_what_is_shipped_is_whole(cache_folder):
    assert not saved.presets().damaged
    assert not saved.examples().damaged
