"""A PEFT LoRA layer that computes in the dtype of its model and keeps less for the backward pass.

PEFT casts a layer's input to the adapter's float32, multiplies and adds there, and casts the sum back: for each adapted
layer a float32 copy of its input is kept until the backward pass, and four more tensors of that size come and go. Here
only the two thin matrices are cast.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import nn


def lighten(model: nn.Module) -> None:
    """Let the LoRA layers of a PEFT model compute in the model's dtype; their weights stay as they are, float32.

    Quantised layers keep PEFT's own computation, and so does all of a float16 model: gradients of adapters are too
    small for that dtype.
    """
    for module in model.modules():
        if type(module) is Linear:
            module.__class__ = LightLinear


class LightLinear(Linear):
    """PEFT's `Linear` with one adapter, without dropout."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.disable_adapters or self.merged or x.dtype == torch.float16:
            return super().forward(x, *args, **kwargs)
        (name,) = self.active_adapters
        down, up = self.lora_A[name].weight, self.lora_B[name].weight
        return _AddLowRank.apply(self.base_layer(x, *args, **kwargs), x, down, up, self.scaling[name])


class _AddLowRank(torch.autograd.Function):
    """`output + scaling · x Aᵀ Bᵀ`, written into `output`, which no linear layer needs for its own gradient."""

    @staticmethod
    def forward(
        ctx: Any, output: torch.Tensor, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """`output` `[..., outputs]`, `x` `[..., inputs]`, `down` `[rank, inputs]`, `up` `[outputs, rank]`."""
        down, up = down.to(x.dtype), (up * scaling).to(x.dtype)
        inner = x.reshape(-1, x.shape[-1]) @ down.t()
        output.view(-1, output.shape[-1]).addmm_(inner, up.t())
        ctx.mark_dirty(output)
        ctx.save_for_backward(x, inner, down, up)
        ctx.scaling = scaling
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = gradients
        x, inner, down, up = ctx.saved_tensors
        of_output = gradient.reshape(-1, gradient.shape[-1])
        of_inner = of_output @ up
        of_x = (of_inner @ down).view(x.shape) if ctx.needs_input_grad[1] else None
        of_down = (of_inner.t() @ x.reshape(-1, x.shape[-1])).float()
        of_up = (of_output.t() @ inner).float() * ctx.scaling
        return gradient, of_x, of_down, of_up, None
