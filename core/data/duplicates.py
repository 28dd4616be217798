"""How many texts are the same as another or nearly so, in time and memory that grow as the text does.

MinHash (Broder 1997): in a random order of all runs of words, two texts have the same smallest run with a probability
equal to their overlap. Texts are sorted by their smallest runs in several orders, so that those which are alike come
to lie side by side (an LSH forest, Bawa, Condie and Ganesan 2005), and only such neighbours are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np

RUN = 5  # words
ALIKE = 0.5  # of the runs of two texts together, in both of them
HASHES = 128  # a text's signature: 16 bits of its smallest run in so many orders
DEPTH, SHARED = 4, 2  # texts are sorted by so many hashes at a time; neighbours share the first ones
LEAST_ESTIMATE = 0.3  # from the signatures: at ALIKE, the estimate is lower once in 300,000 pairs
MOST_FAILED = 8  # neighbours of a text that turn out less alike, and it is given up
CHARACTERS, PAIRS = 100_000, 4096  # at a time

Tell = Callable[[float], object]

_ORDERS = np.random.default_rng(0).integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def count_near_duplicates(texts: Sequence[str], tell: Tell = lambda share: None) -> int:
    """How many texts are the same as another or nearly so: they have at least half of all their runs of 5 words in
    common (Jaccard). Case and white space do not matter, and a shorter text is one run.

    Who is counted has a near twin, but not all who have one are counted. A text whose nearest twin is only just near
    enough is missed about once in 100,000; more often only where many others are almost as near, as in a template
    that makes up nearly half of every text. Words are the same when their CRC-32 is.

    Args:
        tell: called very often with the share that is done; what it raises ends the work.
    """
    copies = Counter(" ".join(text.lower().split()) for text in texts)
    near = _near_another(list(copies), tell)
    return sum(count for count, is_near in zip(copies.values(), near, strict=True) if count > 1 or is_near)


def _near_another(texts: Sequence[str], tell: Tell) -> list[bool]:
    """Of each text, all of them different, whether another one is nearly the same."""
    if not texts:
        return []
    runs: list[np.ndarray] = []
    signatures = np.empty((len(texts), HASHES), np.uint16)
    for first, last in _parts(texts):
        tell(0.6 * first / len(texts))
        runs += _runs(texts[first:last])
        signatures[first:last] = _signatures(runs[first:last])
    near, failed, done = np.zeros(len(texts), bool), np.zeros(len(texts), np.uint8), np.zeros(len(texts), bool)
    pairs = _neighbours(signatures, tell)
    for at in range(0, len(pairs), PAIRS):
        part = pairs[at : at + PAIRS]
        for left, right in part[~done[part].all(axis=1)].tolist():
            if done[left] and done[right]:
                continue
            tell(0.9 + 0.1 * at / len(pairs))
            both = [left, right]
            if _overlap(runs[left], runs[right]) >= ALIKE:
                near[both] = done[both] = True
            else:
                failed[both] += 1
                done[both] |= failed[both] >= MOST_FAILED
    return near.tolist()


def _neighbours(signatures: np.ndarray, tell: Tell) -> np.ndarray:
    """Pairs of places `[pairs, 2]` that lie side by side in some order, the most alike by their signatures first.

    Args:
        signatures: `[texts, HASHES]`.
    """
    count = len(signatures)
    found = []
    for start in range(0, HASHES, SHARED):
        tell(0.6 + 0.2 * start / HASHES)
        keys = np.zeros(count, np.uint64)
        for place in range(start, start + DEPTH):
            keys = keys << np.uint64(16) | signatures[:, place % HASHES]
        order = np.argsort(keys)
        shared = keys[order] >> np.uint64(16 * (DEPTH - SHARED))
        beside = np.flatnonzero(shared[1:] == shared[:-1])
        ends = np.sort([order[beside], order[beside + 1]], axis=0)
        found.append(ends[0] * count + ends[1])
    pairs = np.stack(np.divmod(_distinct(np.concatenate(found)), count), axis=1)
    equal = np.empty(len(pairs), np.uint8)
    for at in range(0, len(pairs), PAIRS):
        tell(0.8 + 0.1 * at / len(pairs))
        part = signatures[pairs[at : at + PAIRS]]
        equal[at : at + PAIRS] = np.count_nonzero(part[:, 0] == part[:, 1], axis=1)
    best = np.argsort(equal, kind="stable")[::-1]
    return pairs[best[equal[best] >= LEAST_ESTIMATE * HASHES]]


def _parts(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where parts of about so many characters begin and end; a long text is one by itself."""
    filled = np.cumsum([len(text) + 1 for text in texts]) // CHARACTERS
    yield from pairwise([0, *(np.flatnonzero(np.diff(filled)) + 1).tolist(), len(texts)])


def _runs(texts: Sequence[str]) -> list[np.ndarray]:
    """Of each text, hashes of its runs of words, in order and each once."""
    padded = [text + " " * (RUN - 1 - text.count(" ")) for text in texts]
    words = np.fromiter(map(crc32, " ".join(padded).encode("utf-8", "surrogatepass").split(b" ")), np.uint64)
    lengths = np.array([text.count(" ") + 1 for text in padded])
    count = len(words) - RUN + 1
    mixed = np.ones(count, np.uint64)
    for place in range(RUN):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + words[place : place + count]
    mixed = (mixed ^ mixed >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    ends = np.cumsum(lengths)
    return [
        _distinct(mixed[end - length : end - RUN + 1])
        for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]


def _signatures(runs: Sequence[np.ndarray]) -> np.ndarray:
    """`[texts, HASHES]`"""
    together = np.concatenate(runs)
    starts = np.cumsum([0, *map(len, runs[:-1])])
    least = [np.minimum.reduceat(together * order, starts) for order in _ORDERS]
    return (np.stack(least, axis=1) >> np.uint64(8)).astype(np.uint16)  # the smallest are alike in their upper bits


def _overlap(left: np.ndarray, right: np.ndarray) -> float:
    both = len(left) + len(right) - len(_distinct(np.concatenate([left, right])))
    return both / (len(left) + len(right) - both)


def _distinct(values: np.ndarray) -> np.ndarray:
    """Each value once, in order; much faster than `np.unique` for few values and for many."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]]
