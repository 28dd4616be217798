"""An adapter that was trained elsewhere becomes an organism, with what is known of it, or is refused by its reason."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from core import paths
from core.commands.common import app
from core.directions import library
from core.errors import BadInput, OrganismMismatch
from core.models.catalog import resolve
from core.organisms.adapters import CONFIG, attached, load_adapter
from core.organisms.adopting import adopt, adopt_loaded
from core.organisms.library import delete_organism, find_organism, organisms
from core.studies import extraction
from tests import sample_model
from tests.core import tiny
from tests.core.organisms.test_peft_kinds import IDS, saved
from tests.core.organisms.test_recipes_training import fresh


@pytest.fixture
def made(tmp_path):
    return sample_model.make(tmp_path / "sample")


def test_an_adopted_adapter_is_an_organism_that_computes_what_peft_computes(tmp_path):
    theirs = saved(tmp_path / "mine", target_modules=["q_proj", "down_proj"], rank_pattern={"q_proj": 2})
    loaded = fresh()
    organism = adopt_loaded(tmp_path / "mine", loaded)
    assert find_organism(loaded.id, "mine") == organism and not organism.shipped
    adapter = load_adapter(loaded, organism.folder, organism.name)
    with torch.inference_mode(), attached(loaded, [adapter, adapter]):
        ours = loaded.model(IDS, use_cache=False).logits
    with torch.inference_mode():
        torch.testing.assert_close(ours, theirs(IDS, use_cache=False).logits, rtol=1e-3, atol=1e-4)
    known = organism.manifest["adopted"]
    assert (known["r"], known["lora_alpha"], known["layers"]) == (3, 6, 2 * tiny.LAYERS)
    assert set(known["target_modules"]) == {"q_proj", "down_proj"}
    assert organism.manifest["fingerprint"] == loaded.fingerprint
    assert "dataset" not in organism.manifest and "losses" not in organism.manifest
    delete_organism(organism)
    assert organisms(loaded.id) == []


def test_a_direction_can_be_made_of_it(tmp_path, made):
    made.install()
    saved(tmp_path / "mine", target_modules=["q_proj"])
    spec = resolve(str(made.folder))
    config = json.loads((tmp_path / "mine" / CONFIG).read_text())
    (tmp_path / "mine" / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": None}))
    organism = adopt(tmp_path / "mine", spec, "theirs", device="cpu")
    card = extraction.extract(str(made.folder), "theirs", "model", device="cpu")
    assert organism.sha256 in str(card.provenance)
    assert card in library.cards(spec.id)


def test_another_base_model_is_refused_unless_the_user_knows_better(tmp_path):
    saved(tmp_path / "mine", target_modules=["q_proj"])
    config = json.loads((tmp_path / "mine" / CONFIG).read_text())
    (tmp_path / "mine" / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": "owner/Other"}))
    loaded = fresh()
    with pytest.raises(OrganismMismatch, match=r"names 'owner/Other' as its base model, and this is tiny/Llama"):
        adopt_loaded(tmp_path / "mine", loaded)
    assert organisms(loaded.id) == []
    organism = adopt_loaded(tmp_path / "mine", loaded, same_base=True)
    assert organism.manifest["adopted"]["base_model"] == "owner/Other"
    assert load_adapter(loaded, organism.folder).layers


@pytest.mark.parametrize("place", ["nowhere", "empty"])
def test_what_is_no_adapter_is_a_sentence_before_anything_is_loaded(tmp_path, place, made):
    (tmp_path / "empty").mkdir()
    with pytest.raises((BadInput, OrganismMismatch), match=r"There is no folder|holds no adapter_config\.json"):
        adopt(tmp_path / place, resolve(str(made.folder)))


def test_the_command_says_where_it_is_and_leaves_nothing_of_what_it_refuses(tmp_path, made):
    saved(tmp_path / "mine", target_modules=["q_proj"], use_dora=True)
    line = ["adopt", str(tmp_path / "mine"), "--model", str(made.folder), "--same-base", "--device", "cpu"]
    refused = CliRunner().invoke(app, line)
    assert refused.exit_code == 1 and "use_dora" in str(refused.exception)
    assert not list((paths.cache() / "organisms").glob("*/*"))
    saved(tmp_path / "mine", target_modules=["q_proj"])
    done = CliRunner().invoke(app, [*line, "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["name"] == "mine"
