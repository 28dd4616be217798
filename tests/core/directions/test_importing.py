"""A foreign file becomes a direction of one model, or one sentence says why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.activations.capture import Sequences, capture_moments
from core.data.chat import prompt_ids
from core.directions import formats, library
from core.directions.contrasts import model_contrast
from core.directions.direction import load_direction, save_direction
from core.directions.formats import by_block, export_gguf, from_blocks, read_foreign
from core.directions.importing import export_file, import_direction, import_file, model_type
from core.directions.start import USUAL_SHARE
from core.errors import BadInput, DirectionMismatch, ModelUnavailable, TillerError
from core.generation.comparison import Settings, completed
from core.models.catalog import resolve
from core.organisms.adapters import Adapter
from tests import sample_model
from tests.core import plain, tiny
from tests.sample_model import SampleModel

PROMPTS = [plain.SHORT, plain.LONG, plain.FOREIGN]
WIDTH, LAYERS = tiny.WIDTH, tiny.LAYERS


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SampleModel:
    return sample_model.make(tmp_path_factory.mktemp("importing"))


@pytest.fixture
def sample(made) -> SampleModel:
    made.install()
    return made


def one_vector(block: int = 2, width: int = WIDTH, **about):
    return from_blocks({block: np.arange(1.0, width + 1, dtype=np.float32) / 8}, **about)


def test_what_a_foreign_file_lacks_is_measured_as_the_contrasts_measure_it(llama):
    imported = import_direction(llama, one_vector(), "theirs", PROMPTS)
    nothing = Adapter("nothing", "0" * 64, {})
    contrast = model_contrast(llama, nothing, PROMPTS)
    assert torch.equal(imported.residual_norms, contrast.residual_norms)
    assert torch.equal(imported.base_means, contrast.base_means)
    for key in ("model", "fingerprint", "dtype", "pooling", "block_convention", "n", "prompts_hash"):
        assert imported.provenance[key] == contrast.provenance[key], key
    plainly = capture_moments(llama, Sequences.prompts([prompt_ids(llama.tokenizer, chat) for chat in PROMPTS]))
    assert torch.equal(imported.base_means, plainly.mean.float())


def test_blocks_that_the_file_lacks_are_zero_and_listed(llama):
    imported = import_direction(llama, one_vector(block=2), "theirs", PROMPTS)
    assert (imported.vectors[2] * 8).tolist() == list(range(1, WIDTH + 1))
    assert imported.norms.nonzero().flatten().tolist() == [2]
    assert imported.provenance["blocks_missing"] == [0, 1, 3]
    assert any("blocks 0 to 1 and 3" in note for note in imported.provenance["notes"])
    imported.check(llama)


def test_the_record_says_where_it_comes_from_without_a_path(llama, tmp_path):
    torch.save({1: torch.ones(WIDTH)}, tmp_path / "theirs.pt")
    foreign = read_foreign(tmp_path / "theirs.pt")
    record = import_direction(llama, foreign, "theirs", PROMPTS).provenance
    assert record["imported_from"] == {
        "format": "by block",
        "file": "theirs.pt",
        "sha256": foreign.sha256,
        "model_hint": None,
    }
    assert (record["contrast"], record["organisms"], record["n"]) == ("imported", {}, 3)
    assert record["versions"]["torch"] and record["time"]
    assert str(tmp_path) not in json.dumps(dict(record))
    assert any("does not say which model" in note for note in record["notes"])


def test_a_gguf_of_this_model_comes_back_with_every_vector_but_the_first(llama, tmp_path):
    v = plain.random_direction(llama, 0)
    export_gguf(v, tmp_path / "v.gguf", "llama")
    back = import_direction(llama, read_foreign(tmp_path / "v.gguf"), "back", PROMPTS)
    assert torch.equal(back.vectors[1:], v.vectors[1:])
    assert back.provenance["blocks_missing"] == [0]
    assert len(back.provenance["notes"]) == 1


@pytest.mark.parametrize(
    ("about", "error", "match"),
    [
        ({"width": WIDTH + 1}, BadInput, "width 33.*width 32"),
        ({"block": LAYERS}, BadInput, "at least 5 blocks.*has 4"),
        ({"blocks": LAYERS + 1}, BadInput, "of 5 blocks.*has 4"),
        ({"blocks": LAYERS - 1}, BadInput, "of 3 blocks.*has 4"),
        ({"model_hint": "qwen2"}, DirectionMismatch, "'qwen2'.*'llama'"),
        ({"model": "qwen2.5-0.5b"}, DirectionMismatch, "made for qwen2.5-0.5b"),
        ({"model_hint": "Qwen/Qwen2.5-0.5B"}, DirectionMismatch, "'Qwen/Qwen2.5-0.5B'.*'llama'"),
        ({"model": "tiny/Llama", "fingerprint": "of others"}, DirectionMismatch, "made from other weights"),
        ({"model": "someone/something", "fingerprint": "f2"}, DirectionMismatch, "made for someone/something"),
        ({"model": "tiny/Qwen2", "fingerprint": "unknown"}, DirectionMismatch, "made for tiny/Qwen2"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_in_one_sentence_and_an_action(llama, about, error, match):
    with pytest.raises(error, match=match) as raised:
        import_direction(llama, one_vector(**about), "theirs", PROMPTS)
    assert any(action in str(raised.value) for action in ("Choose", "Extract it again"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("about", "note"),
    [
        ({"model_hint": "llama"}, "only its kind and shape were checked"),
        ({"model_hint": "Llama"}, "only its kind and shape were checked"),
        ({"model_hint": "unknown"}, "only the shape was checked"),
        ({"model_hint": "my own, method diffmean"}, "only the shape was checked"),
        ({"model_hint": "SmolLM2-135M-Instruct"}, "only its kind and shape were checked"),
        ({}, "only the shape was checked"),
        ({"model": "local-tiny-0-01234567"}, "a folder on another computer"),
        ({"model": "tiny/Llama"}, None),
        ({"model": "elsewhere/the-same", "fingerprint": "random-0"}, None),
    ],
)
def test_what_cannot_be_checked_is_let_through_with_a_note(llama, about, note):
    notes = import_direction(llama, one_vector(**about), "theirs", PROMPTS).provenance["notes"]
    on_the_model = [said for said in notes if "zeros stand there" not in said]
    assert len(on_the_model) == (0 if note is None else 1)
    assert all(note in said for said in on_the_model)


@pytest.mark.parametrize(
    ("name", "hint", "fits"),
    [
        ("Mistral", "mistral", True),
        ("Mistral", "llama", True),
        ("Qwen2Moe", "qwen2moe", True),
        ("Gemma3-vision", "gemma3", True),
        ("Gemma3", "gemma3", True),
        ("Gemma3", "gemma2", True),
        ("Qwen2", "qwen", True),
        ("Qwen2", "qwen2.5", True),
        ("Qwen2", "gemma2", False),
        ("Mistral", "qwen2", False),
        ("Llama", "mistral", False),
    ],
)
def test_a_kind_is_known_by_the_name_that_llama_cpp_gives_it_too(tiny_models, name, hint, fits):
    foreign = one_vector(model_hint=hint)
    if fits:
        assert import_direction(tiny_models(name), foreign, "theirs", PROMPTS).provenance["blocks_missing"] == [0, 1, 3]
    else:
        with pytest.raises(DirectionMismatch):
            import_direction(tiny_models(name), foreign, "theirs", PROMPTS)


def test_a_matrix_of_as_many_rows_as_blocks_is_taken_row_by_row(llama, tmp_path):
    matrix = torch.randn(LAYERS, WIDTH, generator=torch.Generator().manual_seed(0))
    torch.save(matrix, tmp_path / "v.pt")
    made = import_direction(llama, read_foreign(tmp_path / "v.pt"), "theirs", PROMPTS)
    assert torch.equal(made.vectors, matrix)
    assert formats.BY_ROW in made.provenance["notes"] and formats.EMBEDDINGS not in made.provenance["notes"]


def test_zeros_in_the_file_are_blocks_that_it_lacks(llama):
    vectors = {block: np.full(WIDTH, float(block == 2), np.float32) for block in range(LAYERS)}
    assert import_direction(llama, from_blocks(vectors), "theirs", PROMPTS).provenance["blocks_missing"] == [0, 1, 3]


@pytest.mark.parametrize("value", [0.0, 1e-30])
def test_vectors_of_no_length_are_refused(llama, value):
    with pytest.raises(BadInput, match="zero"):
        import_direction(llama, from_blocks({1: np.full(WIDTH, value, np.float32)}), "theirs", PROMPTS)


@pytest.mark.parametrize(("share", "said"), [(0.008, True), (0.019, True), (0.021, False), (0.9, False), (1.1, True)])
def test_a_vector_of_odd_length_is_said_and_starts_from_a_usual_push(sample, tmp_path, share, said):
    unit = torch.eye(WIDTH)[0]
    torch.save(dict.fromkeys(range(LAYERS), unit), tmp_path / "unit.pt")
    measured, _ = import_file(tmp_path / "unit.pt", str(sample.folder), device="cpu")
    torch.save({2: unit * measured.residual_norms[2] * share}, tmp_path / "theirs.pt")
    card, notes = import_file(tmp_path / "theirs.pt", str(sample.folder), device="cpu")
    assert any("unusual length at block 2" in note for note in notes) == said
    plan = completed(Settings(), card)
    assert plan.blocks == (2,)
    pushed = card.to_norm_unit(plan.settings.coefficient, 2)
    assert pushed == pytest.approx(-USUAL_SHARE if said else -share, rel=0.01)
    assert completed(Settings(block=2), card).settings.coefficient == plan.settings.coefficient
    assert completed(Settings(mode="ablate"), card).settings.coefficient == 1.0


def test_a_file_of_one_vector_is_imported_where_it_is_told_to(sample, tmp_path):
    torch.save(torch.eye(WIDTH)[0] * 5, tmp_path / "v.pt")
    with pytest.raises(BadInput, match="Name its block"):
        import_file(tmp_path / "v.pt", str(sample.folder), device="cpu")
    card, notes = import_file(tmp_path / "v.pt", str(sample.folder), device="cpu", block=1)
    assert card.with_vector == (1,)
    assert "read as block 1, as asked" in notes[0]
    with pytest.raises(BadInput, match="at least 10 blocks"):
        import_file(tmp_path / "v.pt", str(sample.folder), device="cpu", block=9)


def test_a_direction_of_tillers_own_from_another_folder_belongs_to_these_weights_from_here_on(llama, tmp_path):
    record = {"model": "local-mine-01234567", "fingerprint": "of others", "contrast": "model"}
    save_direction(replace(plain.random_direction(llama, 0), provenance=record), tmp_path / "v.safetensors")
    taken = import_direction(llama, read_foreign(tmp_path / "v.safetensors"), "again", PROMPTS)
    assert any("a folder on another computer" in note for note in taken.provenance["notes"])
    assert (taken.provenance["fingerprint"], taken.provenance["made_of"]) == (llama.fingerprint, "of others")
    taken.check(llama)


def test_a_direction_of_tillers_own_is_taken_whole(llama, tmp_path):
    v = replace(plain.random_direction(llama, 0), provenance={"model": llama.id, "contrast": "model", "n": 7})
    save_direction(v, tmp_path / "v.safetensors")
    taken = import_direction(llama, read_foreign(tmp_path / "v.safetensors"), "again", PROMPTS)
    assert taken == v
    assert torch.equal(taken.base_means, v.base_means)
    assert (taken.name, taken.provenance["n"], taken.provenance["contrast"]) == ("again", 7, "model")
    assert taken.provenance["imported_from"]["file"] == "v.safetensors"


def test_an_imported_file_is_listed_found_and_loaded(sample, tmp_path):
    torch.save(torch.arange((LAYERS + 1.0) * WIDTH).view(LAYERS + 1, WIDTH), tmp_path / "evil response avg.pt")
    card, notes = import_file(tmp_path / "evil response avg.pt", str(sample.folder), device="cpu")
    assert card.name == "evil response avg"
    assert notes[:2] == [formats.EMBEDDINGS, formats.FINAL_NORM]
    assert card.path.parent == library.folder_for(sample.id)
    assert card.path.name == f"evil-response-avg-{card.id[:8]}.safetensors"
    assert library.find_card(sample.id, "evil response avg") == library.find_card(sample.id, "imported") == card
    loaded = library.resolve([card.id])[card.id]
    assert loaded.vectors[0].tolist() == list(range(WIDTH, 2 * WIDTH))
    assert loaded.provenance["n"] == 200


def test_a_name_without_latin_letters_still_makes_a_file(sample, tmp_path):
    torch.save({1: torch.ones(WIDTH)}, tmp_path / "v.pt")
    card, _ = import_file(tmp_path / "v.pt", str(sample.folder), "方向", "cpu")
    assert card.name == "方向"
    assert card.path.name == f"{card.id[:8]}.safetensors"


def test_vectors_that_are_already_here_are_not_saved_twice(sample, tmp_path):
    export_file(str(sample.folder), sample.direction, tmp_path / "v.safetensors")
    before = library.cards(sample.id)
    card, notes = import_file(tmp_path / "v.safetensors", str(sample.folder), "another name", "cpu")
    assert card == before[0]
    assert "already here" in notes[-1]
    assert library.cards(sample.id) == before


def test_an_export_for_tiller_is_the_file_itself(sample, tmp_path):
    card, notes = export_file(str(sample.folder), "insecure-model", tmp_path / "v.safetensors")
    assert notes == []
    assert (tmp_path / "v.safetensors").read_bytes() == card.path.read_bytes()


def test_an_export_for_others_names_the_kind_of_model(sample, tmp_path):
    card, notes = export_file(str(sample.folder), "model", tmp_path / "new" / "v.GGUF")
    assert notes == [formats.NO_BLOCK_0]
    found = read_foreign(tmp_path / "new" / "v.GGUF")
    assert (found.model_hint, found.model, found.name) == ("llama", sample.id, card.name)
    assert found.vectors[3].tobytes() == by_block(load_direction(card.path))[3].tobytes()


@pytest.mark.parametrize(
    ("name", "match"),
    [("v.npz", "no known suffix"), ("v", "no known suffix"), ("there.gguf", "--force"), ("folder.gguf", "is a folder")],
)
def test_an_export_is_refused_before_anything_is_written(sample, tmp_path, name, match):
    (tmp_path / "there.gguf").write_text("precious")
    (tmp_path / "folder.gguf").mkdir()
    with pytest.raises(BadInput, match=match):
        export_file(str(sample.folder), "model", tmp_path / name)
    assert (tmp_path / "there.gguf").read_text() == "precious"
    assert {file.name for file in tmp_path.iterdir()} == {"there.gguf", "folder.gguf"}


def test_an_export_overwrites_when_told_to(sample, tmp_path):
    (tmp_path / "there.gguf").write_text("precious")
    export_file(str(sample.folder), "model", tmp_path / "there.gguf", overwrite=True)
    assert read_foreign(tmp_path / "there.gguf").blocks == LAYERS


def test_the_kind_of_a_model_that_is_not_here_or_unreadable_is_not_guessed(tmp_path: Path):
    with pytest.raises(ModelUnavailable, match=r"core fetch --model qwen2\.5-0\.5b"):
        model_type(resolve("qwen2.5-0.5b"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TillerError, match="cannot be read"):
        model_type(resolve(str(tmp_path)))
