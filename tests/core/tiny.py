"""Tiny random checkpoints of real architecture classes, and a tokenizer made by hand.

Nothing is downloaded. Each class is built from its own configuration, three or four blocks of width 32,
and its weights are drawn larger than usual, so that greedy text varies from token to token and a nudge to
the residual stream changes it. Sliding windows are shorter than the test prompts, and hybrid classes hold
both kinds of block.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedTokenizerFast

from core.models.loading import LoadedModel, wrap

SPECIAL = ("<|pad|>", "<|begin|>", "<|im_start|>", "<|im_end|>", "<|image|>")
PAD, BEGIN, IM_START, IM_END, IMAGE = range(len(SPECIAL))
MERGES = (("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("e", "r"), ("u", "s"), ("us", "er"), ("Ġ", "a"))
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LAYERS = 4
WIDTH = 32
WINDOW = 16


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE: every byte is a token, a few merges, five special tokens, a chat template."""
    words = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
    backend = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, list(MERGES)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in SPECIAL])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<|image|>"],
    )
    made.chat_template = TEMPLATE
    return made


VOCABULARY = len(SPECIAL) + 256 + len(MERGES)
IDS = {"pad_token_id": PAD, "bos_token_id": BEGIN, "eos_token_id": IM_END}
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
    **IDS,
}
HEAD = {"head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LINEAR_ATTENTION = {
    "layer_types": ["linear_attention", "full_attention"] * 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
CONVOLUTION = {"layer_types": ["conv", "full_attention"] * 2, "block_auto_adjust_ff_dim": False}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": WINDOW}
MAMBA = {
    "mamba_d_state": 8,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_chunk_size": WINDOW,
}
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": LAYERS}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_positions": 256,
    "tie_word_embeddings": False,
    **IDS,
}

