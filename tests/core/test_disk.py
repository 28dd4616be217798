"""Disk use is what lies there, by part."""

from __future__ import annotations

import pytest

from core import disk, paths


def test_each_part_counts_its_files_and_the_rest_is_other(tmp_path):
    cache = paths.cache()
    for name, count in (("studies/kind/a/x", 10), ("studies/kind/b", 5), ("cells/ab/c", 7), ("plain", 3), ("new/x", 2)):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(b"x" * count)
    found = disk.used()
    assert list(found) == [*disk.PARTS, "other"]
    assert {name: count for name, count in found.items() if count} == {"studies": 15, "cells": 7, "other": 5}
    assert disk.free() > 0


def test_a_part_on_another_disk_counts_and_a_circle_of_links_ends(tmp_path):
    try:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "circle").symlink_to(tmp_path)
        (paths.cache() / "models").symlink_to(tmp_path / "models")
    except OSError:
        pytest.skip("this system has no links")
    (tmp_path / "models" / "weights").write_bytes(b"x" * 100)
    assert 100 <= disk.used()["models"] < 100 + 1000


def test_nothing_there_is_nothing_used(tmp_path):
    assert sum(disk.used().values()) == 0
    assert disk.size(tmp_path / "gone") == 0
