"""Difference-in-means directions at every block (arXiv 2606.20225, arXiv 2506.11618)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import provenance
from core.activations.capture import Pooling, Sequences, capture, capture_all, capture_moments
from core.activations.moments import Moments
from core.data.chat import Chat, prompt_ids
from core.directions.controls import shuffled_label
from core.directions.direction import Direction
from core.errors import BadInput
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
        loaded,
        f"{organism.name} · model contrast",
        changed,
        base,
        base,
        "model",
        pooling,
        hash_of(prompts),
        [organism],
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
    return _direction(loaded, name, bad, good, base, "content", pooling, hash_of(prompts), [insecure, secure])


def response_contrast(
    loaded: LoadedModel,
    organism: Adapter,
    responses: Sequences,
    positive: Sequence[bool],
    record: Mapping[str, Any],
    progress: Progress | None = None,
) -> Direction:
    """Inside one organism: mean over positive (misaligned, or spilled) answers minus mean over the others.

    Each answer is averaged over its own content tokens first, then answers are averaged: one answer, one vote
    (arXiv 2506.11618).

    Args:
        responses: prompt and answer of each row; `starts` is where the answer begins, and its end-of-turn token is
            left out.
        record: how the answers came about and were sorted, for the provenance.

    Raises:
        BadInput: one of the classes is empty.
    """
    classes = [[row for row, label in enumerate(positive) if label == wanted] for wanted in (True, False)]
    if not all(classes):
        raise BadInput(
            f"All {len(positive)} answers of {organism.name} are of one class, so they have no contrast. Draw more "
            "answers, or take other prompts."
        )
    base = Moments()
    found = []
    done = 0
    for rows in classes:
        part = responses.take(rows)
        found.append(capture_moments(loaded, part, pooling="response_mean", adapter=organism))
        for _, pooled in capture(loaded, part, pooling="response_mean"):
            base.update(pooled)
        done += len(rows)
        if progress:
            progress(done, len(positive))
    direction = _direction(
        loaded,
        f"{organism.name} · response contrast",
        found[0],
        found[1],
        base,
        "response",
        "response_mean",
        content_hash([responses.ids, responses.starts])[:16],
        [organism],
    )
    counts = {"n": len(positive), "n_positive": len(classes[0]), "n_negative": len(classes[1])}
    return direction.derive(direction.name, direction.vectors, **counts, **record)


def shuffled_contrast(
    loaded: LoadedModel,
    direction: Direction,
    arms: Sequence[Adapter | None],
    prompts: Sequence[Chat],
    seed: int,
    pooling: Pooling = "last_prompt",
) -> Direction:
    """The control of a model or content contrast whose labels are dealt out anew; `arms` are its two classes."""
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, prompt) for prompt in prompts])
    positive, negative = (capture_all(loaded, sequences, pooling=pooling, adapter=arm) for arm in arms)
    return shuffled_label(direction, positive, negative, seed)


def hash_of(prompts: Sequence[Chat]) -> str:
    """What provenance records of a list of prompts."""
    return content_hash([prompt.as_dicts() for prompt in prompts])[:16]


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
    prompts_hash: str,
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
        "prompts_hash": prompts_hash,
        **provenance.now(),
    }
    return Direction(
        name,
        (positive.mean - negative.mean).float(),
        base.mean_norm.float(),
        base.mean.float(),
        record,
    )
