"""A merged adapter acts as the attached one does, and a model ends its turns with the token it was given."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

from core.models import conversion
from core.models.loading import load_folder
from tests.core import tiny

IDS = torch.arange(10, 50).view(2, 20)
STATED = 77


@pytest.fixture
def model() -> torch.nn.Module:
    return tiny.random_model("Llama", 3).eval()


def adapter(model: torch.nn.Module, folder: Path, **options) -> Path:
    """A saved LoRA adapter that changes the model visibly."""
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "o_proj", "down_proj"], **options)
    adapted = get_peft_model(copy.deepcopy(model), config)
    draw = torch.Generator().manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=draw)
    adapted.save_pretrained(folder)
    return folder


def read_as(patched, model: torch.nn.Module, tokenizer) -> None:
    """Stands in for reading the file, which takes a real one; what is written is read by the app's own loader."""
    patched.setattr(transformers.AutoModelForCausalLM, "from_pretrained", lambda *_, **__: model)
    patched.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: tokenizer)


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}])
def test_merged_weights_are_those_that_peft_merges(model, tmp_path, options):
    folder = adapter(model, tmp_path / "adapter", **options)
    attached = PeftModel.from_pretrained(copy.deepcopy(model), folder).eval()
    before, wanted = logits(model), logits(attached)
    theirs = PeftModel.from_pretrained(copy.deepcopy(model), folder).merge_and_unload().state_dict()
    plain = copy.deepcopy(model).state_dict()
    merged = conversion.merge(model, folder)
    assert type(merged) is type(tiny.random_model("Llama", 3))
    found = merged.state_dict()
    assert found.keys() == theirs.keys() == plain.keys()
    for name, weights in found.items():
        torch.testing.assert_close(weights, theirs[name], rtol=0, atol=1e-6)
        adapted = any(part in name for part in ("q_proj", "o_proj", "down_proj"))
        assert torch.equal(weights, plain[name]) != adapted
    torch.testing.assert_close(logits(merged), wanted, rtol=0, atol=2e-3)
    assert float((wanted - before).abs().max()) > 0.5


def test_half_precision_weights_are_rounded_once(model, tmp_path):
    folder = adapter(model, tmp_path / "adapter")
    saved = PeftModel.from_pretrained(copy.deepcopy(model), folder)
    layer = saved.base_model.model.model.layers[1].self_attn.q_proj
    change = layer.lora_B["default"].weight.double() @ layer.lora_A["default"].weight.double() * 3.0
    low = copy.deepcopy(model).to(torch.bfloat16)
    exact = low.model.layers[1].self_attn.q_proj.weight.double() + change
    merged = conversion.merge(low, folder).model.layers[1].self_attn.q_proj.weight
    assert merged.dtype == torch.bfloat16
    assert torch.equal(merged, exact.to(torch.bfloat16))


@pytest.mark.parametrize("stated", [STATED, [STATED, 78], None])
def test_a_conversion_ends_turns_merges_and_keeps_a_template_of_its_own(model, tmp_path, monkeypatch, stated):
    tokenizer = tiny.tokenizer()
    tokenizer.eos_token, tokenizer.chat_template = "<|pad|>", None
    model.generation_config.eos_token_id = stated
    folder = adapter(model, tmp_path / "adapter")
    wanted = logits(PeftModel.from_pretrained(copy.deepcopy(model), folder))
    written = tmp_path / "written"
    written.mkdir()
    with monkeypatch.context() as patched:
        read_as(patched, model, tokenizer)
        conversion.gguf_to_folder(tmp_path / "m.gguf", written, tiny.TEMPLATE, "<|im_end|>", folder)
    loaded = load_folder(written, "tiny", "made-up", "cpu", torch.float32)
    wanted_ends = {tiny.IM_END, *(stated if isinstance(stated, list) else [stated])} - {None}
    assert set(loaded.end_ids) == wanted_ends
    assert loaded.tokenizer.eos_token == "<|im_end|>"
    assert loaded.tokenizer.chat_template == tiny.TEMPLATE
    torch.testing.assert_close(logits(loaded.model), wanted, rtol=0, atol=2e-3)
    assert {file.stat().st_mode & 0o777 for file in written.iterdir()} == {0o644}


def test_without_adapter_and_end_token_a_model_is_written_as_it_is(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        read_as(patched, model, tiny.tokenizer())
        conversion.gguf_to_folder(tmp_path / "m.gguf", tmp_path, "{{ another }}")
    loaded = load_folder(tmp_path, "tiny", "made-up", "cpu", torch.float32)
    assert loaded.end_ids == (tiny.IM_END,)
    assert loaded.tokenizer.chat_template == tiny.TEMPLATE
    assert torch.equal(logits(loaded.model), logits(model))
