"""Whether a direction belongs to the weights that are there now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import DirectionMismatch


def same_weights(made: Mapping[str, Any], fingerprint: str | None) -> bool | None:
    """Whether a direction with this provenance was made of exactly these weights; None where either is not known."""
    of = made.get("fingerprint")
    return None if {of, fingerprint} & {None, "", "unknown"} else of == fingerprint


def of_other_weights(name: str, model_id: str) -> DirectionMismatch:
    """What to say of a direction of weights that are not there any more."""
    return DirectionMismatch(
        f"The direction {name} was made from other weights than those that {model_id} holds now. Extract it again, or "
        "restore the weights."
    )