# class of the configuration, and what is set in it
TEXT: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("LlamaConfig", {}),
    "Qwen2": ("Qwen2Config", {}),
    "Qwen3": ("Qwen3Config", HEAD),
    "Qwen3.5": ("Qwen3_5TextConfig", {**HEAD, **LINEAR_ATTENTION}),
    "Qwen3Next": ("Qwen3NextConfig", {**HEAD, **LINEAR_ATTENTION, **EXPERTS, "shared_expert_intermediate_size": 24}),
    "Qwen2Moe": ("Qwen2MoeConfig", {**EXPERTS, "shared_expert_intermediate_size": 24}),
    "Qwen3Moe": ("Qwen3MoeConfig", {**HEAD, **EXPERTS}),
    "Mixtral": ("MixtralConfig", {"num_local_experts": 4}),
    "OLMoE": ("OlmoeConfig", {"num_experts": 4, "num_experts_per_tok": 2}),
    "GptOss": ("GptOssConfig", {**HEAD, **SLIDING, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "Gemma": ("GemmaConfig", HEAD),
    "Gemma2": ("Gemma2Config", {**HEAD, **SLIDING, "query_pre_attn_scalar": 8}),
    "Gemma3": ("Gemma3TextConfig", {**HEAD, **SLIDING, "query_pre_attn_scalar": 8}),
    "Gemma4": (
        "Gemma4TextConfig",
        {
            **HEAD,
            **SLIDING,
            "global_head_dim": 8,
            "vocab_size_per_layer_input": VOCABULARY,
            "hidden_size_per_layer_input": 8,
            "num_kv_shared_layers": 2,
        },
    ),
    "Mistral": ("MistralConfig", {**HEAD, "sliding_window": WINDOW}),
    "Ministral3": ("Ministral3Config", HEAD),
    "DeepSeek-V3": (
        "DeepseekV3Config",
        {
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "first_k_dense_replace": 1,
            "n_group": 1,
            "topk_group": 1,
            "kv_lora_rank": 8,
            "q_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
        },
    ),
    "Llama4": (
        "Llama4TextConfig",
        {**HEAD, "num_local_experts": 2, "intermediate_size_mlp": 48, "attention_chunk_size": WINDOW},
    ),
    "Phi": ("PhiConfig", {}),
    "Phi3": ("Phi3Config", {}),
    "OLMo2": ("Olmo2Config", {}),
    "OLMo3": ("Olmo3Config", SLIDING),
    "SmolLM3": ("SmolLM3Config", {"no_rope_layers": [1, 0, 1, 0]}),
    "StableLM": ("StableLmConfig", {}),
    "Starcoder2": ("Starcoder2Config", {}),
    "Granite": ("GraniteConfig", {"residual_multiplier": 0.5, "embedding_multiplier": 2.0, "logits_scaling": 0.5}),
    "GraniteMoeHybrid": (
        "GraniteMoeHybridConfig",
        {**MAMBA, "layer_types": ["mamba", "attention"] * 2, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "Cohere": ("CohereConfig", {"logit_scale": 1.0}),
    "Cohere2": ("Cohere2Config", {**SLIDING, "logit_scale": 1.0}),
    "Nemotron": ("NemotronConfig", HEAD),
    "GLM4": ("Glm4Config", HEAD),
    "EXAONE4": ("Exaone4Config", SLIDING),
    "SeedOss": ("SeedOssConfig", HEAD),
    "LFM2": ("Lfm2Config", CONVOLUTION),
    "LFM2Moe": (
        "Lfm2MoeConfig",
        {**EXPERTS, "layer_types": ["conv", "full_attention"] * 2, "num_dense_layers": 1},
    ),
    "OLMoHybrid": ("OlmoHybridConfig", LINEAR_ATTENTION),
    "FalconH1": ("FalconH1Config", {**MAMBA, "mamba_d_ssm": 64}),
    "Bamba": ("BambaConfig", {**MAMBA, "attn_layer_indices": [1, 3]}),
    "Jamba": (
        "JambaConfig",
        {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
        },
    ),
    "Zamba2": (
        "Zamba2Config",
        {
            "mamba_d_state": 8,
            "mamba_ngroups": 1,
            "n_mamba_heads": 4,
            "mamba_headdim": 16,
            "num_mem_blocks": 1,
            "layers_block_type": ["mamba", "hybrid"] * 2,
            "hybrid_layer_ids": [1, 3],
            "adapter_rank": 4,
            "chunk_size": WINDOW,
        },
    ),
    "NemotronH": (
        "NemotronHConfig",
        {
            "layers_block_type": ["mamba", "attention", "mamba", "mlp"],
            "head_dim": 8,
            "ssm_state_size": 8,
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "n_groups": 1,
            "chunk_size": WINDOW,
        },
    ),
    "Falcon": (
        "FalconConfig",
        {"ffn_hidden_size": 64, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True},
    ),
    "Falcon-alibi": (
        "FalconConfig",
        {"ffn_hidden_size": 64, "alibi": True, "multi_query": False, "parallel_attn": False},
    ),
    "GPT-NeoX": ("GPTNeoXConfig", {}),
    "Persimmon": ("PersimmonConfig", {}),
    "OPT": ("OPTConfig", {"ffn_dim": 48, "word_embed_proj_dim": WIDTH}),
    "BLOOM": ("BloomConfig", {"n_layer": LAYERS, "n_head": 4}),
    "MPT": (
        "MptConfig",
        {"d_model": WIDTH, "n_heads": 4, "n_layers": LAYERS, "max_seq_len": 256, "expansion_ratio": 2},
    ),
    "GPT-2": ("GPT2Config", GPT2),
    "GPT-J": ("GPTJConfig", {**GPT2, "rotary_dim": 4}),
    "CodeGen": ("CodeGenConfig", {**GPT2, "rotary_dim": 4}),
    "GPT-BigCode": ("GPTBigCodeConfig", GPT2),
    "GPT-Neo": (
        "GPTNeoConfig",
        {"num_layers": LAYERS, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": WINDOW},
    ),
}
# vision models that hold a language model: the text part, and the rest of the configuration
WRAPPERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Gemma3-vision": (
        "Gemma3Config",
        "Gemma3",
        {"vision_config": {**VISION, "image_size": 8, "patch_size": 4}, "mm_tokens_per_image": 4},
    ),
    "Mistral3-vision": (
        "Mistral3Config",
        "Ministral3",
        {"vision_config": {**VISION, "image_size": 8, "patch_size": 4, "head_dim": 8}, "image_token_index": IMAGE},
    ),
    "Qwen3.5-vision": (
        "Qwen3_5Config",
        "Qwen3.5",
        {
            "vision_config": {
                "depth": LAYERS,
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_heads": 2,
                "out_hidden_size": WIDTH,
                "num_position_embeddings": 16,
                "patch_size": 4,
            },
            "image_token_id": IMAGE,
        },
    ),
    "LFM2-vision": (
        "Lfm2VlConfig",
        "LFM2",
        {"vision_config": {**VISION, "num_patches": 16, "patch_size": 4}, "image_token_id": IMAGE},
    ),
    "LLaVA": (
        "LlavaConfig",
        "Llama",
        {"vision_config": {**VISION, "image_size": 8, "patch_size": 4}, "image_token_index": IMAGE},
    ),
}
CLASSES: tuple[str, ...] = (*TEXT, *WRAPPERS)
# classes that Tiller cannot steer, and says so
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "Mamba": ("MambaConfig", {}),
    "OpenAI-GPT": ("OpenAIGPTConfig", GPT2),
    "XLM": ("XLMConfig", {"emb_dim": WIDTH, "n_layers": LAYERS, "n_heads": 4}),
    "RecurrentGemma": (
        "RecurrentGemmaConfig",
        {**HEAD, "lru_width": WIDTH, "block_types": ["recurrent", "attention"], "attention_window_size": WINDOW},
    ),
    "Gemma3n": (
        "Gemma3nTextConfig",
        {
            **HEAD,
            **SLIDING,
            "vocab_size_per_layer_input": VOCABULARY,
            "hidden_size_per_layer_input": 8,
            "altup_num_inputs": 2,
            "num_kv_shared_layers": 0,
            "laurel_rank": 4,
            "activation_sparsity_pattern": [0.0] * LAYERS,
        },
    ),
}
# hybrid classes, and what the class of the layer without attention is called
HYBRID: Mapping[str, str] = {
    "Qwen3.5": "DeltaNet",
    "Qwen3.5-vision": "DeltaNet",
    "Qwen3Next": "DeltaNet",
    "OLMoHybrid": "DeltaNet",
    "LFM2": "ShortConv",
    "LFM2Moe": "ShortConv",
    "LFM2-vision": "ShortConv",
    "FalconH1": "FalconH1Mixer",
    "GraniteMoeHybrid": "Mamba",
    "Bamba": "BambaMixer",
    "Jamba": "Mamba",
    "Zamba2": "Mamba",
    "NemotronH": "Mamba",
}


def config(name: str) -> transformers.PretrainedConfig:
    """The tiny configuration of a class in the table."""
    if name in WRAPPERS:
        kind, text, rest = WRAPPERS[name]
        return getattr(transformers, kind)(text_config=config(text).to_dict(), tie_word_embeddings=False, **IDS, **rest)
    kind, settings = {**TEXT, **REFUSED}[name]
    return getattr(transformers, kind)(**(settings if "n_embd" in settings else {**SHAPE, **settings}))


def build(name: str, seed: int = 0) -> LoadedModel:
    """A random checkpoint of the class `name`, float32, wrapped as the app would wrap it."""
    return wrap(random_model(name, seed), tokenizer(), f"tiny/{name}", fingerprint=f"random-{seed}")


def random_model(name: str, seed: int = 0) -> nn.Module:
    """The bare checkpoint; equal seeds give equal weights."""
    auto = AutoModelForImageTextToText if name in WRAPPERS else AutoModelForCausalLM
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = auto.from_config(config(name), dtype=torch.float32)
        enliven(model)
    return model


def enliven(model: nn.Module, gain: float = 2.0) -> None:
    """Redraw every matrix at the scale 1/√inputs, and shift vectors a little, so that nothing is symmetric."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and "conv" not in name:
            parameter.data.normal_(0.0, gain / parameter.shape[-1] ** 0.5)
        elif parameter.ndim == 1 and ("norm" in name or "ln" in name or name.endswith("bias")):
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.get_input_embeddings().weight.data.normal_(0.0, 1.0)
    model.get_output_embeddings().weight.data[IM_END] = 0.0
