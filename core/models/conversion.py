"""A quantised GGUF file as plain bfloat16 weights that every tool here can steer and train."""

from __future__ import annotations

from pathlib import Path

from core import store
from core.errors import ModelUnavailable, OutOfSpace


def gguf_to_folder(gguf: Path, folder: Path, chat_template: str | None = None) -> None:
    """Write `gguf` as config, safetensors and tokenizer into `folder`.

    By default transformers keeps the packed weights, which cannot be saved or trained; they are unpacked here.
    `chat_template` is used only if the file has none. Takes 16 s and about 1 GB for 135 million weights.
    """
    import torch
    from safetensors import SafetensorError
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
    with store.disk_errors("the unpacked weights"):
        try:
            model.save_pretrained(folder)
        except SafetensorError as error:
            # safetensors reports a full disk in words, not as an OSError with a number.
            if "No space left" in str(error) or "os error 28" in str(error):
                raise OutOfSpace(
                    "The disk is full while writing the unpacked weights. Free some space, or set TILLER_CACHE to a "
                    "folder on another disk, and try again."
                ) from error
            raise
        tokenizer.save_pretrained(folder)
        for file in folder.iterdir():
            # safetensors writes for the owner alone; other users of a shared cache read it too.
            file.chmod(0o644)
