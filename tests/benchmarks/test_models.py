"""Random weights of a size: one folder for ours and the peers, with adapters that change the text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from benchmarks import models
from benchmarks.extraction import distinct_tokens
from core.data.chat import Chat
from core.generation.decode import collect
from core.models.loading import load
from tests.core import tiny


@pytest.fixture
def random_tiny(monkeypatch, tmp_path):
    """`random-tiny` with the tests' own tokenizer instead of the embedded model's."""
    tiny.tokenizer().save_pretrained(tmp_path)
    settings = {**models.LLAMA, "vocab_size": tiny.VOCABULARY}
    with monkeypatch.context() as patch:
        patch.setattr(models.sources, "folder_of", lambda _: tmp_path)
        patch.setitem(models.SHAPES, "random-tiny", (LlamaConfig, settings, 64, 128, 4, 4, 2))
        return models.spec("random-tiny")


def test_ours_and_a_plain_load_read_the_same_random_weights(random_tiny):
    loaded = load(random_tiny, "cpu", torch.float32)
    plain = AutoModelForCausalLM.from_pretrained(models.sources.folder_of(random_tiny), dtype=torch.float32)
    ids = torch.tensor([[3, 40, 41, 42]])
    with torch.inference_mode():
        assert torch.allclose(loaded.model(ids).logits, plain(ids).logits, atol=1e-4)
    assert loaded.id == random_tiny.id


def test_random_adapters_and_the_direction_fit_the_model_and_rows_have_their_length(random_tiny):
    loaded = replace(load(random_tiny, "cpu", torch.float32), end_ids=())
    adapters, direction = models.adapters_of(loaded), models.direction_of(loaded)
    assert len(adapters) == models.ORGANISMS
    steering = models.Intervention("add", direction.id, (1,), 1.0, "all")
    panes = models.three_panes(Chat.of("Hello"), 5, next(iter(adapters)), steering)
    answers = collect(loaded, panes, adapters, {direction.id: direction})
    assert [len(answer.tokens) for answer in answers] == [5, 5, 5]
    assert [token.projection for token in answers[1].tokens] != [token.projection for token in answers[2].tokens]


def test_tokens_that_prompts_share_are_counted_once():
    assert distinct_tokens([(1, 2, 3), (1, 2, 4, 5), (1, 2, 3, 6)]) == 2 + 1 + 2 + 2
    assert distinct_tokens([(1, 2), (1, 2)]) == 2
