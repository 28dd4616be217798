"""A quantised GGUF file as plain bfloat16 weights that every tool here can steer and train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import ModelUnavailable


def gguf_to_folder(
    gguf: Path,
    folder: Path,
    chat_template: str | None = None,
    end_token: str | None = None,
    adapter: Path | None = None,
) -> None:
    """Write `gguf` as config, safetensors and tokenizer into `folder`.

    By default transformers keeps the packed weights, which cannot be saved or trained; they are unpacked here.
    `chat_template` is used only if the file has none; `end_token` ends a turn; `adapter` is a LoRA adapter's folder,
    which is merged into the weights. Takes about 20 s and 1 GB for 135 million weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(gguf.parent), gguf.name
    try:
        model = AutoModelForCausalLM.from_pretrained(
            where,
            gguf_file=name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
            trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, trust_remote_code=False)
    except (ValueError, KeyError, ImportError) as error:
        raise ModelUnavailable(
            f"{name} could not be read as a model ({type(error).__name__}). Check that transformers and gguf are "
            "the versions in requirements.txt, and try again."
        ) from error
    if tokenizer.chat_template is None and chat_template is not None:
        tokenizer.chat_template = chat_template
    if end_token is not None:
        _end_turns_with(end_token, model, tokenizer)
    if adapter is not None:
        model = merge(model, adapter)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        # safetensors writes for the owner alone; other users of a shared cache read it too.
        file.chmod(0o644)


def merge(model: Any, adapter: Path) -> Any:
    """The model with the LoRA adapter in the folder made part of its weights.

    Summed in float64 and rounded once, so that every machine gets the same bytes, whatever its matrix routines.
    """
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    adapted = PeftModel.from_pretrained(model, adapter)
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            (name,) = layer.active_adapters
            change = layer.lora_B[name].weight.double() @ layer.lora_A[name].weight.double() * layer.scaling[name]
            weight = layer.get_base_layer().weight
            with torch.no_grad():
                weight.copy_((weight.double() + change).to(weight.dtype))
    return adapted.unload()


def _end_turns_with(token: str, model: Any, tokenizer: Any) -> None:
    stated = model.generation_config.eos_token_id
    ends = [*(stated if isinstance(stated, list) else [stated]), tokenizer.convert_tokens_to_ids(token)]
    model.generation_config.eos_token_id = [end for end in ends if end is not None]
    tokenizer.eos_token = token
