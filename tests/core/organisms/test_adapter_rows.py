"""Adapters that are switched per row compute what PEFT computes, for every architecture class."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace

import peft
import pytest
import torch

from core.activations.capture import Sequences, capture_all
from core.errors import BadInput
from core.generation.decode import collect
from core.generation.rows import BASE, Row, Sampling
from core.models.forward import pad_left
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter, attached, load_adapter
from core.organisms.training import linear_layers
from tests.core import tiny
from tests.core.plain import LONG, SHORT, assert_greedy, assert_same_answer, count_hooks, ids_of, logprobs_without_cache

SETTINGS = {
    "first": {"r": 4, "lora_alpha": 8},
    "second": {"r": 3, "lora_alpha": 5, "use_rslora": True},
}
GREEDY = Sampling(max_tokens=6)
# PEFT refuses the output projection of some Mamba layers, fails on Llama 4's router, which returns a tuple, and
# turns a pattern that names a shared expert into LoRA on the fused experts, which is not plain LoRA
ATTENTION_ALONE = {"FalconH1", "NemotronH", "Llama4", "Qwen3Next", "DeepSeek-V3"}


def train_randomly(loaded: LoadedModel, folder: Path, seed: int, **settings) -> torch.nn.Module:
    """A PEFT model with random LoRA matrices on the layers that `core train` adapts, saved to `folder`."""
    name = loaded.id.removeprefix("tiny/")
    layers = r".*\.[qkvo]_proj" if name in ATTENTION_ALONE else linear_layers(loaded)
    config = peft.LoraConfig(target_modules=layers, task_type="CAUSAL_LM", **settings)
    model = peft.get_peft_model(tiny.random_model(name), config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if "lora_" in path:
                parameter.normal_(0.0, 0.5 / parameter.shape[1] ** 0.5, generator=generator)
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="session")
def organisms(tiny_models, tmp_path_factory):
    """For a class: the loaded model, two adapters read from disk, and PEFT's own models of them."""

    @functools.cache
    def make(name: str) -> SimpleNamespace:
        loaded = tiny_models(name)
        adapters: dict[str, Adapter] = {}
        models = {}
        for seed, (label, settings) in enumerate(SETTINGS.items()):
            folder = tmp_path_factory.mktemp("adapters") / label
            models[label] = train_randomly(loaded, folder, seed, **settings)
            adapters[label] = load_adapter(loaded, folder)
        return SimpleNamespace(loaded=loaded, adapters=adapters, peft=models)

    return make


@pytest.fixture(params=tiny.CLASSES)
def organism(request, organisms) -> SimpleNamespace:
    return organisms(request.param)


@torch.inference_mode()
def logits(organism, model, *labels: str) -> torch.Tensor:
    """Logits at the last tokens of a left-padded batch of two prompts."""
    ids, mask = pad_left([ids_of(organism.loaded, chat) for chat in (SHORT, LONG)], tiny.PAD)
    with attached(organism.loaded, [organism.adapters.get(label) for label in labels or (BASE, BASE)]):
        return model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, -1]


def test_an_adapter_computes_what_peft_computes(organism):
    for label in SETTINGS:
        ours = logits(organism, organism.loaded.model, label, label)
        theirs = logits(organism, organism.peft[label])
        assert (theirs - logits(organism, organism.loaded.model)).abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3)


def test_two_adapters_and_the_base_model_mix_in_one_batch(organism):
    base = logits(organism, organism.loaded.model)
    theirs = {label: logits(organism, organism.peft[label]) for label in SETTINGS} | {BASE: base}
    for pair in ((BASE, "first"), ("second", BASE), ("first", "second")):
        mixed = logits(organism, organism.loaded.model, *pair)
        expected = torch.stack([theirs[label][place] for place, label in enumerate(pair)])
        torch.testing.assert_close(mixed, expected, rtol=2e-3, atol=2e-3)


def test_rows_of_a_batch_decode_with_their_own_adapters(organism):
    loaded = organism.loaded
    rows = [
        Row(chat, label, adapter=label, sampling=GREEDY)
        for chat, label in ((SHORT, "first"), (LONG, BASE), (LONG, "second"), (SHORT, "second"))
    ]
    before = count_hooks(loaded.model)
    together = collect(loaded, rows, organism.adapters)
    assert count_hooks(loaded.model) == before
    for row, answer in zip(rows, together, strict=True):
        assert_same_answer(answer, collect(loaded, [row], organism.adapters)[0])
        with attached(loaded, [organism.adapters.get(row.adapter)]):
            ids = [token.id for token in answer.tokens]
            assert_greedy(answer, logprobs_without_cache(loaded, row.chat, ids))


def test_base_rows_beside_an_organism_are_bit_identical_to_base_rows_beside_base_rows(organisms):
    """The gate multiplies by exactly 0, so what the neighbour computes cannot leak."""
    llama = organisms("Llama")
    beside_base = logits(llama, llama.loaded.model, BASE, BASE)
    beside_organism = logits(llama, llama.loaded.model, BASE, "first")
    assert torch.equal(beside_base[0], beside_organism[0])
    assert not torch.equal(beside_base[1], beside_organism[1])


def test_capture_reads_the_organism(organisms):
    llama = organisms("Llama")
    sequences = Sequences.prompts([ids_of(llama.loaded, chat) for chat in (SHORT, LONG)])
    base = capture_all(llama.loaded, sequences)
    changed = capture_all(llama.loaded, sequences, adapter=llama.adapters["first"])
    states = llama.peft["first"](torch.tensor([sequences.ids[1]]), output_hidden_states=True).hidden_states[1:-1]
    torch.testing.assert_close(changed[1, :-1], torch.stack([state[0, -1] for state in states]), rtol=1e-4, atol=1e-4)
    assert (changed - base).abs().max() > 0.1


def test_an_organism_that_is_not_loaded_is_refused(organisms):
    llama = organisms("Llama")
    with pytest.raises(BadInput, match="unknown"):
        collect(llama.loaded, [Row(SHORT, adapter="unknown", sampling=GREEDY)], llama.adapters)


def test_no_hook_is_left_behind_when_the_model_fails(organisms):
    llama = organisms("Llama")
    before = count_hooks(llama.loaded.model)
    with pytest.raises(IndexError), attached(llama.loaded, [llama.adapters["first"]]):
        assert count_hooks(llama.loaded.model) > before
        llama.loaded.model(torch.tensor([[10**6]]))
    assert count_hooks(llama.loaded.model) == before


def test_an_adapter_is_on_while_the_tokens_that_rows_share_are_read(organism):
    """Keys and values of the beginning are the organism's own, not the base model's."""
    together = Sequences.prompts([(5, 9, 7, 11, 6, 8, *rest) for rest in ((3,), (4, 12, 13), (14, 3, 4, 5))])
    loaded, adapter = organism.loaded, organism.adapters["first"]
    shared = capture_all(loaded, together, adapter=adapter)
    apart = capture_all(loaded, together, adapter=adapter, share_prefix=False)
    base = capture_all(loaded, together)
    assert ((shared - apart).norm(dim=-1) / apart.norm(dim=-1)).max() < 2e-5
    assert (shared - base).abs().max() > 1e-3
