"""Where steering with a direction starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Start:
    """A block and a coefficient for a direction, by its id; `why` says in a sentence what they were chosen by."""

    direction: str
    block: int
    coefficient: float
    why: str
