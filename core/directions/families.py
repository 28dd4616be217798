"""Which families of models a free text names, such as a control vector's `model_hint`."""

from __future__ import annotations

import re

# what a word begins with; the name of a family that goes by another: what its models are built as
_LONG = {
    name: name
    for name in (
        "llama", "qwen", "gemma", "mistral", "falcon", "olmo", "granite", "stablelm", "internlm", "deepseek",
        "starcoder", "cohere", "bloom", "pythia", "baichuan", "nemotron", "exaone", "mamba", "rwkv",
    )
} | {
    "mixtral": "mistral", "ministral": "mistral", "magistral": "mistral", "vicuna": "llama", "codellama": "llama",
    "tinyllama": "llama", "smollm": "llama", "qwq": "qwen", "gptneox": "pythia", "codegemma": "gemma",
}  # fmt: skip
# too short to be looked for at the start of any word
_SHORT = {
    "phi": "phi",
    "phimoe": "phi",
    "gpt2": "gpt2",
    "opt": "opt",
    "mpt": "mpt",
    "lfm": "lfm",
    "glm": "glm",
    "chatglm": "glm",
}

# llama.cpp converts these as if they were Llama models, and calls them so
_CONVERTED = {"mistral": "llama"}


def families(text: str, own: bool = False) -> set[str]:
    """The known families that a text names: `Qwen/Qwen2.5-7B` is `{"qwen"}`, `unknown` is none.

    Args:
        own: the text is a `config.model_type`: what it is called by others is among them, and a kind that is not
            known is a family of its own.
    """
    found = set()
    plain = re.sub(r"gpt[-_ ]neox", "gptneox", text.lower().replace("llama.cpp", ""))
    for word in re.split(r"[^a-z0-9.]+", plain):
        name = next((name for start, name in _LONG.items() if word.startswith(start)), None)
        short = re.fullmatch(r"(gpt2|[a-z]+)[0-9.]*(?:moe)?", word)
        name = name or (_SHORT.get(short[1]) if short else None)
        found |= {name} if name else set()
    if own:
        found = (found or {text.lower()}) | {_CONVERTED[name] for name in found if name in _CONVERTED}
    return found
