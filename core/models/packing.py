"""Linear layers in the memory layout that the processor multiplies fastest, and fewer of them.

On a CPU, torch multiplies bfloat16 with weights as they are saved, and rearranges them in every call. Here oneDNN
rearranges them once, after loading, and layers that read the same input (queries, keys and values; gate and up) become
one. The products are the same up to rounding; the weights take the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


@dataclass
class LowRank:
    """A change of rank r to a group's product: `((x Aᵀ) · gate) Bᵀ`.

    `down` Aᵀ `[inputs, r]` and `up` Bᵀ `[r, outputs]`, float32: for matrices this thin, setting up a packed product
    takes longer than the product. `gate` `[rows, 1, r]`, or None where all of `span`, or every row, takes all of it.
    `span` (rows of the batch, first, last + 1): where the change is made; None: everywhere.
    """

    down: torch.Tensor
    up: torch.Tensor
    gate: torch.Tensor | None
    span: tuple[int, int, int] | None


@dataclass(eq=False)
class Group:
    """Layers that read the same input, as one product: `weight` packed `[all outputs, inputs]`.

    `kept` holds the matrices of the last change, and what they were made of.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    sizes: list[int]
    low_rank: LowRank | None = None
    kept: tuple[object, tuple[torch.Tensor, torch.Tensor]] | None = field(default=None, repr=False)
    _input: torch.Tensor | None = field(default=None, repr=False)
    _outputs: list[torch.Tensor | None] = field(default_factory=list, repr=False)

    def output(self, member: int, x: torch.Tensor) -> torch.Tensor:
        """What one layer makes of `x` `[…, inputs]`; the first that is asked works for all of them."""
        if len(self.sizes) == 1:
            return self._product(x)
        if x is not self._input or self._outputs[member] is None:
            self._input, self._outputs = x, list(torch.split_with_sizes(self._product(x), self.sizes, -1))
        found, self._outputs[member] = self._outputs[member], None
        if member == len(self.sizes) - 1:
            self._input, self._outputs = None, []
        assert found is not None
        return found

    def _product(self, x: torch.Tensor) -> torch.Tensor:
        found = _linear(x, self.weight, self.bias)
        change = self.low_rank
        if change is None:
            return found
        changed = found
        if change.span is not None:
            # some feed-forward layers flatten rows and tokens into one axis, rows first
            rows, first, end = change.span
            x, changed = (tensor.view(rows, -1, tensor.shape[-1])[first:end] for tensor in (x.contiguous(), found))
        inner = x.float() @ change.down
        if change.gate is not None:
            inner = (inner.view(change.gate.shape[0], -1, inner.shape[-1]) * change.gate).view(inner.shape)
        changed.add_(inner @ change.up)
        return found


class PackedLinear(nn.Module):
    """A linear layer of a `Group`; takes the place of an `nn.Linear`."""

    def __init__(self, group: Group, member: int) -> None:
        super().__init__()
        self.group, self.member = group, member

    @property
    def in_features(self) -> int:
        return self.group.weight.shape[1]

    @property
    def out_features(self) -> int:
        return self.group.sizes[self.member]

    @property
    def weight(self) -> torch.Tensor:
        """`[outputs, inputs]`, unpacked anew each time."""
        return self.group.weight.to_dense().split(self.group.sizes)[self.member]

    @property
    def bias(self) -> torch.Tensor | None:
        return None if self.group.bias is None else self.group.bias.split(self.group.sizes)[self.member]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.group.output(self.member, x)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, packed with {self.group.sizes}"


def multiplies_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 on this processor without unpacking each matrix to float32 first."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def packable(model: nn.Module) -> bool:
    """Whether this processor gains by it: bfloat16 weights, and instructions that multiply them."""
    weight = next(model.parameters())
    return weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and multiplies_bfloat16()


def pack(model: nn.Module) -> None:
    """Replace every plain linear layer of a model, in place. Gradients no longer pass: never for a model to train."""
    for parent in list(model.modules()):
        layers = {name: child for name, child in parent.named_children() if type(child) is nn.Linear}
        for names in SIBLINGS:
            if _alike([layers.get(name) for name in names]):
                _replace(parent, {name: layers.pop(name) for name in names})
        for name, layer in layers.items():
            _replace(parent, {name: layer})
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()  # else the whole file of the weights would stay mapped


def pack_matrix(weight: torch.Tensor) -> torch.Tensor:
    """A matrix `[outputs, inputs]` in oneDNN's own layout."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), None)


def _alike(layers: list[Any]) -> bool:
    """Whether all are there, with the same inputs and all with a bias or all without."""
    if any(layer is None for layer in layers):
        return False
    return len({(layer.in_features, layer.bias is None, layer.weight.dtype) for layer in layers}) == 1


def _replace(parent: nn.Module, layers: dict[str, nn.Linear]) -> None:
    members = list(layers.values())
    weight = members[0].weight if len(members) == 1 else torch.cat([layer.weight for layer in members])
    bias = None if members[0].bias is None else torch.cat([layer.bias.detach() for layer in members])
    group = Group(pack_matrix(weight), bias, [layer.out_features for layer in members])
    for member, (name, layer) in enumerate(layers.items()):
        packed = PackedLinear(group, member)
        packed.train(layer.training)
        setattr(parent, name, packed)


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
