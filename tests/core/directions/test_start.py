"""Steering starts where a direction has a vector, with a push that is as strong as usual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.directions.start import (
    LONG,
    SHORT,
    USUAL_SHARE,
    check_vectors,
    in_words,
    is_odd,
    nearest,
    odd_coefficient,
    with_vector,
)
from core.errors import BadInput

NORMS = st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([3], "block 3"),
        ([5, 6, 7, 8, 9], "blocks 5 to 9"),
        ([12, 0, 5, 6, 7], "blocks 0, 5 to 7 and 12"),
        ([1, 3], "blocks 1 and 3"),
    ],
)
def test_blocks_are_told_by_their_runs(blocks, said):
    assert in_words(blocks) == said


@given(NORMS, st.integers(0, 40))
def test_the_nearest_block_has_a_vector_and_none_is_nearer(norms, wanted):
    there = with_vector(norms)
    found = nearest(norms, wanted)
    if there:
        assert norms[found] > 0
        assert all(abs(block - wanted) >= abs(found - wanted) for block in there)
    else:
        assert found == wanted


@given(NORMS, st.sets(st.integers(0, 39), min_size=1, max_size=5))
def test_exactly_the_blocks_with_a_vector_are_let_through(norms, blocks):
    fine = any(norms) and all(block >= len(norms) or norms[block] for block in blocks)
    if fine:
        check_vectors("v", norms, sorted(blocks))
    else:
        with pytest.raises(BadInput, match="The direction v ") as raised:
            check_vectors("v", norms, sorted(blocks))
        assert "\n" not in str(raised.value)


@given(st.floats(1e-3, 1e3), st.floats(-2, 2).filter(lambda c: abs(c) > 0.01))
def test_a_vector_of_odd_length_is_pushed_with_as_others_are(share, usual):
    raw = odd_coefficient(share, usual)
    assert raw * share == pytest.approx(usual * USUAL_SHARE, rel=0.01) or abs(raw) == 1000
    assert is_odd(share) == (share < SHORT or share > LONG)


def test_no_length_however_small_makes_a_coefficient_out_of_range():
    assert odd_coefficient(1e-300, -1.0) == -1000
    assert not is_odd(0.0)
