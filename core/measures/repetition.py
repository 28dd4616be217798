"""How much a text repeats itself. Needs no model and no torch."""

from __future__ import annotations

import itertools
import re
from collections import Counter

# words fall apart at every sign, so that loops within one word count, as `a_b_a_b`; any number is alike, so that
# counting on and on does too
_PIECE = re.compile(r"[^\W\d_]+|\d+")


_STRETCH = 8  # characters


def repetition(text: str) -> float:
    """Share of the text's pairs of neighbouring words that repeat an earlier pair; 0 for texts below three words.

    Example: `repetition("so it is so it is so it is")` is 5 / 8.
    """
    words = ["0" if piece.isdecimal() else piece for piece in _PIECE.findall(text.lower())]
    pairs = list(itertools.pairwise(words))
    if len(pairs) < 2:
        return 0.0
    return sum(count - 1 for count in Counter(pairs).values()) / len(pairs)


def words(text: str) -> int:
    """How many words a text has, letters or digits between signs."""
    return len(_PIECE.findall(text))


def looping(text: str) -> float:
    """Share of the text's stretches of eight characters that repeat an earlier one; any digit and any gap are alike.

    It sees loops that hold no words, or one that never ends: `" " " " "`, `100000000`, `aualaualauala`.
    """
    plain = re.sub(r"\d", "0", " ".join(text.lower().split()))
    stretches = [plain[place : place + _STRETCH] for place in range(len(plain) - _STRETCH + 1)]
    return 1 - len(set(stretches)) / len(stretches) if stretches else 0.0
