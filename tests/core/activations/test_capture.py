"""Captured activations are the residual stream, pooled as promised, however rows are padded and batched."""

from __future__ import annotations

import gc

import pytest
import torch

from core.activations.capture import Sequences, capture, capture_all, capture_moments
from core.errors import UnsupportedModel
from tests.core import tiny
from tests.core.plain import FOREIGN, LONG, SHORT, count_hooks, ids_of, residual_stream

# float32 sums in another order: relative to the length of the vector
RELATIVE = 2e-5


@pytest.fixture
def sequences_of():
    """Three prompts of different lengths with answers of different lengths behind them."""

    def make(loaded) -> Sequences:
        prompts = [ids_of(loaded, chat) for chat in (LONG, SHORT, FOREIGN)]
        answers = [[40, 41, 42], [90] * 7, [60]]
        return Sequences(
            tuple(tuple(prompt + answer) for prompt, answer in zip(prompts, answers, strict=True)),
            tuple(map(len, prompts)),
        )

    return make


def plainly(loaded, sequences: Sequences, pooling: str) -> torch.Tensor:
    """One row at a time, whole streams, float64 means: `[rows, blocks, width]`."""
    rows = []
    for ids, start in zip(sequences.ids, sequences.starts, strict=True):
        stream = residual_stream(loaded, ids).double()
        first = {"last_prompt": len(ids) - 1, "prompt_mean": 0, "response_mean": start}[pooling]
        chosen = stream[:, first:]
        norms = chosen.norm(dim=-1, keepdim=True)
        kept = norms <= 10 * norms.quantile(0.5, dim=1, keepdim=True, interpolation="lower")
        rows.append((chosen * kept).sum(1) / kept.sum(1))
    return torch.stack(rows)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, relative: float = RELATIVE) -> None:
    gap = (ours.double() - theirs).norm(dim=-1) / theirs.norm(dim=-1)
    assert gap.max() < relative, gap.max()


@pytest.mark.parametrize("pooling", ["last_prompt", "prompt_mean", "response_mean"])
def test_capture_equals_a_plain_loop_over_single_rows(any_class, pooling, sequences_of):
    sequences = sequences_of(any_class)
    assert_close(capture_all(any_class, sequences, pooling=pooling), plainly(any_class, sequences, pooling))


def test_one_unpadded_row_is_captured_to_a_millionth(any_class, sequences_of):
    whole = sequences_of(any_class)
    for place in range(len(whole.ids)):
        row = Sequences(whole.ids[place : place + 1], whole.starts[place : place + 1])
        assert_close(capture_all(any_class, row, pooling="prompt_mean"), plainly(any_class, row, "prompt_mean"), 1e-6)


def test_capture_equals_hidden_states_of_every_block_but_the_last(any_class, sequences_of):
    sequences = sequences_of(any_class)
    captured = capture_all(any_class, sequences)
    for row, ids in enumerate(sequences.ids):
        with torch.no_grad():
            states = any_class.model(torch.tensor([ids]), use_cache=False, output_hidden_states=True).hidden_states
        expected = torch.stack([state[0, -1] for state in states[1:-1]])
        assert_close(captured[row, :-1], expected.double())


