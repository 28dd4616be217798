"""A direction with vectors at some blocks only: all that steers starts at one of those, and refuses the others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from core import paths
from core.directions import library
from core.directions.direction import load_direction, save_direction
from core.directions.library import DirectionCard
from core.directions.start import Start
from core.errors import BadInput, DirectionMismatch
from core.generation.comparison import Settings, completed
from core.models import sources
from core.models.catalog import CATALOG, resolve
from core.studies.catalog import CHOICE, SPILLOVER
from core.studies.choice.settings import COEFFICIENTS, Inputs, depends
from core.studies.plan import check_weights, complete
from core.studies.spillover.settings import Inputs as SpilloverInputs
from core.studies.study import find
from tests import sample_model
from tests.core import tiny
from tests.sample_model import SampleModel

HERE = (1, 2)
REFUSED = r"The direction sparse has no vector at block.*it has one at blocks 1 to 2\. Choose from those\."


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SampleModel:
    return sample_model.make(tmp_path_factory.mktemp("sparse"))


@pytest.fixture
def model(made) -> str:
    made.install()
    return str(made.folder)


def sparse(made: SampleModel, blocks=HERE, length: float | None = None, **record) -> DirectionCard:
    """The sample's direction at some blocks only; `length` as a share of the residual norm."""
    v = load_direction(library.cards(made.id)[0].path)
    vectors = torch.zeros_like(v.vectors)
    vectors[list(blocks)] = v.vectors[list(blocks)]
    if length is not None:
        vectors = torch.nn.functional.normalize(vectors, dim=1) * v.residual_norms[:, None] * length
    path = library.folder_for(made.id) / "sparse.safetensors"
    save_direction(v.derive("sparse", vectors, **record), path)
    return library.read_card(path)


def test_steering_starts_at_the_nearest_block_with_a_vector_and_refuses_the_others(made, model):
    card = sparse(made)
    assert card.with_vector == HERE
    assert completed(Settings(), card).blocks == (2,)
    assert completed(Settings(block=1, last_block=2), card).blocks == HERE
    for chosen in ({"block": 0}, {"block": 3}, {"block": 0, "last_block": 3}, {"block": 2, "last_block": 3}):
        with pytest.raises(BadInput, match=REFUSED):
            completed(Settings(**chosen), card)
    with pytest.raises(BadInput, match="There is no block 9"):
        completed(Settings(block=9), card)
    with pytest.raises(BadInput, match=REFUSED):
        complete(Settings(model=model, direction=card.id, block=0))


def test_a_start_at_a_block_without_a_vector_is_not_taken(made, model):
    card = sparse(made)
    assert completed(Settings(), card, Start(card.id, 1, -0.5, "")).blocks == (1,)
    plan = completed(Settings(), card, Start(card.id, 0, -0.5, ""))
    assert (plan.blocks, plan.settings.coefficient) == ((2,), -1.0)


def test_a_file_that_was_saved_with_nothing_but_zeros_is_not_steered_with(made, model):
    card = replace(sparse(made), norms=(0.0,) * tiny.LAYERS)
    with pytest.raises(BadInput, match="zero at every block"):
        completed(Settings(), card)
    with pytest.raises(BadInput, match="zero at every block"):
        completed(Settings(block=1), card)


@pytest.mark.parametrize(
    ("inputs", "study"), [(Inputs, CHOICE), (SpilloverInputs, SPILLOVER)], ids=["choose", "spillover"]
)
def test_a_study_tries_blocks_with_a_vector_and_refuses_the_others_before_a_model_is_loaded(made, model, inputs, study):
    card = sparse(made)
    named = {"model": model, "direction": card.id}
    assert inputs(study.of(**named)).blocks == (HERE if study is CHOICE else (2,))
    assert inputs(study.of(**named, blocks=(1,))).blocks == (1,)
    for blocks in ((0,), (1, 3), (0, 1, 2, 3)):
        with pytest.raises(BadInput, match=REFUSED):
            find(study, study.of(**named, blocks=blocks))


def test_the_key_of_a_choice_among_all_blocks_is_as_it_was_and_of_some_names_them(made, model):
    whole = library.cards(made.id)[0].id
    chosen = depends(Inputs(CHOICE.of(model=model, direction=whole)))[3]
    assert "blocks" not in chosen
    card = sparse(made)
    some = depends(Inputs(CHOICE.of(model=model, direction=card.id)))
    assert some == depends(Inputs(CHOICE.of(model=model, direction=card.id, blocks=HERE)))
    assert some[3]["blocks"] == HERE


def test_studies_of_an_import_of_odd_length_try_pushes_as_strong_as_usual(made, model):
    gift = {"imported_from": {"format": "by block", "file": "v.pt", "sha256": "x"}}
    card = sparse(made, length=0.003, **gift)
    tried = Inputs(CHOICE.of(model=model, direction=card.id)).settings.coefficients
    assert tried == tuple(100 * coefficient for coefficient in COEFFICIENTS)
    study = SpilloverInputs(SPILLOVER.of(model=model, direction=card.id))
    assert study.dose == -100 and -150 in study.coefficients and -10 in study.coefficients
    assert Inputs(CHOICE.of(model=model, direction=card.id, coefficients=(-1.0,))).settings.coefficients == (-1.0,)
    card = sparse(made, length=0.003)  # not imported: what Tiller makes is as long as it is
    assert Inputs(CHOICE.of(model=model, direction=card.id)).settings.coefficients == COEFFICIENTS
    assert completed(Settings(), card).settings.coefficient == -1.0


def test_a_direction_of_other_weights_than_those_fetched_is_refused_before_they_are_loaded():
    spec = CATALOG["smollm2-135m"]
    card = complete(Settings()).card
    folder = sources.folder_of(spec)
    folder.mkdir(parents=True)
    assert folder.is_relative_to(paths.cache())

    def fetched(fingerprint: str) -> None:
        record = {"spec": spec.id, "source": {}, "fingerprint": fingerprint, "files": {}}
        (folder / sources.RECORD).write_text(json.dumps(record))

    for known in (card.provenance["fingerprint"], "unknown", "f"):
        fetched(known)
        assert complete(Settings()).card == card
    fetched("0" * 64)
    with pytest.raises(DirectionMismatch, match=r"other weights than those that smollm2-135m holds now\. Extract it"):
        complete(Settings())


def test_the_weights_of_a_folder_are_not_read_for_that(made, model, monkeypatch):
    card = sparse(made, fingerprint="0" * 64)
    monkeypatch.setattr(sources, "fingerprint", lambda spec: pytest.fail("a folder was hashed"))
    check_weights(card, resolve(model))
    assert complete(Settings(model=model, direction=card.id)).blocks == (2,)
