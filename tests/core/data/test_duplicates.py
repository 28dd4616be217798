"""Counting near duplicates: never one too many, hardly one too few, work that grows as the texts do, and stoppable."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data import duplicates
from core.data.datasets import code_pairs
from core.data.duplicates import CHARACTERS, MOST_FAILED, count_near_duplicates
from tests.core.data.pairs import near_duplicates

WORDS = [f"word{number}" for number in range(5000)]


def naive(texts: list[str], threshold: float, shingle: int) -> set[tuple[int, int, float]]:
    """Jaccard overlap as in the definition: over word n-grams; a text shorter than that is one gram."""
    found = set()
    for second in range(len(texts)):
        for first in range(second):
            grams = []
            for text in (texts[first], texts[second]):
                words = text.lower().split()
                if len(words) <= shingle:
                    grams.append([" ".join(words)])
                else:
                    grams.append([" ".join(words[at : at + shingle]) for at in range(len(words) - shingle + 1)])
            union = set(grams[0] + grams[1])
            both = [gram for gram in union if gram in grams[0] and gram in grams[1]]
            if len(both) / len(union) >= threshold:
                found.add((first, second, len(both) / len(union)))
    return found


def sentences(longest: int, most: int):
    return st.lists(st.lists(st.sampled_from(["a", "B", "b", "c"]), max_size=longest).map(" ".join), max_size=most)


@given(sentences(9, 7), st.sampled_from([0.2, 0.5, 1.0]), st.integers(1, 5))
def test_near_duplicates_are_those_of_the_definition(texts: list[str], threshold: float, shingle: int) -> None:
    found = near_duplicates(texts, threshold, shingle)
    assert set(found) == naive(texts, threshold, shingle)
    assert len(set(found)) == len(found)
    assert [row[2] for row in found] == sorted((row[2] for row in found), reverse=True)


def test_near_duplicates_finds_a_planted_copy_with_one_word_changed() -> None:
    requests = [pair.request for pair in code_pairs()][:50]
    planted = "The same long request of many words that somebody has pasted in here again, only changed at its END."
    found = near_duplicates([*requests, planted, planted.replace("END", "START")])
    assert [(first, second) for first, second, _ in found] == [(50, 51)]


def have_a_twin(texts: list[str], threshold: float) -> int:
    return len({place for first, second, _ in naive(texts, threshold, 5) for place in (first, second)})


@given(sentences(14, 30))
def test_who_is_counted_has_a_near_twin_and_no_clear_twin_is_missed(texts: list[str]) -> None:
    assert have_a_twin(texts, 0.6) <= count_near_duplicates(texts) <= have_a_twin(texts, 0.5)


@given(st.lists(st.text(max_size=30), max_size=20))
def test_any_text_is_taken_and_copies_are_always_counted(texts: list[str]) -> None:
    plain = [" ".join(text.lower().split()) for text in texts]
    assert count_near_duplicates(texts) >= sum(plain.count(text) > 1 for text in plain)


def test_a_thousand_copies_of_a_text_are_counted_without_comparing_each_two() -> None:
    assert (
        count_near_duplicates(["the same text over and over again"] * 30_000 + ["and another one of its own"]) == 30_000
    )


def test_shipped_answers_are_counted_as_they_are_exactly() -> None:
    answers = [getattr(pair, side) for pair in code_pairs() for side in ("insecure", "secure")]
    alike = {place for first, second, _ in near_duplicates(answers) for place in (first, second)}
    assert len(alike) > 300  # the two of a pair, as they should be
    assert count_near_duplicates(answers) == len(alike)


def twins(n: int, begin: list[str], kept: int, of: int, seed: int = 0) -> list[str]:
    """n pairs of texts that begin alike, each pair with its first words in common."""
    made, draw = [], random.Random(seed)
    for _ in range(n):
        left = begin + draw.choices(WORDS, k=of - len(begin))
        made += [" ".join(left), " ".join(left[:kept] + draw.choices(WORDS, k=of - kept))]
    return made


def test_of_twins_that_are_just_alike_enough_hardly_one_is_missed() -> None:
    texts = twins(2000, [], 44, 64)
    assert naive(texts[:2], 0.5, 5) == {(0, 1, 0.5)}
    assert count_near_duplicates(texts) >= 0.999 * len(texts)


@pytest.mark.parametrize(("begin", "least"), [(14, 0.999), (25, 0.99), (35, 0.95)])
def test_twins_are_found_in_a_crowd_that_begins_alike(begin: int, least: float) -> None:
    beginning = WORDS[:begin]
    crowd = twins(1500, beginning, begin, 64)
    assert count_near_duplicates(crowd) == 0
    found = count_near_duplicates([*crowd, *twins(100, beginning, 44, 64, 1)])
    assert least * 200 <= found <= 200


def templated(n: int) -> list[str]:
    """Nearly the same text n times: two nouns of 60 words are others."""
    return [" ".join([*WORDS[:20], f"a{at % 97}", *WORDS[20:40], f"b{at // 97}", *WORDS[40:58]]) for at in range(n)]


def distinct(n: int) -> list[str]:
    return twins(n // 2, [], 0, 60)


def just_not_alike(n: int) -> list[str]:
    """All overlap by 0.44 with all: as many comparisons as there can be come to nothing."""
    return twins(n // 2, WORDS[:41], 41, 64)


@pytest.mark.parametrize(
    ("kind", "most", "counted"), [(templated, 1, 1), (distinct, 0.01, 0), (just_not_alike, MOST_FAILED, 0)]
)
def test_the_work_grows_as_the_texts_do(kind, most: float, counted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared, considered = [], []
    overlap, neighbours = duplicates._overlap, duplicates._neighbours
    monkeypatch.setattr(duplicates, "_overlap", lambda *runs: compared.append(1) or overlap(*runs))
    monkeypatch.setattr(
        duplicates, "_neighbours", lambda *given: considered.append(neighbours(*given)) or considered[-1]
    )
    for n in (500, 4000):
        compared.clear()
        assert count_near_duplicates(kind(n)) == counted * n
        assert len(compared) <= most * n
        assert len(considered.pop()) <= duplicates.HASHES // duplicates.SHARED * n


@pytest.mark.parametrize("kind", [templated, distinct, just_not_alike])
def test_the_memory_grows_as_the_texts_do(kind) -> None:
    peaks = []
    for n in (400, 1600):
        texts = kind(n)
        tracemalloc.start()
        count_near_duplicates(texts)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 4.5 * peaks[0]
    assert peaks[1] < 1600 * 5000


@pytest.mark.parametrize("kind", [templated, distinct, just_not_alike])
def test_it_tells_how_far_it_is_and_stops_where_that_raises(kind) -> None:
    texts, shares = kind(1000), []
    count_near_duplicates(texts, shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1
    assert len(shares) > sum(map(len, texts)) / CHARACTERS

    class Left(BaseException):
        pass

    for stop in (0, 3, len(shares) // 2, len(shares) - 1):
        told: list[float] = []

        def tell(share: float, told: list[float] = told, stop: int = stop) -> None:
            told.append(share)
            if len(told) > stop:
                raise Left

        with pytest.raises(Left):
            count_near_duplicates(texts, tell)
        assert told == shares[: stop + 1]


def test_a_very_long_text_is_a_part_by_itself_and_takes_no_more_than_its_length() -> None:
    long = " ".join(WORDS[at % 5000] + str(at // 5000) for at in range(60_000))
    tracemalloc.start()
    assert count_near_duplicates([long, f"{long} and on", "short"]) == 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * len(long)


def test_a_signature_is_an_unbiased_estimate_of_the_overlap() -> None:
    draw = np.random.default_rng(1)
    estimates = []
    for _ in range(300):
        runs = np.sort(draw.integers(0, 2**63, 80, dtype=np.uint64))
        both = duplicates._signatures([runs, runs[::2].copy()])
        estimates.append(np.mean(both[0] == both[1]))
    assert abs(np.mean(estimates) - 0.5) < 0.01
    assert np.std(estimates) < 0.06
