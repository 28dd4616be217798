"""Pairs and their ratios; a peer that does not run."""

from __future__ import annotations

import pytest

from benchmarks.pairs import FEWEST, PeerFailed, Seconds, interleaved, of_pairs


def takes(seconds: list[float], log: list[str], name: str):
    """A run that says it took these seconds, one after the other; the first is the warm-up's."""
    left = iter([99.0, *seconds])

    def run() -> Seconds:
        log.append(name)
        return Seconds(next(left))

    return run


def test_turns_alternate_after_a_warm_up_and_the_ratio_is_the_median_of_the_pairs():
    log: list[str] = []
    found = interleaved("x", takes([1, 4, 3], log, "a"), takes([2, 2, 2], log, "b"), "≤ 1", n=3)
    assert "".join(log) == "ab" + "ab" + "ba" + "ab"
    assert (found.ratio, found.spread, found.ours, found.peer, found.n) == (1.5, (1.0, 1.75), 3, 2, 3)
    assert found.seconds == 3


def test_a_ratio_of_speeds_is_above_one_where_ours_takes_less():
    found = of_pairs("x", [(1.0, 2.0), (2.0, 8.0), (1.0, 3.0)], "tokens/s", "≥ 1", amount=48)
    assert (found.ratio, found.ours, found.peer, found.seconds) == (3.0, 48.0, 16.0, 1.0)


def test_no_pair_is_begun_once_patience_is_over_but_a_few_are_always_made():
    log: list[str] = []
    found = interleaved("x", takes([1] * 9, log, "a"), takes([1] * 9, log, "b"), "≤ 1", n=9, patience=0)
    assert found.n == FEWEST


@pytest.mark.parametrize("runs", [0, 2])
def test_a_peer_that_fails_leaves_its_own_message_and_our_figure(runs):
    there = iter([Seconds(1)] * runs)

    def peer() -> Seconds:
        for found in there:
            return found
        raise PeerFailed("ImportError: no such thing")

    found = interleaved("x", lambda: Seconds(2), peer, "≥ 1", n=5, unit="tokens/s", amount=10)
    assert (found.ratio, found.spread, found.peer) == (None, None, None)
    assert (found.error, found.ours) == ("ImportError: no such thing", 5.0)
