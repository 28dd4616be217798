"""Attention of one new token, for models in which several query heads share a key head.

Without a mask, a CPU would go through every key head once for each of its query heads. The query heads that share one
are here the rows of one product with it: the same numbers, from reading the past once.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "grouped_sdpa"


def group_heads(model: nn.Module) -> None:
    """Let a model use this attention, where it lets torch compute its attention and has key heads to share."""
    text = model.config.get_text_config(decoder=True)
    heads, shared = (getattr(text, name, None) for name in ("num_attention_heads", "num_key_value_heads"))
    settable = model.config._attn_implementation == "sdpa" and model._can_set_attn_implementation()
    if settable and heads and shared and heads > shared:
        model.set_attn_implementation(NAME)


def grouped_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """`query` `[rows, heads, tokens, dimension]` to `[rows, tokens, heads, dimension]`, as transformers wants it."""
    rows, heads, tokens, dimension = query.shape
    unusual = options.get("softcap") or options.get("position_bias") is not None or options.get("cache") is not None
    if tokens > 1 or unusual or (attention_mask is not None and attention_mask.shape[1] > 1):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **options)
    grouped = query.reshape(rows, key.shape[1], heads // key.shape[1], dimension)
    found = F.scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scaling)
    return found.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
