"""Adapters that PEFT saves: each kind gives PEFT's own logits, or is refused by the name of what is not understood."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from core.errors import DamagedArtifact, OrganismMismatch
from core.models.loading import hasten, wrap
from core.organisms.adapters import CONFIG, WEIGHTS, attached, load_adapter
from tests.core import tiny

IDS = torch.tensor([[5, 40, 77, 9, 130, 44], [9, 9, 61, 200, 33, 12]])
Q = ["q_proj"]
KINDS = {
    "plain": {"target_modules": ["q_proj", "v_proj"]},
    "all linear layers": {"target_modules": "all-linear"},
    "a regular expression": {"target_modules": r".*\.(q|k)_proj"},
    "feed-forward": {"target_modules": ["gate_proj", "up_proj", "down_proj"]},
    "rank 1": {"target_modules": ["down_proj"], "r": 1},
    "one block": {"target_modules": ["down_proj"], "r": 1, "layers_to_transform": 2},
    "two blocks": {"target_modules": Q, "layers_to_transform": [0, 3], "layers_pattern": "layers"},
    "another alpha": {"target_modules": Q, "lora_alpha": 7},
    "a broken alpha": {"target_modules": Q, "lora_alpha": 0.5},
    "rank-stabilised": {"target_modules": Q, "use_rslora": True, "r": 4},
    "dropout": {"target_modules": Q, "lora_dropout": 0.3},
    "ranks by name": {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"v_proj": 2}},
    "ranks by path": {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"model.layers.1.self_attn.q_proj": 6}},
    "ranks by expression": {"target_modules": Q, "rank_pattern": {r".*\.2\..*q_proj": 1}},
    "alphas by name": {"target_modules": ["q_proj", "v_proj"], "alpha_pattern": {"v_proj": 3}},
    "both, rank-stabilised": {
        "target_modules": ["q_proj", "v_proj"], "use_rslora": True, "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"q_proj": 5, "v_proj": 1},
    },
    "without some": {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["model.layers.0.self_attn.q_proj"]},
    "the head": {"target_modules": ["q_proj", "lm_head"]},
    "the embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "gaussian": {"target_modules": Q, "init_lora_weights": "gaussian"},
    "orthogonal": {"target_modules": Q, "init_lora_weights": "orthogonal", "r": 4},
    "left as they were": {"target_modules": Q, "init_lora_weights": False},
}  # fmt: skip
NOT_PLAIN = {
    "use_dora": {"use_dora": True},
    "init_lora_weights": {"init_lora_weights": "pissa"},
    "modules_to_save": {"modules_to_save": ["lm_head"]},
    "bias": {"bias": "all"},
    "lora_bias": {"lora_bias": True},
    "trainable_token_indices": {"trainable_token_indices": [1, 2]},
    "alora_invocation_tokens": {"alora_invocation_tokens": [5, 6]},
    "layer_replication": {"layer_replication": [[0, 2], [1, 4]]},
}


def saved(folder: Path, model_class: str = "Llama", **settings):
    """A PEFT model with random matrices, saved; it has the weights of `tiny.random_model(model_class)`."""
    base = tiny.random_model(model_class)
    config = LoraConfig(**{"r": 3, "lora_alpha": 6, "task_type": "CAUSAL_LM", **settings})
    made = get_peft_model(base, config).eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in made.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    made.save_pretrained(folder)
    return made


def logits_of(folder: Path, model_class: str = "Llama", fast: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of the base model and of both rows: the first as the base, the second with the adapter in the folder."""
    loaded = wrap(tiny.random_model(model_class), tiny.tokenizer(), f"tiny/{model_class}")
    adapter = load_adapter(loaded, folder)
    if fast:
        hasten(loaded)
    with torch.inference_mode():
        base = loaded.model(IDS, use_cache=False).logits
        with attached(loaded, [None, adapter]):
            mixed = loaded.model(IDS, use_cache=False).logits
        with attached(loaded, [adapter, adapter]):
            alone = loaded.model(IDS, use_cache=False).logits
    torch.testing.assert_close(mixed[0], base[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mixed[1], alone[1], rtol=1e-4, atol=1e-4)
    return base, alone


@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_pefts_logits(tmp_path, kind, fast):
    theirs = saved(tmp_path, **KINDS[kind])
    base, ours = logits_of(tmp_path, fast=fast)
    with torch.inference_mode():
        expected = theirs(IDS, use_cache=False).logits
    assert (expected - base).abs().max() > 0.01
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("targets", [["c_attn"], ["c_fc", "c_proj"], ["wte", "c_attn"], ["lm_head"]])
def test_so_do_layers_that_hold_their_weights_the_other_way_round(tmp_path, targets):
    theirs = saved(tmp_path, "GPT-2", target_modules=targets)
    base, ours = logits_of(tmp_path, "GPT-2")
    with torch.inference_mode():
        expected = theirs(IDS, use_cache=False).logits
    assert (expected - base).abs().max() > 0.01
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "renamed",
    [
        lambda key: key.replace(".weight", ".default.weight"),
        lambda key: key.replace("base_model.model.", "base_model.model.base_model.model."),
        lambda key: key.replace("base_model.model.", "base_model.model._orig_mod."),
        lambda key: key.replace("base_model.model.", "module.base_model.model.").removeprefix("module."),
        lambda key: key.removeprefix("base_model.model."),
        lambda key: key.replace(".self_attn.", "._fsdp_wrapped_module.self_attn."),
    ],
    ids=["adapter name", "twice", "compiled", "parallel", "bare", "sharded"],
)
def test_older_names_and_those_of_wrappers_are_understood(tmp_path, renamed):
    saved(tmp_path, target_modules=["q_proj", "down_proj"])
    _, expected = logits_of(tmp_path)
    save_file({renamed(key): value for key, value in load_file(tmp_path / WEIGHTS).items()}, tmp_path / WEIGHTS)
    assert torch.equal(logits_of(tmp_path)[1], expected)


