"""What steering can be found to do, in one table: sign, words and look of each verdict. How one is reached is measured
elsewhere (`core.measures.spillover.verdict`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["specific", "non-specific", "untested", "uncertain", "no effect", "broke the model"]
Look = Literal["good", "mixed", "none", "bad"]


@dataclass(frozen=True)
class Told:
    """`word` heads a sentence or a page, `short` fits a cell of a matrix, `meaning` says why it is called so."""

    sign: str
    word: str
    short: str
    look: Look
    meaning: str = ""


_LESS = "fewer answers with code and more clean ones, but"
VERDICTS: dict[str, Told] = {
    "specific": Told(
        "✔", "Specific", "specific", "good",
        "fewer answers with code, more clean ones, and no random direction of this length does as much",
    ),
    "non-specific": Told(
        "◐", "Real but non-specific", "non-specific", "mixed", f"{_LESS} random directions of this length do as much"
    ),
    "untested": Told(
        "◐", "Real, but too few controls to call it specific", "untested", "mixed",
        f"{_LESS} too few random directions were drawn beside it",
    ),
    "uncertain": Told(
        "◌", "Uncertain", "uncertain", "none",
        "fewer answers with code, but no more than chance gives among so many comparisons",
    ),
    "no effect": Told("○", "No effect", "no effect", "none", "answers with code did not become fewer"),
    "broke the model": Told(
        "✖", "It broke the model", "broke it", "bad", "code went away, but the answers broke instead of turning clean"
    ),
}  # fmt: skip


def told(code: str) -> Told:
    """A verdict's words; one that is not known, as in a result of another version, is shown as it stands."""
    return VERDICTS.get(code) or Told("?", code, code, "none")
