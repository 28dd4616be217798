"""Find the decoder blocks of any causal language model by structure, not by a list of names.

The blocks are the one `ModuleList` that has as many members as the text configuration has
layers and lies nearest to the token embedding. A vision tower has no token embedding beside
its layers, and a list of experts lies deeper than the blocks, so neither is mistaken for them.
"""

from __future__ import annotations

import torch
from torch import nn

from core.errors import UnsupportedModel


def text_config(model: nn.Module):
    """The configuration of the language model, also inside a multimodal wrapper."""
    config = model.config
    return config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config


def decoder_blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder blocks in order; block 0 reads the embeddings.

    Raises:
        UnsupportedModel: no list of modules fits, or the model has an encoder as well.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        raise UnsupportedModel("This is an encoder-decoder model. Tiller steers decoder-only models: choose another.")
    config = text_config(model)
    layers = getattr(config, "num_hidden_layers", None)
    names = {id(module): name for name, module in model.named_modules()}
    embedding = names.get(id(model.get_input_embeddings()))
    if layers is None or embedding is None:
        raise UnsupportedModel(
            f"{type(model).__name__} does not say how many layers it has or where its token embedding is, so its "
            "decoder blocks cannot be found. Choose a decoder-only language model."
        )
    candidates = sorted(
        (-_shared_prefix(name, embedding), name.count("."), name)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == layers
    )
    if not candidates:
        raise UnsupportedModel(
            f"{type(model).__name__} has no list of {layers} decoder blocks. Choose a decoder-only language model."
        )
    if len(candidates) > 1 and candidates[0][:2] == candidates[1][:2]:
        raise UnsupportedModel(
            f"{type(model).__name__} keeps its layers in several lists ({candidates[0][2]}, {candidates[1][2]}), so "
            "there is no one residual stream between them to steer. Choose another model."
        )
    found = model.get_submodule(candidates[0][2])
    assert isinstance(found, nn.ModuleList)
    return found


def _shared_prefix(name: str, other: str) -> int:
    """How many leading path components two module names share."""
    count = 0
    for left, right in zip(name.split("."), other.split("."), strict=False):
        if left != right:
            break
        count += 1
    return count


def block_hidden(output: torch.Tensor | tuple) -> torch.Tensor:
    """The residual stream `[rows, tokens, width]` in what a block returns: a tensor, or a tuple that starts with it.

    Raises:
        UnsupportedModel: the blocks hand on several streams at once (Gemma 3n, DeepSeek V4).
    """
    hidden = output[0] if isinstance(output, tuple) else output
    if hidden.ndim != 3:
        raise UnsupportedModel(
            f"The blocks of this model hand on a tensor of shape {list(hidden.shape)} and not one residual stream, so "
            "it cannot be read or steered. Choose another model."
        )
    return hidden


def replace_hidden(output: torch.Tensor | tuple, hidden: torch.Tensor) -> torch.Tensor | tuple:
    """What a block should return once its residual stream is `hidden`; the shape of `output` is kept."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