def test_blocks_are_found_where_another_version_of_transformers_had_them(tmp_path):
    saved(tmp_path, "Gemma3-vision", target_modules=r".*language_model.*\.q_proj")
    _, expected = logits_of(tmp_path, "Gemma3-vision")
    there = load_file(tmp_path / WEIGHTS)
    older = {key.replace("model.language_model.layers", "language_model.model.layers"): there[key] for key in there}
    assert older.keys() != there.keys()
    save_file(older, tmp_path / WEIGHTS)
    assert torch.equal(logits_of(tmp_path, "Gemma3-vision")[1], expected)


@pytest.mark.parametrize("key", NOT_PLAIN)
def test_what_is_more_than_plain_lora_is_refused_by_its_name(tmp_path, key):
    saved(tmp_path, target_modules=Q)
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**config, **NOT_PLAIN[key]}))
    with pytest.raises(OrganismMismatch, match=rf"computes exactly \({key}\)"):
        logits_of(tmp_path)


def test_a_key_of_a_later_version_is_refused_where_it_is_on_and_taken_where_it_is_off(tmp_path):
    saved(tmp_path, target_modules=Q)
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**config, "use_novelty": None, "novelties": []}))
    logits_of(tmp_path)
    for value in (True, 1, "x", {"a": 1}):
        (tmp_path / CONFIG).write_text(json.dumps({**config, "use_novelty": value}))
        with pytest.raises(OrganismMismatch, match=r"\(use_novelty\)"):
            logits_of(tmp_path)


def test_another_method_is_refused_by_its_name(tmp_path):
    get_peft_model(
        tiny.random_model("Llama"), IA3Config(target_modules=["k_proj"], feedforward_modules=[])
    ).save_pretrained(tmp_path)
    with pytest.raises(OrganismMismatch, match=r"\(peft_type IA3\)"):
        logits_of(tmp_path)


def test_saved_weights_of_the_base_are_a_copy_or_refused(tmp_path):
    saved(tmp_path, target_modules=["q_proj", "lm_head"])
    tensors = load_file(tmp_path / WEIGHTS)
    (copied,) = [key for key in tensors if "lora_" not in key]
    save_file({**tensors, copied: tensors[copied] + 1}, tmp_path / WEIGHTS)
    with pytest.raises(OrganismMismatch, match=r"more than a plain LoRA adapter .*lm_head"):
        logits_of(tmp_path)


def test_a_rank_that_the_matrices_do_not_have_is_damage(tmp_path):
    saved(tmp_path, target_modules=Q)
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**config, "r": 8}))
    with pytest.raises(DamagedArtifact, match="has rank 3"):
        logits_of(tmp_path)


def test_a_pattern_that_could_run_for_ever_is_refused(tmp_path):
    saved(tmp_path, target_modules=Q)
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**config, "rank_pattern": {"(a+)+$": 3}}))
    with pytest.raises(OrganismMismatch, match="rank_pattern"):
        logits_of(tmp_path)


def test_an_adapter_that_changes_nothing_or_holds_no_numbers_is_refused(tmp_path):
    saved(tmp_path, target_modules=Q)
    tensors = load_file(tmp_path / WEIGHTS)
    zero = {key: value * ("lora_A" in key) for key, value in tensors.items()}
    save_file(zero, tmp_path / WEIGHTS)
    with pytest.raises(OrganismMismatch, match="changes nothing"):
        logits_of(tmp_path)
    broken = copy.deepcopy(tensors)
    next(iter(broken.values()))[0, 0] = float("nan")
    save_file(broken, tmp_path / WEIGHTS)
    with pytest.raises(DamagedArtifact, match="not finite"):
        logits_of(tmp_path)


@pytest.mark.parametrize(
    ("stated", "fits"),
    [
        (None, True),
        ("", True),
        ("tiny/Llama", True),
        ("/home/someone/models/llama/", True),
        ("owner/Llama-bnb-4bit", True),
        ("tiny/Twin", False),
        ("C:\\models\\other", False),
    ],
)
def test_the_base_model_that_an_adapter_names_is_compared(tmp_path, stated, fits):
    saved(tmp_path, target_modules=Q)
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": stated}))
    if fits:
        logits_of(tmp_path)
    else:
        with pytest.raises(OrganismMismatch, match=r"as its base model, and this is tiny/Llama"):
            logits_of(tmp_path)


def test_a_pickle_and_a_folder_above_say_what_they_are(tmp_path):
    saved(tmp_path / "run" / "checkpoint-5", target_modules=Q)
    with pytest.raises(OrganismMismatch, match=r"1 inside \(checkpoint-5\)"):
        logits_of(tmp_path / "run")
    pickled = tmp_path / "pickled"
    shutil.copytree(tmp_path / "run" / "checkpoint-5", pickled)
    (pickled / WEIGHTS).rename(pickled / "adapter_model.bin")
    with pytest.raises(OrganismMismatch, match="pickles are not opened"):
        logits_of(pickled)
