"""What tests of pages share: an empty assets folder, and a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import paths
from tests import sample_model
from tests.sample_model import SampleModel


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    """An empty assets folder: nothing ships."""
    folder = tmp_path / "assets"
    folder.mkdir()
    monkeypatch.setattr(paths, "ASSETS", folder)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> SampleModel:
    """A tiny random model in a folder; `install` puts its organism and direction on this machine."""
    return sample_model.make(tmp_path_factory.mktemp("model"))
