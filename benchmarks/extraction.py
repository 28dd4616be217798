"""Reading activations: against nothing read, against repeng and a plain loop, and what memory it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchmarks import models
from benchmarks.limits import weights
from benchmarks.pairs import Measurement, PeerFailed, interleaved, of_pairs
from benchmarks.peers import Worker, beside
from core.activations.capture import Sequences, capture_moments, shared_prefix
from core.data.chat import prompt_text
from core.data.prompts import suite
from core.models.forward import BATCH_TOKENS, Inputs, batches
from core.models.loading import LoadedModel

PAIRS = 40
PEERS = {
    "repeng": ("repeng", "its defaults: batches of 32, PCA of differences"),
    "transformers": ("output_hidden_states loop", "a prompt at a time, difference in means"),
}
Ids = Sequence[tuple[int, ...]]


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file. Positive and negative texts are two halves of the extraction suite."""
    texts = _texts(loaded)[: 2 * PAIRS]
    ids = [tuple(loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    some = Sequences.prompts(ids)
    work = weights(models.folder_of(loaded), loaded.dtype.itemsize).reading(distinct_tokens(ids))
    shapes = (
        f"{len(texts)} prompts of {min(map(len, ids))} to {max(map(len, ids))} tokens, all {len(loaded.blocks)} blocks"
    )
    yield interleaved(
        "capture at all blocks / bare forward",
        lambda: capture_moments(loaded, some),
        lambda: _bare(loaded, some),
        "≤ 1.05",
        n,
        note="same batches, no vocabulary; ours with mean and variance in float64",
        work=work,
        shapes=shapes,
    )
    wanted = "≥ 5" if loaded.device.type == "cuda" else "≥ 2"
    sides = {"positive": texts[:PAIRS], "negative": texts[PAIRS:]}
    with beside("ours", loaded) as worker:
        peak = above(worker, sides)
    for program, (name, how) in PEERS.items():
        with beside(program, loaded) as peer:
            memory = _memory(f"peak memory of extraction / {name}", peak, partial(above, peer, sides), shapes)
            found = interleaved(
                f"extraction / {name}",
                lambda: _ours(loaded, ids),
                partial(peer.run, "extract", **sides),
                wanted,
                n,
                "prompts/s",
                f"{how}; ours: difference in means at all blocks",
                amount=len(texts),
                work=work,
                shapes=shapes,
            )
            for one in (found, memory):
                yield replace(one, versions=peer.versions)


def above(worker: Worker, sides: dict[str, list[str]]) -> float:
    """Megabytes at the peak of an extraction above those of a process that has the model and has read a little.

    Ask before the worker does anything else: a process keeps what it once needed.
    """
    worker.ask("extract", **{side: texts[:2] for side, texts in sides.items()})
    found = worker.ask("extract", watch=True, **sides)
    return max(found["peak"] - found["before"], 1) / 1e6


def distinct_tokens(ids: Ids) -> int:
    """Tokens that must run: what all prompts begin with, once, and the rest of each."""
    shared = next(
        (place for place, column in enumerate(zip(*ids, strict=False)) if len(set(column)) > 1), min(map(len, ids))
    )
    return shared + sum(len(prompt) - shared for prompt in ids)


def _memory(name: str, ours: float, peer: Callable[[], float], shapes: str) -> Measurement:
    about: dict[str, Any] = {"wanted": "≤ 0.5", "shapes": shapes, "note": "above the loaded model, a process each"}
    try:
        return of_pairs(name, [(ours, peer())], "MB", **about)
    except PeerFailed as failure:
        return Measurement(name, None, None, ours, None, "MB", n=1, error=str(failure), **about)


def _texts(loaded: LoadedModel) -> list[str]:
    return [prompt_text(loaded.tokenizer, chat.as_dicts()) for chat in suite("extraction")]


def _ours(loaded: LoadedModel, ids: Ids) -> torch.Tensor:
    positive = capture_moments(loaded, Sequences.prompts(ids[:PAIRS]))
    return positive.mean - capture_moments(loaded, Sequences.prompts(ids[PAIRS:])).mean


@torch.inference_mode()
def _bare(loaded: LoadedModel, sequences: Sequences) -> None:
    """The forward passes of `capture` through the decoder alone, with nothing read."""
    decoder = loaded.model.get_decoder()
    prefix = shared_prefix(loaded, sequences, "last_prompt", None, len(loaded.blocks) - 1)
    rest = [ids[prefix.length :] for ids in sequences.ids]
    for rows in batches(rest, BATCH_TOKENS.of(loaded)):
        inputs = Inputs.right(loaded, [rest[row] for row in rows], prefix.length)
        decoder(**inputs.arguments(loaded, **prefix.cached(rows)))
