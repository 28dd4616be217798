"""The blocks found are the decoder blocks, for every architecture class."""

from __future__ import annotations

import inspect

import pytest
import torch
import transformers
from torch import nn

from core.activations.capture import Sequences, capture_all
from core.errors import UnsupportedModel
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.models.blocks import block_hidden, decoder_blocks, replace_hidden, text_config
from core.models.loading import load_folder, wrap
from tests.core import tiny
from tests.core.plain import LONG, SHORT, hidden_of, ids_of

# what a hook sees at each block, by the number of rows and tokens given
ROWS, TOKENS = 2, 5


@torch.no_grad()
def seen_by_hooks(loaded, **options) -> tuple[list, object]:
    """What each block returns, in the order in which the blocks run, and the model's own output."""
    seen = []
    handles = [
        block.register_forward_hook(lambda _module, _args, output, place=place: seen.append((place, output)))
        for place, block in enumerate(loaded.blocks)
    ]
    ids = torch.arange(10, 10 + ROWS * TOKENS).view(ROWS, TOKENS)
    try:
        return seen, loaded.model(input_ids=ids, use_cache=False, **options)
    finally:
        for handle in handles:
            handle.remove()


def test_at_least_twenty_four_classes_are_covered(tiny_models):
    assert len({type(tiny_models(name).model) for name in tiny.CLASSES}) >= 24


def test_there_is_one_block_for_each_layer_and_each_runs_once_in_order(any_class):
    seen, _ = seen_by_hooks(any_class)
    assert len(any_class.blocks) == tiny.LAYERS == text_config(any_class.model).num_hidden_layers
    assert [place for place, _ in seen] == list(range(tiny.LAYERS))


def test_each_block_returns_the_residual_stream(any_class):
    seen, _ = seen_by_hooks(any_class)
    for _, output in seen:
        assert block_hidden(output).shape == (ROWS, TOKENS, any_class.width)
    assert any_class.width == any_class.model.get_input_embeddings().embedding_dim


