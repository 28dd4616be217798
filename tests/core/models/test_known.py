"""A model folder is found again by its id, and what was made of it by its weights wherever it lies now."""

from __future__ import annotations

import pytest

from core import paths
from core.errors import ModelUnavailable
from core.models import known, sources
from core.models.catalog import resolve
from core.organisms.library import find_organism, organisms
from tests import sample_model


@pytest.fixture
def made(tmp_path):
    found = sample_model.make(tmp_path)
    found.install()
    return found


def test_an_id_finds_its_folder_once_it_was_used(made):
    with pytest.raises(ModelUnavailable, match="Enter the folder's path"):
        resolve(made.id)
    sources.fetch(resolve(str(made.folder)))
    for folders in (True, False):  # also out of a link
        assert resolve(made.id, folders).source.path == made.folder


def test_an_id_of_a_folder_that_is_gone_or_another_is_not_believed(made, tmp_path):
    sources.fetch(resolve(str(made.folder)))
    (record,) = (paths.cache() / "models" / "folders").iterdir()
    other = sample_model.make(tmp_path / "other", seed=1)
    known.remember(made.id, other.folder, "x")
    with pytest.raises(ModelUnavailable):
        resolve(made.id)
    for text in ("{", "[]", '{"model": 1}', ""):
        record.write_text(text)
        with pytest.raises(ModelUnavailable):
            resolve(made.id)


def test_a_folder_that_was_moved_or_renamed_has_its_organisms_and_another_model_has_not(made, tmp_path):
    before = made.id
    sources.fetch(resolve(str(made.folder)))
    moved = resolve(str(made.folder.rename(tmp_path / "renamed")))
    assert organisms(moved.id) == []  # its weights have not been looked at yet
    sources.fetch(moved)
    assert moved.id != before
    assert find_organism(moved.id, "insecure").model == before
    other = resolve(str(sample_model.make(tmp_path / "other", seed=1).folder))
    sources.fetch(other)
    assert organisms(other.id) == []
