"""What is measured: a catalog's model or one of random weights at a paper's size, with adapters and a direction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from benchmarks.vectors import random_vectors
from core import paths, store
from core.data.chat import Chat
from core.directions.direction import Direction
from core.errors import BadInput
from core.generation.rows import BASE, Reading, Row, Sampling
from core.models import sources
from core.models.catalog import DEFAULT_ID, ModelSpec, resolve
from core.models.loading import LoadedModel, read_tokenizer
from core.organisms import library
from core.organisms.adapters import Adapter, load_adapter
from core.steering.interventions import Intervention

QWEN: dict[str, Any] = {"vocab_size": 151_936, "max_position_embeddings": 32_768, "tie_word_embeddings": True}
LLAMA: dict[str, Any] = {"vocab_size": 128_256, "max_position_embeddings": 131_072, "tie_word_embeddings": True}
# name: configuration, width, inner width, blocks, heads, key-value heads
SHAPES: dict[str, tuple[Any, dict[str, Any], int, int, int, int, int]] = {
    "random-tiny": (LlamaConfig, {**LLAMA, "vocab_size": 49_152}, 64, 128, 4, 4, 2),
    "random-0.5b": (Qwen2Config, QWEN, 896, 4864, 24, 14, 2),
    "random-1.5b": (Qwen2Config, QWEN, 1536, 8960, 28, 12, 2),
    "random-3b": (Qwen2Config, QWEN, 2048, 11_008, 36, 16, 2),
    "random-7b": (Qwen2Config, {**QWEN, "vocab_size": 152_064, "tie_word_embeddings": False}, 3584, 18_944, 28, 28, 4),
    "random-llama-1b": (LlamaConfig, LLAMA, 2048, 8192, 16, 32, 8),
    "random-llama-3b": (LlamaConfig, LLAMA, 3072, 8192, 28, 24, 8),
}
RANK = 32
ORGANISMS = 2


def spec(name: str) -> ModelSpec:
    """What `load` takes: a catalog entry, or random weights of a shape in `SHAPES`, which are made the first time."""
    if name not in SHAPES:
        return resolve(name)
    kind, settings, width, inner, blocks, heads, pairs = SHAPES[name]
    return random_spec(
        name,
        kind(
            **settings,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=blocks,
            num_attention_heads=heads,
            num_key_value_heads=pairs,
        ),
    )


def llama(width: int, blocks: int) -> ModelSpec:
    """A small random Llama of any width (a multiple of 64) and depth, to see how figures grow."""
    return random_spec(
        f"random-llama-{width}x{blocks}",
        LlamaConfig(
            vocab_size=49_152,
            tie_word_embeddings=True,
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=blocks,
            num_attention_heads=width // 64,
            num_key_value_heads=width // 64,
        ),
    )


def random_spec(name: str, config: Any) -> ModelSpec:
    """A folder of random weights in bfloat16 with the embedded model's tokenizer, kept in the cache."""
    folder = paths.cache() / "benchmarks" / "models" / name
    if not (folder / "config.json").is_file():
        embedded = resolve(DEFAULT_ID)
        there = sources.folder_of(embedded)  # its tokenizer is enough
        tokenizer = read_tokenizer(there if (there / "tokenizer.json").is_file() else sources.fetch(embedded))
        for part in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(config, part, getattr(tokenizer, part))
        with store.new_folder(folder) as new:
            with torch.random.fork_rng(), torch.device("cuda" if torch.cuda.is_available() else "cpu"):
                torch.manual_seed(0)
                model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, trust_remote_code=False)
            model.save_pretrained(new)
            tokenizer.save_pretrained(new)
    return replace(resolve(str(folder)), id=name)


def folder_of(loaded: LoadedModel) -> Path:
    """Where its weights lie, for a peer to load the very same."""
    return sources.folder_of(spec(loaded.id))


def direction_of(loaded: LoadedModel) -> Direction:
    """Random vectors at all blocks, the same that peers draw."""
    vectors = torch.from_numpy(random_vectors(len(loaded.blocks), loaded.width))
    return Direction(
        "random", vectors, torch.ones(len(vectors)), torch.zeros_like(vectors), {"model": loaded.id, "seed": 0}
    )


def adapters_of(loaded: LoadedModel) -> dict[str, Adapter]:
    """Two organisms by name: the first that ship with the model, or, for random weights, random adapters."""
    if loaded.id in SHAPES:
        return {name: _random_adapter(loaded, name) for name in ("random-1", "random-2")}
    there = [item for item in library.organisms(loaded.id) if item.shipped][:ORGANISMS]
    if len(there) < ORGANISMS:
        raise BadInput(f"{loaded.id} ships with fewer than {ORGANISMS} organisms. Choose another model.")
    return {item.name: load_adapter(loaded, item.folder, item.name) for item in there}


def _random_adapter(loaded: LoadedModel, name: str) -> Adapter:
    """An adapter of rank 32 on all linear layers of the blocks, in memory only."""
    inside = {id(module) for module in loaded.blocks.modules()}
    draw = torch.Generator().manual_seed(len(name) + ord(name[-1]))
    layers = {}
    for path, module in loaded.model.named_modules():
        if id(module) in inside and hasattr(module, "out_features"):
            down = torch.randn(RANK, module.in_features, generator=draw)
            up = 1e-3 * torch.randn(module.out_features, RANK, generator=draw)
            layers[path] = (down.to(loaded.device, loaded.dtype), up.to(loaded.device, loaded.dtype))
    return Adapter(name, store.content_hash([loaded.id, name]), layers)


def row(chat: Chat, tokens: int, adapter: str = BASE, steering: Intervention | None = None, **rest: Any) -> Row:
    """A greedy row of exactly `tokens` tokens, once end tokens are off."""
    given = (steering,) if steering else ()
    return Row(chat, adapter=adapter, interventions=given, sampling=Sampling(max_tokens=tokens), **rest)


def three_panes(chat: Chat, tokens: int, organism: str, steering: Intervention) -> list[Row]:
    """Base, organism and steered organism, with projections read, as the Steer page asks for them."""
    reading = Reading(steering.direction, steering.blocks[-1])
    return [
        row(chat, tokens, reading=reading),
        row(chat, tokens, organism, reading=reading),
        row(chat, tokens, organism, steering, reading=reading),
    ]
