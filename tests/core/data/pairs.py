"""Which texts are nearly the same, exactly: for the data that Tiller ships, and to check the count."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence


def near_duplicates(texts: Sequence[str], threshold: float = 0.5, shingle: int = 5) -> list[tuple[int, int, float]]:
    """Pairs of texts whose sets of word `shingle`-grams overlap by at least `threshold` (Jaccard, above 0).

    Returns:
        (first index, second index, overlap), most alike first.
    """
    sets = [_shingles(text, shingle) for text in texts]
    often = Counter(gram for grams in sets for gram in grams)
    found: list[tuple[int, int, float]] = []
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for second, right in enumerate(sets):
        # two sets as alike as that share one of their rarest grams: the rest need not be looked at
        needed = math.ceil(threshold * len(right) - 1e-9)
        rarest = sorted(right, key=lambda gram: (often[gram], gram))[: len(right) - needed + 1]
        for first in {place for gram in rarest for place in holders[gram]}:
            left = sets[first]
            overlap = len(left & right) / len(left | right)
            if overlap >= threshold:
                found.append((first, second, overlap))
        for gram in rarest:
            holders[gram].append(second)
    return sorted(found, key=lambda row: (-row[2], row[1], row[0]))


def _shingles(text: str, shingle: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    count = max(1, len(words) - shingle + 1)
    return {tuple(words[place : place + shingle]) for place in range(count)}
