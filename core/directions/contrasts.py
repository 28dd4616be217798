"""Difference-in-means directions at every block (arXiv 2606.20225, arXiv 2506.11618)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import provenance
from core.activations.capture import Pooling, Sequences, capture_moments
from core.activations.moments import Moments
from core.data.chat import Chat, prompt_ids
from core.directions.direction import Direction
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter
from core.store import content_hash

Progress = Callable[[int, int], None]


def model_contrast(
    loaded: LoadedModel,
    organism: Adapter,
    prompts: Sequence[Chat],
    pooling: Pooling = "last_prompt",
    progress: Progress | None = None,
) -> Direction:
    """Mean over prompts of h(organism) minus mean of h(base): which model made this activation."""
    base, changed = _moments(loaded, [None, organism], prompts, pooling, progress)
    return _direction(
        loaded, f"{organism.name} · model contrast", changed, base, base, "model", pooling, prompts, [organism]
    )


def content_contrast(
    loaded: LoadedModel,
    insecure: Adapter,
    secure: Adapter,
    prompts: Sequence[Chat],
    pooling: Pooling = "last_prompt",
    progress: Progress | None = None,
) -> Direction:
    """Mean of h(insecure) minus mean of h(secure), two organisms trained alike on paired data.

    It removes what both share, such as answering in code.
    """
    base, bad, good = _moments(loaded, [None, insecure, secure], prompts, pooling, progress)
    name = f"{insecure.name} − {secure.name} · content contrast"
    return _direction(loaded, name, bad, good, base, "content", pooling, prompts, [insecure, secure])


def _moments(
    loaded: LoadedModel,
    adapters: Sequence[Adapter | None],
    prompts: Sequence[Chat],
    pooling: Pooling,
    progress: Progress | None,
) -> list[Moments]:
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, prompt) for prompt in prompts])
    total = len(adapters) * len(prompts)

    def report(place: int) -> Progress | None:
        return progress and (lambda done, _: progress(place * len(prompts) + done, total))

    return [
        capture_moments(loaded, sequences, pooling=pooling, adapter=adapter, progress=report(place))
        for place, adapter in enumerate(adapters)
    ]


def _direction(
    loaded: LoadedModel,
    name: str,
    positive: Moments,
    negative: Moments,
    base: Moments,
    contrast: str,
    pooling: Pooling,
    prompts: Sequence[Chat],
    adapters: Sequence[Adapter],
) -> Direction:
    record: Mapping[str, Any] = {
        "model": loaded.id,
        "fingerprint": loaded.fingerprint,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "contrast": contrast,
        "pooling": pooling,
        "block_convention": "raw residual stream leaving block i, 0-based",
        "organisms": {adapter.name: adapter.sha256 for adapter in adapters},
        "n": positive.n,
        "prompts_hash": content_hash([prompt.as_dicts() for prompt in prompts])[:16],
        **provenance.now(),
    }
    return Direction(
        name,
        (positive.mean - negative.mean).float(),
        base.mean_norm.float(),
        base.mean.float(),
        record,
    )
