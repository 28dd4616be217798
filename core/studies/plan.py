"""Settings of a comparison, made complete with all that names stand for. No torch here."""

from __future__ import annotations

import re

from core.directions import origin
from core.directions.library import DirectionCard
from core.generation import comparison
from core.generation.comparison import Plan, Settings
from core.models import sources
from core.models.catalog import FolderSource, ModelSpec, resolve
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
    check_weights(card, spec)
    return comparison.completed(settings, card, start_for(card.id))


def check_weights(card: DirectionCard, spec: ModelSpec) -> None:
    """Raise `DirectionMismatch` where the fetched model is known to hold other weights than the direction is made of.

    Of a folder, which would have to be read whole, it is looked at when the model is loaded.
    """
    record = None if isinstance(spec.source, FolderSource) else sources.record_of(spec)
    recorded = str(record.get("fingerprint")) if record else ""
    if re.fullmatch("[0-9a-f]{64}", recorded) and origin.same_weights(card.provenance, recorded) is False:
        raise origin.of_other_weights(card.name, spec.id)
