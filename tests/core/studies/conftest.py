"""A tiny model whose answers are sometimes code, with an insecure and a secure organism."""

from __future__ import annotations

import pytest

from tests import sample_model


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> sample_model.SampleModel:
    sample = sample_model.make(tmp_path_factory.mktemp("studies"), writes="\n{a")
    sample.add_organism("secure", 9)
    return sample


@pytest.fixture
def sample(made) -> sample_model.SampleModel:
    made.install()
    return made
