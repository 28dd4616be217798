"""Base weights in 4-bit NF4 for QLoRA training (arXiv 2305.14314); needs a CUDA GPU and bitsandbytes."""

from __future__ import annotations

import torch
from transformers import BitsAndBytesConfig

from core.models import sources
from core.models.catalog import ModelSpec
from core.models.loading import LoadedModel, auto_class, read_config, read_tokenizer, wrap


def load_four_bit(spec: ModelSpec, device: str | None = None) -> LoadedModel:
    """`loading.load` with weights quantised to NF4 and computed in bfloat16."""
    folder = sources.fetch(spec)
    config = read_config(folder)
    model = auto_class(config).from_pretrained(
        folder,
        config=config,
        use_safetensors=True,
        trust_remote_code=False,
        device_map=device or "cuda",
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )
    return wrap(model, read_tokenizer(folder), spec.id, sources.fingerprint(spec), spec.chat_template)
