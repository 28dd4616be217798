"""Answers as a table: every prompt by every organism under every steering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from core.data.chat import Chat
from core.directions.direction import Steer
from core.generation.decode import collect_batches
from core.generation.rows import BASE, Answer, Row, Sampling
from core.steering.interventions import Intervention, Mode, Scope

if TYPE_CHECKING:
    from core.models.loading import LoadedModel
    from core.organisms.adapters import Adapter


def answered(
    loaded: LoadedModel,
    chats: Sequence[Chat],
    organisms: Sequence[Adapter | None],
    steerings: Sequence[Steer | None],
    sampling: Sampling,
    samples: int = 1,
    rows_a_batch: int = 24,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """One row an answer, in the order of prompts, organisms, steerings and samples.

    Args:
        samples: answers a prompt; each has a seed of its own, counted up from the sampling's.
    """
    draws = range(samples)
    settings = list(product(organisms, steerings, draws))

    def row(chat: Chat, organism: Adapter | None, steering: Steer | None, seed: int) -> Row:
        acting = () if steering is None else (intervention(steering),)
        adapter = BASE if organism is None else organism.sha256
        return Row(chat, adapter=adapter, interventions=acting, sampling=replace(sampling, seed=seed))

    groups = [
        [
            row(chat, organism, steering, sampling.seed + draw * len(chats) + place)
            for organism, steering, draw in settings
        ]
        for place, chat in enumerate(chats)
    ]
    adapters = {organism.sha256: organism for organism in organisms if organism is not None}
    directions = {steering.direction.id: steering.direction for steering in steerings if steering is not None}
    found: dict[int, list[Answer]] = {}
    for place, answers in collect_batches(loaded, groups, adapters, directions, rows_a_batch):
        found[place] = answers
        if progress:
            progress(len(found), len(chats))
    return pd.DataFrame(
        [
            _record(answer, organism, steering)
            for place in sorted(found)
            for (organism, steering, _), answer in zip(settings, found[place], strict=True)
        ]
    )


def intervention(steering: Steer) -> Intervention:
    """What a steering does, as the decode loop takes it; raises `BadInput` for what is out of range."""
    return Intervention(
        cast(Mode, steering.mode),
        steering.direction.id,
        steering.blocks,
        steering.coefficient,
        cast(Scope, steering.scope),
        ceiling=steering.ceiling,
    )


def _record(answer: Answer, organism: Adapter | None, steering: Steer | None) -> dict[str, Any]:
    return {
        "prompt": answer.row.chat.messages[-1].content,
        "organism": "base" if organism is None else organism.name,
        "steering": "none" if steering is None else str(steering),
        "coefficient": 0.0 if steering is None else steering.coefficient,
        "text": answer.text,
        "tokens": len(answer.tokens),
        "logprob": sum(token.logprob for token in answer.tokens) / max(1, len(answer.tokens)),
        "ended": answer.reason,
        "seed": answer.row.sampling.seed,
    }
