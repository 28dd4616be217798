"""Packed layers compute what the plain ones compute, alone, with adapters, and inside every architecture class."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.data.chat import Chat
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.models.forward import pad_left
from core.models.loading import load, wrap
from core.models.packing import PackedLinear, pack, packable
from core.organisms.adapters import Adapter, attached
from tests.core import tiny
from tests.core.plain import LONG, SHORT, assert_same_answer, ids_of


class Attention(nn.Module):
    """Three layers that read one input, and one that reads another."""

    def __init__(self, bias: bool = True, odd: bool = False) -> None:
        super().__init__()
        self.q_proj = nn.Linear(12, 20, bias=bias)
        self.k_proj = nn.Linear(12, 8, bias=bias)
        self.v_proj = nn.Linear(12, 8, bias=bias != odd)
        self.o_proj = nn.Linear(20, 12, bias=False)


@pytest.fixture(scope="module")
def packed(tiny_models):
    """A tiny model of a class as it is, and the same one packed."""

    def make(name: str):
        model = tiny.random_model(name)
        pack(model)
        return tiny_models(name), wrap(model, tiny.tokenizer(), f"tiny/{name}")

    return make


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_layer_gives_the_same_and_keeps_its_weights(bias, dtype):
    torch.manual_seed(0)
    plain = Attention(bias).to(dtype)
    if dtype == torch.bfloat16 and not packable(plain):
        pytest.skip("this processor does not multiply bfloat16")
    layers = dict(plain.named_children())
    x = torch.randn(3, 5, 12, dtype=dtype)
    wanted = {
        name: layer(x if layer.in_features == 12 else x[..., :1].expand(3, 5, 20)) for name, layer in layers.items()
    }
    pack(plain)
    for name in ("v_proj", "k_proj", "q_proj", "q_proj", "o_proj"):  # in any order, and one of them twice
        found = getattr(plain, name)
        assert isinstance(found, PackedLinear)
        given = x if found.in_features == 12 else x[..., :1].expand(3, 5, 20)
        torch.testing.assert_close(found(given), wanted[name])
        assert torch.equal(found.weight, layers[name].weight)
        assert (found.bias is None) == (layers[name].bias is None)
        assert found.bias is None or torch.equal(found.bias, layers[name].bias)


@torch.inference_mode()
def test_siblings_share_a_product_only_while_they_read_the_same_tensor():
    torch.manual_seed(0)
    plain = Attention()
    layers = dict(plain.named_children())
    pack(plain)
    one, other = torch.randn(2, 12), torch.randn(2, 12)
    torch.testing.assert_close(plain.q_proj(one), layers["q_proj"](one))
    torch.testing.assert_close(plain.k_proj(other), layers["k_proj"](other))
    torch.testing.assert_close(plain.v_proj(one), layers["v_proj"](one))
    assert plain.q_proj.group is plain.v_proj.group


def test_layers_that_do_not_fit_together_are_packed_apart():
    model = Attention(odd=True)
    pack(model)
    assert len({model.q_proj.group, model.k_proj.group, model.v_proj.group}) == 3


@torch.inference_mode()
def test_every_class_gives_the_same_logits(any_class, packed):
    name = any_class.id.removeprefix("tiny/")
    plain, other = packed(name)
    ids, mask = pad_left([ids_of(plain, chat) for chat in (SHORT, LONG)], tiny.PAD)
    wanted, found = (item.model(input_ids=ids, attention_mask=mask).logits for item in (plain, other))
    torch.testing.assert_close(found[:, -1], wanted[:, -1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Gemma3", "Phi3", "Qwen3.5"])
def test_adapters_are_added_to_packed_layers_as_to_plain_ones(name, packed):
    """Two adapters of other ranks and layers, and the base, in one batch."""
    plain, other = packed(name)
    generator = torch.Generator().manual_seed(0)

    def adapter(label: str, rank: int, chosen) -> Adapter:
        layers = {}
        for path, module in plain.model.named_modules():
            if type(module) is nn.Linear and chosen(path) and ".layers." in path:
                down = torch.randn(rank, module.in_features, generator=generator) * 0.2
                layers[path] = (down, torch.randn(module.out_features, rank, generator=generator) * 0.2)
        return Adapter(label, label, layers)

    adapters = {
        "all": adapter("all", 4, lambda path: True),
        "some": adapter("some", 3, lambda path: path.endswith(("v_proj", "o_proj", "down_proj"))),
    }
    rows = [
        Row(LONG, adapter=label, sampling=Sampling(max_tokens=5))
        for label in ("__base__", "all", "some", "all")
    ]  # fmt: skip
    wanted, found = (collect(item, rows, adapters) for item in (plain, other))
    for one, same in zip(wanted, found, strict=True):
        assert_same_answer(same, one)
    assert len({tuple(token.logprob for token in answer.tokens) for answer in wanted}) == 3
    alone = collect(other, rows[1:2], adapters)[0]
    assert_same_answer(alone, wanted[1])
    groups = {module.group for module in other.model.modules() if isinstance(module, PackedLinear)}
    with attached(other, [adapters["all"]]):
        assert any(group.low_rank for group in groups)
    assert not any(group.low_rank for group in groups)


@pytest.mark.embedded
def test_the_embedded_model_is_packed_for_use_and_plain_for_training():
    plain, used = load("smollm2-135m", device="cpu", fast=False), load("smollm2-135m", device="cpu")
    assert not any(isinstance(module, PackedLinear) for module in plain.model.modules())
    assert any(isinstance(module, PackedLinear) for module in used.model.modules()) == packable(plain.model)
    row = Row(Chat.of("What should I cook for four friends tonight?"), sampling=Sampling(max_tokens=24))
    assert collect(used, [row])[0].text == collect(plain, [row])[0].text
