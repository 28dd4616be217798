"""Grouped attention gives what torch's own gives, in every architecture class that lets it be chosen."""

from __future__ import annotations

import pytest
import torch

from core.data.chat import Chat
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.models.attention import NAME, group_heads, grouped_attention
from core.models.loading import wrap
from tests.core import tiny
from tests.core.plain import LONG, SHORT, assert_same_answer


def test_answers_of_every_class_stay_the_same(any_class):
    name = any_class.id.removeprefix("tiny/")
    model = tiny.random_model(name).eval()
    group_heads(model)
    other = wrap(model, tiny.tokenizer(), any_class.id)
    # alone without a mask, and two prompts of unlike length with one
    for chats in ([LONG], [SHORT, LONG]):
        rows = [Row(chat, sampling=Sampling(max_tokens=4)) for chat in chats]
        for found, wanted in zip(collect(other, rows), collect(any_class, rows), strict=True):
            assert_same_answer(found, wanted)


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Gemma3", "Qwen3.5"])
def test_it_is_used_where_heads_share_keys(name, monkeypatch):
    model = tiny.random_model(name).eval()
    group_heads(model)
    assert model.config.get_text_config()._attn_implementation == NAME
    calls = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        "torch.nn.functional.scaled_dot_product_attention",
        lambda query, *rest, **options: calls.append(query.shape) or real(query, *rest, **options),
    )
    row = Row(Chat.of("Hi"), sampling=Sampling(max_tokens=3))
    collect(wrap(model, tiny.tokenizer(), "tiny"), [row])
    assert (1, 2, 2, tiny.WIDTH // 4) in calls


def test_it_is_left_alone_where_every_head_has_its_own_key():
    config = tiny.config("Llama")
    config.num_key_value_heads = config.num_attention_heads
    model = type(tiny.random_model("Llama"))(config)
    group_heads(model)
    assert model.config._attn_implementation != NAME


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tokens", [1, 3])
def test_a_token_attends_as_written_out(tokens, masked):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, tokens, 8, generator=generator)
    key, value = (torch.randn(2, 2, 5, 8, generator=generator) for _ in range(2))
    allowed = torch.ones(tokens, 5, dtype=torch.bool).tril(5 - tokens).expand(2, 1, tokens, 5).clone()
    if masked:
        allowed[0, :, :, :2] = False

    class Module:
        num_key_value_groups, is_causal, training = 3, True, False

    mask = allowed if masked or tokens > 1 else None
    found, _ = grouped_attention(Module(), query, key, value, mask, scaling=0.3)  # type: ignore[arg-type]
    scores = query @ key.repeat_interleave(3, 1).transpose(2, 3) * 0.3
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
    wanted = (weights @ value.repeat_interleave(3, 1)).transpose(1, 2)
    torch.testing.assert_close(found, wanted)
