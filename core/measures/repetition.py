"""How much a text repeats itself. Needs no model and no torch."""

from __future__ import annotations

from collections import Counter

WORDS = 3


def repetition(text: str) -> float:
    """Share of the text's three-word sequences that repeat an earlier one; 0 for texts below four words."""
    words = text.lower().split()
    grams = [tuple(words[place : place + WORDS]) for place in range(len(words) - WORDS + 1)]
    if len(grams) < 2:
        return 0.0
    return sum(count - 1 for count in Counter(grams).values()) / len(grams)
