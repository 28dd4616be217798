"""Text comes out token by token without ever splitting a character."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from core.generation.text import REPLACEMENT, TextStream
from tests.core import tiny

BYTES = tiny.tokenizer()
TEXT = st.text(alphabet=st.sampled_from("ab the ín東京🌋👨‍👩‍👧é\n"), max_size=30)


def pieces_tokenizer(strip: bool) -> PreTrainedTokenizerFast:
    """Whole pieces with `▁` for a space and a fallback to bytes: the kind of Gemma, or (`strip`) of Llama 2."""
    words = [
        "<pad>",
        "</s>",
        "▁",
        "▁▁",
        "▁the",
        "the",
        "a",
        "▁a",
        "é",
        ".",
        *(f"<0x{byte:02X}>" for byte in range(256)),
    ]
    backend = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, [], byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] if strip else [])])
    backend.add_special_tokens([AddedToken(word, special=True) for word in words[:2]])
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>")


FIRST_BYTE = 10
PIECES = {strip: pieces_tokenizer(strip) for strip in (False, True)}


def stream(tokenizer, ids: list[int]) -> list[str]:
    made = TextStream(tokenizer)
    return [*(made.push(token) for token in ids), made.flush()]


def decode(tokenizer, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@given(st.lists(st.integers(0, len(BYTES) - 1), max_size=24))
def test_any_tokens_streamed_equal_all_tokens_decoded_at_once(ids):
    """Also bytes that are no character, and special tokens in the middle of one."""
    assert "".join(stream(BYTES, ids)) == decode(BYTES, ids)


@pytest.mark.parametrize("strip", [False, True])
@given(st.lists(st.one_of(st.integers(0, 9), st.sampled_from("\né東🌋")), max_size=24))
def test_pieces_with_a_fallback_to_bytes_stream_as_they_decode_at_once(strip, units):
    """Whole characters alone: one byte too few turns the whole run of bytes before it into replacement signs."""
    tokenizer = PIECES[strip]
    ids = []
    for unit in units:
        ids += [unit] if isinstance(unit, int) else [FIRST_BYTE + byte for byte in unit.encode()]
    assert "".join(stream(tokenizer, ids)) == decode(tokenizer, ids)


@given(TEXT)
@example("👨‍👩‍👧")
def test_text_with_characters_of_many_bytes_comes_out_whole(text):
    ids = BYTES(text, add_special_tokens=False)["input_ids"]
    parts = stream(BYTES, ids)
    assert "".join(parts) == text
    assert not any(REPLACEMENT in part for part in parts)


@given(TEXT)
def test_each_part_comes_with_the_token_that_completes_it(text):
    """No later than that: after each token all whole characters so far are out."""
    ids = BYTES(text, add_special_tokens=False)["input_ids"]
    made, out = TextStream(BYTES), ""
    for place, token in enumerate(ids, 1):
        out += made.push(token)
        assert out == decode(BYTES, ids[:place]).rstrip(REPLACEMENT)


def test_an_unfinished_character_is_held_back_until_the_end():
    ids = BYTES("a東", add_special_tokens=False)["input_ids"][:-1]
    parts = stream(BYTES, ids)
    assert parts == ["a", "", "", REPLACEMENT]


def test_special_tokens_give_no_text():
    assert stream(BYTES, [tiny.PAD, tiny.IM_START, tiny.IM_END]) == ["", "", "", ""]


def test_nothing_gives_nothing():
    assert stream(BYTES, []) == [""]
