"""The least time that work can take, against hand numbers."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.limits import Limits, Passes, Weights, weights


def limits(bandwidth: float, rate: float) -> Limits:
    found = Limits(torch.device("cpu"), torch.bfloat16)
    found.bandwidth, found.rate = bandwidth, rate
    return found


def test_each_pass_takes_the_longer_of_reading_and_multiplying():
    work = (Passes(bytes=20, operations=100), Passes(bytes=20, operations=10, times=3))
    assert limits(bandwidth=10, rate=10).seconds(work) == 10 + 3 * 2


def test_decoding_reads_all_weights_a_step_and_projects_only_last_tokens():
    # 100 weights in the blocks, 10 to the vocabulary; 3 rows with 7 tokens together, 5 new tokens a row
    prompts, steps = Weights(blocks=100, head=10).decoding(prompt_tokens=7, rows=3, steps=5)
    assert prompts == Passes(bytes=220, operations=2 * (100 * 7 + 10 * 3))
    assert steps == Passes(bytes=220, operations=2 * 110 * 3, times=4)


def test_a_single_new_token_needs_no_step_after_the_prompt():
    assert limits(220, 1e9).seconds(Weights(100, 10).decoding(7, 1, 1)) == 1


def test_reading_leaves_the_vocabulary_out():
    assert Weights(blocks=100, head=10).reading(tokens=7) == (Passes(bytes=200, operations=1400),)


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_those_of_blocks_and_projection_tied_or_not(tmp_path, tied):
    shape = {
        "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 50,
    }  # fmt: skip
    described = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": tied, **shape}
    (tmp_path / "config.json").write_text(json.dumps(described))
    attention, inner, norms = 8 * 8 * 2 + 8 * 4 * 2, 3 * 8 * 16, 2 * 8
    assert weights(tmp_path) == Weights(blocks=3 * (attention + inner + norms), head=50 * 8, item_bytes=2)


def test_what_this_machine_does_at_best_never_falls(monkeypatch):
    monkeypatch.setattr("benchmarks.limits.BUFFER_BYTES", 1 << 16)
    monkeypatch.setattr("benchmarks.limits.SIDES", {"other": (8,)})
    found = limits(bandwidth=1e30, rate=0.0)
    found.measure()
    assert found.bandwidth == 1e30
    assert found.rate > 0
