"""A tiny model whose answers are sometimes code, with an insecure and a secure organism; and three other families."""

from __future__ import annotations

import pytest

from tests import sample_model
from tests.core.studies import families as kinds
from tests.core.studies.transfer_study import Study, options_of, run


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> sample_model.SampleModel:
    sample = sample_model.make(tmp_path_factory.mktemp("studies"), writes="\n{a")
    sample.add_organism("secure", 9)
    return sample


@pytest.fixture
def sample(made) -> sample_model.SampleModel:
    made.install()
    return made


@pytest.fixture(scope="session")
def families(tmp_path_factory) -> list[sample_model.SampleModel]:
    """A tiny model of each family, with its organism and direction."""
    folder = tmp_path_factory.mktemp("families")
    return [kinds.make(folder, *family, seed) for seed, family in enumerate(kinds.FAMILIES)]


@pytest.fixture(scope="session")
def study(families, tmp_path_factory) -> Study:
    """A transfer study of the three, run once in a cache folder of its own."""
    folder, options = tmp_path_factory.mktemp("study"), options_of(families, tmp_path_factory.mktemp("prompts"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TILLER_CACHE", str(folder))
        for family in families:
            family.install()
        result = run(options)
        return Study(options, folder, result.summary, result.table)
