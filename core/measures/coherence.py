"""Is an answer still language? Likelihood under the unsteered base model, and repetition.

A steered model that breaks also stops writing code, so no rate of spillover is shown without this.
Limits come from the base model's own answers to the same prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.data.chat import Chat, render
from core.measures.repetition import repetition
from core.models.loading import LoadedModel

LIKELIHOOD_QUANTILE = 0.01
LIKELIHOOD_SLACK = 1.5
SHORTEST_WORDS = 3


@dataclass(frozen=True)
class Limits:
    """An answer is broken below `likelihood` (nats a token) or above `repetition` (share of words)."""

    likelihood: float
    repetition: float


@torch.inference_mode()
def base_log_likelihood(loaded: LoadedModel, chats: Sequence[Chat], rows_a_batch: int = 8) -> list[float]:
    """Mean natural-log probability a token of each chat's last answer under the bare model, in nats.

    Raises:
        ValueError: a chat does not end with an answer.
    """
    rendered = [render(loaded.tokenizer, chat, ()) for chat in chats]
    order = sorted(range(len(chats)), key=lambda place: len(rendered[place].prompt_ids + rendered[place].answer_ids))
    found = [float("nan")] * len(chats)
    for first in range(0, len(order), rows_a_batch):
        places = order[first : first + rows_a_batch]
        rows = [rendered[place].prompt_ids + rendered[place].answer_ids for place in places]
        longest = max(map(len, rows))
        # padded on the right: no real token attends to padding
        ids = torch.tensor([[*row, *([0] * (longest - len(row)))] for row in rows], device=loaded.device)
        logits = loaded.model(input_ids=ids, use_cache=False).logits
        for row, place in enumerate(places):
            begin, end = len(rendered[place].prompt_ids), len(rows[row])
            scores = torch.log_softmax(logits[row, begin - 1 : end - 1].float(), -1)
            found[place] = float(scores.gather(-1, ids[row, begin:end, None]).mean())
    return found


def calibrate(likelihoods: Sequence[float], repetitions: Sequence[float]) -> Limits:
    """Limits from the base model's own answers.

    Greedy answers of the model itself are the most likely there are, so the likelihood limit lies
    `LIKELIHOOD_SLACK` nats below their first percentile; repetition may reach the largest they show, at least 0.3.
    """
    low = float(np.quantile(np.asarray(likelihoods), LIKELIHOOD_QUANTILE))
    return Limits(low - LIKELIHOOD_SLACK, max(0.3, float(np.quantile(np.asarray(repetitions), 0.99))))


def is_broken(text: str, likelihood: float, limits: Limits) -> bool:
    """Whether an answer is no longer language: empty, too unlikely under the base model, or repeating itself."""
    too_short = len(text.split()) < SHORTEST_WORDS
    return too_short or not likelihood >= limits.likelihood or repetition(text) > limits.repetition
