"""A choice of block and coefficient in words."""

from __future__ import annotations

from typing import Any

from core.words import coefficient


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
