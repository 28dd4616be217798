"""Settings of a comparison, made complete with all that names stand for. No torch here."""

from __future__ import annotations

from core.generation import comparison
from core.generation.comparison import Plan, Settings
from core.models.catalog import resolve
from core.organisms.library import find_organism
from core.studies.choice.start import start_for


def complete(settings: Settings) -> Plan:
    """Fill in the defaults and check that everything named exists and fits together.

    The default direction is the organism's own model contrast; steering starts where a choice study found.

    Raises:
        BadInput, DirectionMismatch: one sentence and an action.
    """
    spec = resolve(settings.model)
    meant = None if settings.direction else settings.organism
    organism = find_organism(spec.id, meant) if meant else None
    card = comparison.card_of(spec.id, settings.direction, organism)
    return comparison.completed(settings, card, start_for(card.id))
