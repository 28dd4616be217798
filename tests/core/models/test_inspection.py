"""A folder is looked at before it is believed: what is missing, damaged, quantised or not finite is one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import BadInput, ModelUnavailable
from core.models import sources
from core.models.catalog import resolve
from core.models.forward import Inputs
from core.models.loading import load
from tests.core import tiny

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A whole tiny model in a folder."""
    path = tmp_path / "mine"
    tiny.random_model("Llama", 0).save_pretrained(path)
    tiny.tokenizer().save_pretrained(path)
    return path


def change(folder: Path, **tensors: torch.Tensor | None) -> None:
    """Write the weights again with some others; None leaves one out."""
    there = load_file(folder / WEIGHTS) | tensors
    save_file({name: value for name, value in there.items() if value is not None}, folder / WEIGHTS, {"format": "pt"})


def configure(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def refused(folder: Path) -> str:
    with pytest.raises(ModelUnavailable) as error:
        load(str(folder), "cpu")
    said = str(error.value)
    assert "models folder" not in said and "fetch" not in said, "the folder is the user's own"
    return said


def test_a_whole_model_is_loaded_as_it_was_saved(folder):
    loaded = load(str(folder), "cpu", torch.float32, fast=False)
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, load_file(folder / WEIGHTS)[name])


@pytest.mark.parametrize("name", ["lm_head.weight", "model.layers.2.mlp.down_proj.weight", "model.embed_tokens.weight"])
def test_a_missing_tensor_is_named_and_nothing_random_stands_for_it(folder, name):
    change(folder, **{name: None})
    assert f"1 missing ({name})" in refused(folder)


def test_a_tied_head_is_not_missing(tmp_path):
    model = tiny.random_model("Llama", 0)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / WEIGHTS)
    head = load(str(tmp_path), "cpu", torch.float32, fast=False).model.lm_head.weight
    assert torch.equal(head, model.get_input_embeddings().weight)


def test_names_with_another_prefix_are_both_missing_and_without_a_place(folder):
    there = load_file(folder / WEIGHTS)
    save_file({f"module.{name}": value for name, value in there.items()}, folder / WEIGHTS, {"format": "pt"})
    said = refused(folder)
    assert f"{len(there)} missing" in said and "with no place in it (module." in said


def test_a_configuration_of_more_or_fewer_blocks_does_not_fit(folder):
    configure(folder, num_hidden_layers=tiny.LAYERS + 1)
    assert f"9 missing (model.layers.{tiny.LAYERS}." in refused(folder)
    configure(folder, num_hidden_layers=tiny.LAYERS - 1)
    assert f"9 with no place in it (model.layers.{tiny.LAYERS - 1}." in refused(folder)


def test_a_part_that_is_not_of_the_decoder_is_left_aside(folder, caplog):
    change(folder, **{"value_head.weight": torch.zeros(1, tiny.WIDTH)})
    load(str(folder), "cpu")
    assert "1 tensors that are no part of the decoder" in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_before_anything_is_loaded(folder, dtype, value):
    there = {name: tensor.to(dtype) for name, tensor in load_file(folder / WEIGHTS).items()}
    there["model.layers.1.mlp.up_proj.weight"][3, 5] = value
    save_file(there, folder / WEIGHTS, {"format": "pt"})
    spec = resolve(str(folder))
    with pytest.raises(ModelUnavailable, match=r"not finite \(in model.layers.1.mlp.up_proj.weight\)"):
        sources.fingerprint(spec)


def test_the_largest_numbers_are_finite(folder):
    change(folder, **{"model.norm.weight": torch.full((tiny.WIDTH,), torch.finfo(torch.float32).max)})
    assert sources.fingerprint(resolve(str(folder)))


