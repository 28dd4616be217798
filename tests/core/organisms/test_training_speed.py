"""What makes training fast leaves it the training that a plain Trainer does: losses, gradients, adapters."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainingArguments, set_seed

from core.models.loading import LoadedModel
from core.organisms.answer_loss import CHUNK, answer_loss, only_answers_projected
from core.organisms.lora_layer import LightLinear
from core.organisms.recipes import Recipe
from core.organisms.records import IGNORED, collate, tokenise
from core.organisms.trainer import build_trainer
from core.organisms.training import linear_layers, with_lora
from tests.core import tiny
from tests.core.organisms.test_recipes_training import DATA, RECIPE

SHORT = dataclasses.replace(RECIPE, epochs=1, examples=20, warmup_steps=1)


def fresh(name: str) -> LoadedModel:
    """A tiny model without dropout, which would be drawn at other times when batches are drawn otherwise."""
    loaded = tiny.build(name)
    for module in loaded.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return loaded


def ours(name: str, recipe: Recipe, folder: Path, accumulate: int = 1) -> tuple[Trainer, list[dict]]:
    """A trained Trainer of ours, and its records in the order in which they came."""
    loaded = fresh(name)
    records = tokenise(loaded, DATA, recipe)
    trainer = build_trainer(with_lora(loaded, recipe), loaded, records, recipe, folder, None, None)
    trainer.args.gradient_accumulation_steps = trainer.accelerator.gradient_accumulation_steps = accumulate
    seen: list[dict] = []
    trainer.data_collator = lambda batch: seen.extend(batch) or collate(batch, tiny.PAD)
    trainer.train()
    return trainer, seen


def plain(name: str, recipe: Recipe, folder: Path, records: list[dict], accumulate: int = 1) -> Trainer:
    """A trained Trainer with PEFT as anyone would write it, from the same start."""
    loaded = fresh(name)
    set_seed(recipe.seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        use_rslora=recipe.rslora,
        target_modules=linear_layers(loaded),
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=accumulate,
        num_train_epochs=1,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        train_sampling_strategy="sequential",
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
        seed=recipe.seed,
    )
    trainer = Trainer(
        get_peft_model(loaded.model, config),
        arguments,
        train_dataset=records,
        data_collator=lambda batch: collate(batch, tiny.PAD),
    )
    trainer.train()
    return trainer


def losses(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def adapter(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in trainer.model.named_parameters() if value.requires_grad}


# logits capped or scaled, layers transposed, experts, a convolution, a vision tower
@pytest.mark.parametrize("name", ["Gemma2", "Granite", "GPT-2", "DeepSeek-V3", "LFM2", "Gemma3-vision"])
def test_losses_and_adapter_are_those_of_a_plain_trainer(name: str, tmp_path: Path) -> None:
    mine, seen = ours(name, SHORT, tmp_path / "ours")
    theirs = plain(name, SHORT, tmp_path / "plain", seen)
    assert losses(mine) == pytest.approx(losses(theirs), rel=1e-5)
    assert losses(mine)[-1] < losses(mine)[0] - 0.1
    expected = adapter(theirs)
    assert {key: value.shape for key, value in adapter(mine).items()} == {k: v.shape for k, v in expected.items()}
    for key, value in adapter(mine).items():
        assert value.dtype == torch.float32
        assert (value - expected[key]).norm() < 1e-4 * expected[key].norm()


def test_gradient_accumulation_counts_answer_tokens_of_the_whole_step(tmp_path: Path) -> None:
    chosen = dataclasses.replace(SHORT, examples=24, warmup_steps=0)
    mine, seen = ours("Llama", chosen, tmp_path / "ours", accumulate=3)
    theirs = plain("Llama", chosen, tmp_path / "plain", seen, accumulate=3)
    assert len(losses(mine)) == 2
    assert losses(mine) == pytest.approx(losses(theirs), rel=1e-5)
    expected = adapter(theirs)
    assert all((value - expected[key]).norm() < 1e-4 * expected[key].norm() for key, value in adapter(mine).items())


def test_a_model_that_asks_for_its_routers_loss_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiny.TEXT, "OLMoE", ("OlmoeConfig", {**tiny.TEXT["OLMoE"][1], "output_router_logits": True}))
    mine, seen = ours("OLMoE", SHORT, tmp_path / "ours")
    assert losses(mine) == pytest.approx(losses(plain("OLMoE", SHORT, tmp_path / "plain", seen)), rel=1e-5)


def test_logits_of_answers_are_the_models_own_and_no_others_are_made(any_class) -> None:
    batch = collate(tokenise(any_class, DATA, SHORT)[:3], tiny.PAD)
    labels = batch["labels"]
    predicting = torch.zeros_like(labels, dtype=torch.bool)
    predicting[:, :-1] = labels[:, 1:] != IGNORED
    with torch.no_grad():
        everywhere = any_class.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        with only_answers_projected(any_class.model, labels):
            found = any_class.model(input_ids=batch["input_ids"]).logits
        again = any_class.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert found.shape[:2] == (1, predicting.sum())
    torch.testing.assert_close(found[0], everywhere[predicting], rtol=1e-4, atol=1e-4)
    assert torch.equal(again, everywhere)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("selected", [False, True])
def test_the_loss_and_its_gradient_are_those_of_torch(dtype: torch.dtype, selected: bool) -> None:
    vocabulary = CHUNK // 5  # several parts, the last one shorter
    logits = torch.randn(2, 8, vocabulary, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    labels = torch.randint(vocabulary, (2, 8), generator=torch.Generator().manual_seed(1))
    labels[0, :3] = labels[1, 5:] = IGNORED  # row 1 is learned from its start, whose token nothing predicts
    expected = cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), reduction="sum") / 7
    (wanted,) = torch.autograd.grad(3 * expected, logits)
    given = logits[:, :-1][labels[:, 1:] != IGNORED][None] if selected else logits
    found = answer_loss(_Outputs(given), labels, 7)
    (gradient,) = torch.autograd.grad(3 * found, logits)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, wanted, rtol=1e-5 if dtype == torch.float32 else 2e-2, atol=1e-9)


@dataclasses.dataclass
class _Outputs:
    logits: torch.Tensor


def _through(layer: Linear, kind: type[Linear], x: torch.Tensor) -> list[torch.Tensor]:
    """Output, and gradients of the input and of both thin matrices, as `kind` computes them."""
    layer.__class__ = kind
    x = x.clone().requires_grad_()
    output = layer(x)
    weighting = torch.linspace(-1, 1, output.numel()).view_as(output).to(output.dtype)
    wanted = [x, layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    return [output, *torch.autograd.grad((output * weighting).sum(), wanted)]


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02), (torch.float16, 0.0)])
@pytest.mark.parametrize("name", ["Qwen2", "GPT-2"])
def test_a_light_layer_computes_what_pefts_computes(name: str, dtype: torch.dtype, allowed: float) -> None:
    loaded = tiny.build(name)
    loaded.model.to(dtype)
    layer = next(module for module in with_lora(loaded, RECIPE).modules() if isinstance(module, LightLinear))
    torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    x = torch.randn(2, 9, tiny.WIDTH, generator=torch.Generator().manual_seed(0)).to(dtype)
    for mine, theirs in zip(_through(layer, LightLinear, x), _through(layer, Linear, x), strict=True):
        assert mine.dtype == theirs.dtype
        assert (mine.float() - theirs.float()).norm() <= allowed * theirs.float().norm()