def test_a_block_reads_what_the_block_before_it_returned(any_class):
    """A list of experts or of attention layers would not hand on a stream from member to member."""
    read, returned = [], []

    def note(block, args, kwargs, output):
        first = next(iter(inspect.signature(block.forward).parameters))
        read.append(args[0] if args else kwargs[first])
        returned.append(hidden_of(output))

    handles = [block.register_forward_hook(note, with_kwargs=True) for block in any_class.blocks]
    try:
        with torch.no_grad():
            any_class.model(input_ids=torch.arange(10, 20)[None], use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    for earlier, later in zip(returned[:-1], read[1:], strict=True):
        assert torch.equal(earlier, later)


def test_the_stream_equals_hidden_states_of_every_block_but_the_last(any_class):
    seen, output = seen_by_hooks(any_class, output_hidden_states=True)
    states = output.hidden_states
    assert len(states) == tiny.LAYERS + 1
    for place, returned in seen[:-1]:
        assert torch.equal(block_hidden(returned), states[place + 1])


def test_the_vision_tower_of_a_wrapper_is_not_mistaken_for_the_blocks(tiny_models):
    """Its towers have as many layers as the language model, so counting alone could not tell."""
    for name in tiny.WRAPPERS:
        loaded = tiny_models(name)
        lists = [module for module in loaded.model.modules() if isinstance(module, nn.ModuleList)]
        assert sum(len(module) == tiny.LAYERS for module in lists) > 1
        path = next(path for path, module in loaded.model.named_modules() if module is loaded.blocks)
        assert "vis" not in path


@pytest.mark.parametrize(("name", "recurrent"), tiny.HYBRID.items(), ids=tiny.HYBRID)
def test_hybrid_checkpoints_hold_both_kinds_of_layer(name, recurrent, tiny_models):
    parts = [" ".join(type(module).__name__ for module in block.modules()) for block in tiny_models(name).blocks]
    assert any(recurrent in block for block in parts)
    assert any("Attention" in block for block in parts)


def test_a_tuple_that_a_block_returns_keeps_its_other_members():
    hidden, weights, cache = torch.zeros(1, 2, 3), torch.ones(2), object()
    assert block_hidden((hidden, weights, cache)) is hidden
    changed = replace_hidden((hidden, weights, cache), hidden + 1)
    assert isinstance(changed, tuple)
    assert torch.equal(changed[0], hidden + 1)
    assert changed[1] is weights
    assert changed[2] is cache


def test_a_tensor_that_a_block_returns_stays_a_tensor():
    hidden = torch.zeros(2, 2, 3)
    assert block_hidden(hidden) is hidden
    assert replace_hidden(hidden, hidden + 1).shape == (2, 2, 3)


def test_both_kinds_of_return_value_occur_among_the_classes(tiny_models):
    kinds = {type(seen_by_hooks(tiny_models(name))[0][0][1]) for name in ("Llama", "FalconH1")}
    assert kinds == {torch.Tensor, tuple}


def test_several_streams_at_once_are_refused():
    with pytest.raises(UnsupportedModel, match="not one residual stream"):
        block_hidden(torch.zeros(4, 1, 2, 3))


@pytest.mark.parametrize(
    "config",
    [
        transformers.T5Config(vocab_size=32, d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=2),
        transformers.BartConfig(
            vocab_size=32,
            d_model=16,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            max_position_embeddings=16,
        ),
    ],
    ids=["T5", "Bart"],
)
def test_an_encoder_decoder_model_is_refused(config):
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    with pytest.raises(UnsupportedModel, match="encoder-decoder"):
        wrap(model, None, "tiny/encoder-decoder")


class WithoutBlocks(nn.Module):
    """A model whose layers are not in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.config = transformers.GPT2Config(n_layer=2)
        self.embed, self.first, self.second = nn.Embedding(4, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def forward(self, input_ids, past_key_values=None):
        return self.second(self.first(self.embed(input_ids)))


def test_a_model_without_a_list_of_blocks_is_refused():
    with pytest.raises(UnsupportedModel, match="no list of 2 decoder blocks"):
        decoder_blocks(WithoutBlocks())


def test_a_model_that_does_not_say_how_many_layers_it_has_is_refused():
    model = WithoutBlocks()
    model.config = transformers.PretrainedConfig()
    with pytest.raises(UnsupportedModel, match="does not say how many layers"):
        decoder_blocks(model)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Mamba", "no key-value cache"), ("OpenAI-GPT", "no key-value cache"), ("XLM", "several lists")],
)
def test_a_model_that_cannot_be_steered_is_refused_when_it_is_loaded(name, reason):
    with pytest.raises(UnsupportedModel, match=reason):
        tiny.build(name)


def test_a_model_that_gives_back_no_cache_is_refused_before_the_first_token():
    loaded = tiny.build("RecurrentGemma")
    with pytest.raises(UnsupportedModel, match="gives back no key-value cache"):
        collect(loaded, [Row(SHORT, sampling=Sampling(max_tokens=2))])


def test_a_model_with_several_parallel_streams_is_refused_when_it_is_read():
    loaded = tiny.build("Gemma3n")
    with pytest.raises(UnsupportedModel, match="not one residual stream"):
        capture_all(loaded, Sequences.prompts([ids_of(loaded, LONG)]))


@pytest.mark.parametrize("name", ["Llama", "GPT-2", "Gemma3-vision", "Qwen3.5", "Qwen3.5-vision"])
def test_a_saved_checkpoint_loads_to_the_same_logits(name, tiny_models, tmp_path):
    """Text and vision classes take different ways through transformers; `load_folder` picks the right one."""
    loaded = tiny_models(name)
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    again = load_folder(tmp_path, loaded.id, "fingerprint", device="cpu", dtype=torch.float32)
    ids = torch.tensor([ids_of(loaded, LONG)])
    with torch.inference_mode():
        assert torch.equal(again.model(ids).logits, loaded.model(ids).logits)
    assert type(again.model) is type(loaded.model)
    assert ids_of(again, LONG) == ids_of(loaded, LONG)
    assert tiny.IM_END in again.end_ids