def test_values_are_read_once_and_again_when_the_file_changes(folder, monkeypatch):
    read: list[int] = []
    looked = sources.inspection.check_values
    monkeypatch.setattr(sources.inspection, "check_values", lambda *given: (read.append(1), looked(*given)))
    spec = resolve(str(folder))
    for _ in range(3):
        sources.fingerprint(spec)
    assert len(read) == 1
    change(folder, **{"model.norm.weight": torch.ones(tiny.WIDTH)})
    sources.fingerprint(spec)
    assert len(read) == 2


def test_half_a_file_and_a_pointer_are_called_what_they_are(folder):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    assert f"{WEIGHTS} in mine is damaged or not whole" in refused(folder)
    (folder / WEIGHTS).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n")
    assert "is a pointer to the weights" in refused(folder)
    (folder / WEIGHTS).write_bytes(b"")
    assert "damaged or not whole" in refused(folder)


def test_a_shard_that_is_not_there_is_named(tmp_path):
    tiny.random_model("Llama", 0).save_pretrained(tmp_path, max_shard_size="40KB")
    tiny.tokenizer().save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    load(str(tmp_path), "cpu")
    shards[1].unlink()
    assert f"1 of their files is missing ({shards[1].name})" in refused(tmp_path)


@pytest.mark.parametrize("kind", ["awq", "bitsandbytes", "compressed-tensors", "fp8", "gptq", "mxfp4"])
def test_quantised_weights_are_refused_by_the_name_of_their_kind(folder, kind):
    configure(folder, quantization_config={"quant_method": kind})
    assert f"quantised ({kind})" in refused(folder)


def test_an_adapter_is_not_a_model_and_one_beside_a_model_is_left_aside(folder, tmp_path, caplog):
    from peft import LoraConfig, get_peft_model

    alone = tmp_path / "alone"
    made = get_peft_model(tiny.random_model("Llama", 0), LoraConfig(r=2, target_modules=["q_proj"]))
    torch.nn.init.ones_(made.base_model.model.model.layers[0].self_attn.q_proj.lora_B["default"].weight)
    made.save_pretrained(alone)
    with pytest.raises(ModelUnavailable, match="holds an adapter and not a model"):
        resolve(str(alone))
    for file in alone.glob("adapter_*"):
        shutil.copy(file, folder)
    loaded = load(str(folder), "cpu", torch.float32, fast=False)
    assert not [name for name, _ in loaded.model.named_parameters() if "lora" in name]
    assert "an adapter beside its weights, which is left aside" in caplog.text
    for file in folder.glob("adapter_*"):
        file.unlink()
    assert sources.fingerprint(resolve(str(folder))) == loaded.fingerprint


def test_a_missing_or_foreign_tokenizer_is_said(folder):
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer that can be read" in refused(folder)
    tiny.tokenizer().save_pretrained(folder)
    small = load_file(folder / WEIGHTS)
    change(folder, **{name: small[name][:100].clone() for name in ("model.embed_tokens.weight", "lm_head.weight")})
    configure(folder, vocab_size=100)
    assert f"knows {tiny.VOCABULARY:,} tokens and its embedding 100" in refused(folder)


def test_a_token_that_was_added_later_is_refused_where_it_is_used_and_pads_nothing(folder):
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<|new|>"})
    tokenizer.save_pretrained(folder)
    loaded = load(str(folder), "cpu")
    assert loaded.tokenizer.pad_token_id == loaded.vocabulary == tiny.VOCABULARY
    assert Inputs.left(loaded, [[5, 6], [7]]).ids.max() < loaded.vocabulary
    with pytest.raises(BadInput, match="has no embedding for"):
        Inputs.left(loaded, [tokenizer("so <|new|>")["input_ids"]])


@pytest.mark.embedded
def test_the_embedded_model_passes():
    sources.inspection.check_folder(sources.folder_of(resolve("smollm2-135m")), "")
    sources.inspection.check_values(
        sources.inspection.weights(sources.folder_of(resolve("smollm2-135m"))),
        "",
    )
