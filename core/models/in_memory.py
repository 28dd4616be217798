"""A Hugging Face model that is in memory already, known by its weights."""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import Any

import torch
from torch import nn

from core import paths
from core.errors import BadInput
from core.models.loading import LoadedModel, heed_template, wrap


def in_memory(model: nn.Module, tokenizer: Any, name: str | None = None) -> LoadedModel:
    """`wrap` with an id and a fingerprint made of the weights, so that what belongs to them is found again.

    **The model itself is used, not a copy**: it is set to evaluation, and its weights take no gradients from here on.

    Args:
        name: what to call it; by default what it was loaded as.

    Raises:
        UnsupportedModel: no decoder blocks, or no cache to decode with.
    """
    known = PurePath(str(getattr(model.config, "_name_or_path", ""))).name or type(model).__name__
    fingerprint = weights_hash(model)
    identity = f"memory-{paths.safe_name(name or known, 'model')[:40]}-{fingerprint[:8]}"
    loaded = wrap(model, tokenizer, identity, fingerprint)
    heed_template(loaded)
    return loaded


def check_unchanged(loaded: LoadedModel) -> None:
    """Raise `BadInput` where the weights are no longer those that `in_memory` found: what is saved is not of them."""
    if weights_hash(loaded.model) != loaded.fingerprint:
        raise BadInput(f"The weights of {loaded.id} have changed since. Make a new Lab(model, tokenizer) of them.")


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over names, kinds, shapes and bytes of all weights; where they lie makes no difference."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        digest.update(f"{name} {weight.dtype} {list(weight.shape)}\n".encode())
        digest.update(memoryview(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()
