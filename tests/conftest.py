"""What every test shares: one thread, a cache folder of its own, and models that are built once."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch

from core.models.loading import LoadedModel, load
from tests.core import tiny

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def cache_folder(request, monkeypatch, tmp_path_factory) -> None:
    """Everything made at run time goes to an empty folder, unless the test needs the real, embedded model."""
    if not request.node.get_closest_marker("embedded"):
        monkeypatch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("cache", numbered=True)))


@pytest.fixture(scope="session")
def tiny_models() -> Callable[[str], LoadedModel]:
    """A tiny random checkpoint by class name (`tests.core.tiny.CLASSES`), built when first asked for."""
    return functools.cache(tiny.build)


@pytest.fixture(params=tiny.CLASSES)
def any_class(request, tiny_models) -> LoadedModel:
    """Each architecture class in turn."""
    return tiny_models(request.param)


@pytest.fixture
def llama(tiny_models) -> LoadedModel:
    """One tiny model, where the class makes no difference."""
    return tiny_models("Llama")


@pytest.fixture(scope="session")
def embedded() -> LoadedModel:
    """The real model that a package index carries, in float32; fetched once, then read from the real cache."""
    return load("smollm2-135m", device="cpu", dtype=torch.float32)
