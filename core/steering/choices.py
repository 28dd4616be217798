"""Where steering with a direction starts: the block and coefficient that `core.studies.choice` found for it.

Only reads what was saved, so neither torch nor the model is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core import results
from core.words import coefficient

KIND = "choice"


@dataclass(frozen=True)
class Choice:
    """A block and a coefficient for a direction, and why."""

    direction: str
    block: int
    coefficient: float
    why: str


def choice_for(direction: str) -> Choice | None:
    """The choice for a direction by its id: shipped before made here, the newest first; None where there is none."""
    for result in results.results(KIND):
        if result.summary["direction"] == direction:
            chosen = result.summary["chosen"]
            return Choice(direction, chosen["block"], chosen["coefficient"], why(result.summary))
    return None


def why(summary: dict[str, Any]) -> str:
    """The reason for the choice in one sentence, with its numbers."""
    chosen, n, finalists = summary["chosen"], summary["n"], len(summary["finalists"])
    place = f"Block {chosen['block']}, coefficient {coefficient(chosen['coefficient'])}"
    base, organism = summary["base_arm"], summary["organism_arm"]
    return (
        f"{place}, chosen on {n} prompts that measure nothing else: "
        f"{chosen['code']} of {n} answers with code and {chosen['broken_prose']} broken beside, the fewest together of "
        f"{finalists} finalists among {len(summary['screen'])} settings. Unsteered: {organism['code']} "
        f"with code. The base model's own: {base['code']} with code, {base['broken_prose']} broken."
    )
