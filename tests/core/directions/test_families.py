"""A free text is a hint: only what it surely names counts."""

from __future__ import annotations

import pytest

from core.directions.families import families


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("unknown", set()),
        ("my model", set()),
        ("written with llama.cpp", set()),
        ("option", set()),
        ("qwen", {"qwen"}),
        ("qwen2.5", {"qwen"}),
        ("qwen2moe", {"qwen"}),
        ("Qwen/Qwen2.5-0.5B-Instruct", {"qwen"}),
        ("meta-llama/Llama-2-7b-chat-hf", {"llama"}),
        ("gemma2", {"gemma"}),
        ("gemma-3-1b-it", {"gemma"}),
        ("TinyLlama", {"llama"}),
        ("SmolLM2-135M", {"llama"}),
        ("Mixtral-8x7B", {"mistral"}),
        ("phi-3", {"phi"}),
        ("phi3", {"phi"}),
        ("gpt2", {"gpt2"}),
        ("DeepSeek-R1-Distill-Qwen-1.5B", {"deepseek", "qwen"}),
    ],
)
def test_a_text_names_the_families_that_it_surely_names(text, found):
    assert families(text) == found


def test_a_model_is_also_what_others_call_it_and_an_unknown_kind_is_its_own():
    assert families("mistral", own=True) == {"mistral", "llama"}
    assert families("qwen3_5_text", own=True) == {"qwen"}
    assert families("zamba", own=True) == {"zamba"}
