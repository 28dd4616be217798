"""What goes into a forward pass, hooks that never stay, and passes that end early."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import core
from core.models.forward import ByDevice, Inputs, batches, hooked, pad_left, stop_after
from core.models.loading import LoadedModel
from tests.core import tiny
from tests.core.plain import count_hooks


def test_padding_stands_left_and_is_masked():
    ids, mask = pad_left([(5,), (6, 7, 8)], tiny.PAD)
    assert ids.tolist() == [[tiny.PAD, tiny.PAD, 5], [6, 7, 8]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]


def test_positions_count_real_tokens_and_go_on_where_they_ended(llama: LoadedModel):
    inputs = Inputs.left(llama, [(5,), (6, 7, 8)])
    assert inputs.positions.tolist() == [[0, 0, 0], [0, 1, 2]]
    for begun in (inputs, Inputs.resumed(llama, [1, 3])):
        more = begun.next(torch.tensor([[1, 2], [3, 4]]))
        assert more.positions.tolist() == [[1, 2], [3, 4]]
        assert more.mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert Inputs.right(llama, [(5,), (6, 7)], after=4).positions.tolist() == [[4, 5], [4, 5]]
    assert Inputs.left(llama, [(5, 6)]).mask is None


def test_a_model_is_given_only_what_it_takes(llama: LoadedModel):
    inputs = Inputs.left(llama, [(5,), (6, 7)])
    assert {"position_ids", "attention_mask", "logits_to_keep"} <= set(inputs.arguments(llama, logits=1))
    sparse = dataclasses.replace(llama, accepts=frozenset({"input_ids", "attention_mask", "past_key_values"}))
    assert not {"position_ids", "logits_to_keep"} & set(inputs.arguments(sparse, logits=1))
    assert "logits_to_keep" not in inputs.arguments(llama)


@given(st.lists(st.lists(st.just(1), max_size=9), max_size=20), st.integers(1, 40))
def test_batches_hold_every_row_once_by_length_and_keep_to_the_limit(ids, most):
    found = list(batches(ids, most))
    order = [row for batch in found for row in batch]
    assert sorted(order) == list(range(len(ids)))
    assert [len(ids[row]) for row in order] == sorted(map(len, ids))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(len(ids[row]) for row in batch) <= most
    some = [row for row in range(len(ids)) if row % 2]
    assert sorted(row for batch in batches(ids, most, some) for row in batch) == some


def test_a_limit_is_that_of_the_device(llama: LoadedModel):
    assert ByDevice(cpu=3, other=5).of(llama) == 3


def test_hooks_are_gone_whatever_happened(llama: LoadedModel):
    before = count_hooks(llama.model)
    hooks = [(block, lambda *_: None) for block in llama.blocks]
    with pytest.raises(KeyError), hooked(hooks):
        assert count_hooks(llama.model) == before + len(hooks)
        raise KeyError
    with pytest.raises(AttributeError), hooked([*hooks, (None, lambda *_: None)]):
        pass
    assert count_hooks(llama.model) == before


def test_a_pass_ends_after_its_block_and_what_was_hooked_there_before_runs(llama: LoadedModel):
    ran = []
    before = count_hooks(llama.model)

    def note(place: int):
        return lambda *_: ran.append(place)

    reached = False
    hooks = [(block, note(place)) for place, block in enumerate(llama.blocks)]
    with hooked(hooks), stop_after(llama, 1):
        llama.model(**Inputs.left(llama, [(5, 6)]).arguments(llama, use_cache=False))
        reached = True
    assert (ran, reached) == ([0, 1], False)
    with hooked(hooks), stop_after(llama, None):
        llama.model(**Inputs.left(llama, [(5, 6)]).arguments(llama, use_cache=False))
    assert ran[2:] == list(range(len(llama.blocks)))
    assert count_hooks(llama.model) == before


def test_nothing_else_registers_hooks_that_run_after_a_module():
    texts = {path.name: path.read_text(encoding="utf-8") for path in Path(core.__path__[0]).rglob("*.py")}
    assert [name for name, text in texts.items() if ".register_forward_hook(" in text] == ["forward.py"]
