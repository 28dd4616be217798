"""A quantised GGUF file as plain bfloat16 weights that every tool here can steer and train."""

from __future__ import annotations

from pathlib import Path

from core.errors import ModelUnavailable


def gguf_to_folder(gguf: Path, folder: Path, chat_template: str | None = None) -> None:
    """Write `gguf` as config, safetensors and tokenizer into `folder`.

    By default transformers keeps the packed weights, which cannot be saved or trained; they are unpacked here.
    `chat_template` is used only if the file has none. Takes about 20 s and 1 GB for 135 million weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(gguf.parent), gguf.name
    try:
        model = AutoModelForCausalLM.from_pretrained(
            where, gguf_file=name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
        )
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    except (ValueError, KeyError, ImportError) as error:
        raise ModelUnavailable(
            f"{name} could not be read as a model ({type(error).__name__}). Check that transformers and gguf are "
            "the versions in requirements.txt, and try again."
        ) from error
    if tokenizer.chat_template is None and chat_template is not None:
        tokenizer.chat_template = chat_template
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        # safetensors writes for the owner alone; other users of a shared cache read it too.
        file.chmod(0o644)
