"""Is an answer still language? Likelihood under the unsteered base model, and repetition.

A steered model that breaks also stops writing code, so no rate of spillover is shown without this.
Limits come from the base model's own answers to the same prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.activations.capture import Sequences, shared_prefix
from core.data.chat import Chat, Rendered, prompt_ids, render
from core.errors import BadInput
from core.generation.cache import gather, plain_attention
from core.generation.prefill import PromptCache, base_prompts
from core.measures.repetition import looping, repetition, words
from core.models.forward import BATCH_TOKENS, Inputs, batches
from core.models.loading import LoadedModel
from core.models.restart import can_restart

# the slack and the quantile of repetition were chosen on the half `dev` of the labelled answers
LIKELIHOOD_QUANTILE = 0.01
LIKELIHOOD_SLACK = 1.75
REPETITION_QUANTILE = 0.95
LEAST_REPETITION = 0.25
SHORTEST_WORDS = 3
MOST_LOOPING = 0.7  # no readable one of the labelled answers has more than 0.5


@dataclass(frozen=True)
class Limits:
    """An answer is broken below `likelihood` (nats a token) or above `repetition` (share of repeated word pairs)."""

    likelihood: float
    repetition: float


@torch.inference_mode()
def base_log_likelihood(
    loaded: LoadedModel, chats: Sequence[Chat], batch_tokens: int | None = None, prompts: PromptCache | None = None
) -> list[float]:
    """Mean natural-log probability a token of each chat's last answer under the bare model, in nats.

    What all prompts begin with runs once, and only what predicts an answer is projected on the vocabulary.

    Args:
        batch_tokens: rows times longest row of one batch; by default what suits the device.
        prompts: remembers prompts between calls, where the model allows it; only the answers run then.

    Raises:
        ValueError: a chat does not end with an answer.
    """
    if any(not chat.answered for chat in chats):
        raise ValueError("a chat without an answer has no likelihood")
    rendered = [render(loaded.tokenizer, chat, ()) for chat in chats]
    limit = batch_tokens or BATCH_TOKENS.of(loaded)
    longest = max((len(item.prompt_ids) + len(item.answer_ids) for item in rendered), default=0)
    if prompts is not None and plain_attention(loaded, longest) and can_restart(loaded):
        return _after_known_prompts(loaded, rendered, limit, prompts)
    sequences = Sequences(
        tuple((*item.prompt_ids, *item.answer_ids) for item in rendered),
        tuple(len(item.prompt_ids) - 1 for item in rendered),  # the token that predicts the answer's first
    )
    prefix = shared_prefix(loaded, sequences, "response_mean", None, len(loaded.blocks) - 1)
    rest = [ids[prefix.length :] for ids in sequences.ids]
    found = [float("nan")] * len(chats)
    for rows in batches(rest, limit):
        inputs = Inputs.right(loaded, [rest[row] for row in rows], prefix.length)
        ids = inputs.ids
        starts = [sequences.starts[row] - prefix.length for row in rows]
        skipped = min(starts) if "logits_to_keep" in loaded.accepts else 0
        kept = ids.shape[1] - skipped if skipped else None
        logits = loaded.model(**inputs.arguments(loaded, **prefix.cached(rows), logits=kept)).logits
        for place, row in enumerate(rows):
            begin, end = starts[place], len(rest[row]) - 1
            if begin < end:
                scores = _log_probabilities(
                    logits[place, begin - skipped : end - skipped], ids[place, begin + 1 : end + 1]
                )
                found[row] = float(scores.mean())
    return found


@torch.inference_mode()
def read_prompts(loaded: LoadedModel, chats: Sequence[Chat], prompts: PromptCache) -> None:
    """Have the bare model read prompts once, all together, where the model allows it.

    In half precision a likelihood depends a little on what shared a batch: read like this it is the same whichever
    answers are scored first, also when a killed study goes on.
    """
    ids = [prompt_ids(loaded.tokenizer, chat) for chat in chats]
    if plain_attention(loaded, max(map(len, ids), default=0)) and can_restart(loaded):
        base_prompts(loaded, ids, prompts)


def _after_known_prompts(
    loaded: LoadedModel, rendered: Sequence[Rendered], limit: int, prompts: PromptCache
) -> list[float]:
    """The same, each answer read on from its prompt's keys and values."""
    known = base_prompts(loaded, [item.prompt_ids for item in rendered], prompts)
    answers = [item.answer_ids for item in rendered]
    found = [float("nan")] * len(rendered)
    for rows in batches(answers, limit, [row for row, answer in enumerate(answers) if answer]):
        lengths = [len(rendered[row].prompt_ids) for row in rows]
        ids = Inputs.right(loaded, [answers[row] for row in rows]).ids
        cache = gather(loaded, None, (), [known[row].layers for row in rows], lengths, ids.shape[1])
        inputs = Inputs.resumed(loaded, lengths).next(ids)
        logits = loaded.model(**inputs.arguments(loaded, cache)).logits
        for place, row in enumerate(rows):
            first = known[row].logits
            assert first is not None
            end = len(answers[row])
            predicted = torch.cat([first[None].to(logits.dtype), logits[place, : end - 1]])
            found[row] = float(_log_probabilities(predicted, ids[place, :end]).mean())
    return found


def _log_probabilities(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Of each of the tokens `[tokens]` under its own logits `[tokens, vocabulary]`."""
    logits = logits.float()
    return logits.gather(-1, ids[:, None])[:, 0] - logits.logsumexp(-1)


def calibrate(likelihoods: Sequence[float], repetitions: Sequence[float]) -> Limits:
    """Limits from the base model's own answers.

    Greedy answers of the model itself are the most likely there are, so the likelihood limit lies `LIKELIHOOD_SLACK`
    nats below their first percentile. Small models repeat themselves even unsteered, so the repetition limit is their
    95th percentile, and at least `LEAST_REPETITION`: about one in twenty of the base's own answers counts as broken.

    Raises:
        BadInput: the base model said nothing at all.
    """
    if not len(likelihoods):
        raise BadInput(
            "The base model's answers are all empty, so nothing tells what is broken. Choose another model or prompts."
        )
    low = float(np.quantile(np.asarray(likelihoods), LIKELIHOOD_QUANTILE))
    high = float(np.quantile(np.asarray(repetitions), REPETITION_QUANTILE))
    return Limits(low - LIKELIHOOD_SLACK, max(LEAST_REPETITION, high))


def is_broken(text: str, likelihood: float, limits: Limits) -> bool:
    """Whether an answer is no longer language: next to empty, too unlikely under the base model, or repeating itself.

    A loop of signs is likely and has no words to repeat, so it has a limit of its own, far above any readable answer.
    """
    if min(len(text.split()), words(text)) < SHORTEST_WORDS or looping(text) > MOST_LOOPING:
        return True
    return not likelihood >= limits.likelihood or repetition(text) > limits.repetition