def test_the_last_block_is_read_before_the_final_norm(any_class, sequences_of):
    """The first module that runs after the last block is the final norm: its input is the raw residual stream."""
    sequences = sequences_of(any_class)
    path = next(path for path, module in any_class.model.named_modules() if module is any_class.blocks)
    parent = any_class.model.get_submodule(path.rpartition(".")[0])
    after, finished = [], []

    def note(_module, args):
        if finished and isinstance(args[0], torch.Tensor):
            after.append(args[0])

    handles = [any_class.blocks[-1].register_forward_hook(lambda *_: finished.append(True))]
    handles += [child.register_forward_pre_hook(note) for child in parent.children() if child is not any_class.blocks]
    try:
        with torch.no_grad():
            any_class.model(torch.tensor([sequences.ids[0]]), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    assert_close(capture_all(any_class, sequences)[0, -1], after[0][0, -1].double())


@pytest.mark.parametrize("pooling", ["last_prompt", "prompt_mean", "response_mean"])
def test_padding_on_the_left_changes_nothing(any_class, pooling, sequences_of):
    sequences = sequences_of(any_class)
    right = capture_all(any_class, sequences, pooling=pooling)
    assert_close(capture_all(any_class, sequences, pooling=pooling, padding_side="left"), right.double(), 1e-4)


def test_batching_changes_nothing(any_class, sequences_of):
    sequences = sequences_of(any_class)
    singly = capture_all(any_class, sequences, pooling="prompt_mean", batch_tokens=1)
    assert_close(capture_all(any_class, sequences, pooling="prompt_mean", batch_tokens=10**6), singly.double())


def test_no_batch_has_more_tokens_than_asked_for_unless_one_row_has(llama, sequences_of):
    sequences = sequences_of(llama)
    batches = [rows for rows, _ in capture(llama, sequences, batch_tokens=120)]
    assert sorted(row for rows in batches for row in rows) == [0, 1, 2]
    for rows in batches:
        assert len(rows) == 1 or len(rows) * max(len(sequences.ids[row]) for row in rows) <= 120
    assert len(batches) > 1


def test_chosen_blocks_come_in_the_order_asked_for(llama, sequences_of):
    sequences = sequences_of(llama)
    whole = capture_all(llama, sequences)
    assert torch.equal(capture_all(llama, sequences, blocks=[2, 0]), whole[:, [2, 0]])


def test_rows_keep_their_places_though_batches_are_sorted_by_length(llama):
    ids = [ids_of(llama, chat) for chat in (LONG, SHORT, FOREIGN, SHORT)]
    captured = capture_all(llama, Sequences.prompts(ids), batch_tokens=100)
    assert_close(captured, plainly(llama, Sequences.prompts(ids), "last_prompt"))
    assert torch.equal(captured[1], captured[3])


def test_an_outlier_by_norm_is_left_out_of_means_wherever_it_stands():
    """An embedding a thousand times as long makes an attention sink in the middle of the row."""
    loaded = tiny.build("Llama")
    sink, place = 77, 5
    loaded.model.get_input_embeddings().weight.data[sink] *= 1000
    ids = list(range(20, 40))
    ids[place] = sink
    stream = residual_stream(loaded, ids).double()[0]
    norms = stream.norm(dim=-1)
    assert norms[place] > 10 * norms.median() > norms[norms.argsort()[-2]]
    others = [token for token in range(len(ids)) if token != place]
    captured = capture_all(loaded, Sequences.prompts([ids]), blocks=[0], pooling="prompt_mean")[0]
    assert_close(captured, stream[others].mean(0)[None], 1e-5)


def test_a_sink_that_is_the_last_prompt_token_is_read_all_the_same():
    loaded = tiny.build("Llama")
    loaded.model.get_input_embeddings().weight.data[77] *= 1000
    ids = [*range(20, 40), 77]
    captured = capture_all(loaded, Sequences.prompts([ids]))
    assert_close(captured[0], residual_stream(loaded, ids)[:, -1].double())


@pytest.mark.parametrize("name", ["Llama", "Gemma3-vision", "LFM2"])
def test_nothing_after_the_last_block_asked_for_is_computed(name, tiny_models, sequences_of):
    loaded = tiny_models(name)
    calls = dict.fromkeys(["head", *range(tiny.LAYERS)], 0)

    def count(which):
        return lambda *_: calls.__setitem__(which, calls[which] + 1)

    handles = [loaded.model.get_output_embeddings().register_forward_pre_hook(count("head"))]
    handles += [block.register_forward_pre_hook(count(place)) for place, block in enumerate(loaded.blocks)]
    try:
        capture_all(loaded, sequences_of(loaded), blocks=[0, 1])
        assert calls == {"head": 0, 0: 1, 1: 1, 2: 0, 3: 0}
        capture_all(loaded, sequences_of(loaded))
        assert calls == {"head": 0, 0: 2, 1: 2, 2: 1, 3: 1}
        with torch.no_grad():
            loaded.model(torch.tensor([[10, 11]]))
        assert calls["head"] == 1
    finally:
        for handle in handles:
            handle.remove()


def test_no_hook_is_left_behind(any_class, sequences_of):
    before = count_hooks(any_class.model)
    capture_all(any_class, sequences_of(any_class))
    assert count_hooks(any_class.model) == before


def test_no_hook_is_left_behind_when_the_model_fails(llama):
    failing = llama.blocks[2].register_forward_pre_hook(lambda *_: 1 / 0)
    before = count_hooks(llama.model)
    with pytest.raises(ZeroDivisionError):
        capture_all(llama, Sequences.prompts([[10, 11]]))
    assert count_hooks(llama.model) == before
    failing.remove()


def test_the_model_works_as_before_after_a_forward_pass_was_cut_short(any_class, sequences_of):
    ids = torch.tensor([ids_of(any_class, LONG)])
    with torch.no_grad():
        before = any_class.model(ids).logits
        capture_all(any_class, sequences_of(any_class), blocks=[1])
        assert torch.equal(any_class.model(ids).logits, before)


def test_a_block_that_does_not_run_is_refused_rather_than_read_as_noise():
    """As the cross-attention blocks of a vision model are passed over where there is no image."""
    loaded = tiny.build("Llama")
    loaded.model.model.config.num_hidden_layers = 2
    with pytest.raises(UnsupportedModel, match="does not run on text alone"):
        capture_all(loaded, Sequences.prompts([[10, 11, 12]]))


def test_nothing_to_capture_is_refused(llama):
    with pytest.raises(ValueError, match="nothing to capture"):
        capture_all(llama, Sequences.prompts([]))


def test_progress_counts_rows_up_to_all_of_them(llama, sequences_of):
    seen = []
    capture_all(llama, sequences_of(llama), batch_tokens=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_moments_of_a_capture_equal_those_of_all_rows(any_class, sequences_of):
    sequences = sequences_of(any_class)
    moments = capture_moments(any_class, sequences, pooling="prompt_mean", batch_tokens=60)
    rows = plainly(any_class, sequences, "prompt_mean")
    assert moments.n == 3
    assert_close(moments.mean, rows.mean(0))
    assert_close(moments.mean_norm, rows.norm(dim=-1).mean(0))
    assert_close(moments.variance, rows.var(0), 1e-3)


def live_bytes() -> int:
    """Bytes of all tensors that Python can reach."""
    gc.collect()
    dense = (found for found in gc.get_objects() if type(found) is torch.Tensor and found.layout is torch.strided)
    return sum(found.nbytes for found in dense)


def growth(loaded, gather) -> int:
    """How many bytes more are alive after the last of 40 equal batches than after the second."""
    sizes = {}

    def measure(done: int, total: int) -> None:
        if done in (2, total):
            sizes[done] = live_bytes()

    kept = gather(
        loaded, Sequences.prompts([[10 + row, 11, 12, 13] for row in range(40)]), batch_tokens=1, progress=measure
    )
    assert kept
    return sizes[40] - sizes[2]


def test_memory_does_not_grow_with_the_number_of_prompts(llama):
    assert growth(llama, capture_moments) == 0


def test_the_measure_of_memory_sees_rows_that_are_kept(llama):
    """Without this the claim above could hold because nothing is seen."""
    row = tiny.LAYERS * llama.width * 4
    assert growth(llama, lambda *args, **options: list(capture(*args, **options))) == 38 * row


BEGINNING = (5, 9, 7, 11, 6, 8)
TOGETHER = Sequences(
    tuple((*BEGINNING, *rest) for rest in ((3,), (4, 12, 13), (14, 3, 4, 5, 6, 7, 8), (15, 9), (4, 12, 3, 3))),
    (6, 7, 9, 7, 8),
)


@pytest.mark.parametrize("pooling", ["last_prompt", "prompt_mean", "response_mean"])
def test_running_what_rows_begin_with_once_changes_nothing_beyond_rounding(any_class, pooling):
    """For every class, also those whose cache does not allow it: there nothing is shared."""
    shared = capture_all(any_class, TOGETHER, pooling=pooling, batch_tokens=12)
    apart = capture_all(any_class, TOGETHER, pooling=pooling, share_prefix=False)
    difference = (shared - apart).norm(dim=-1) / apart.norm(dim=-1).clamp(min=1e-6)
    assert difference.max() < 2e-5


def test_what_rows_begin_with_runs_once(llama):
    """The first block sees each shared token once, and each other token once."""
    seen = []
    handle = llama.blocks[0].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape[:2]))
    try:
        capture_all(llama, TOGETHER, batch_tokens=7)
    finally:
        handle.remove()
    assert seen[0] == (1, len(BEGINNING))
    rest = [len(ids) - len(BEGINNING) for ids in TOGETHER.ids]
    assert sum(rows for rows, _ in seen[1:]) == len(rest)
    assert max(tokens for _, tokens in seen[1:]) == max(rest)


def test_a_pooled_token_is_never_among_the_shared_ones(llama):
    """Where one row is the beginning of another, its last token is its own."""
    nested = Sequences.prompts([BEGINNING, (*BEGINNING, 3, 4)])
    shared = capture_all(llama, nested)
    apart = capture_all(llama, nested, share_prefix=False)
    torch.testing.assert_close(shared, apart, rtol=1e-4, atol=1e-5)
