"""Loss on answers alone: no other position is projected onto the vocabulary, and no float32 copy of logits is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from core.organisms.records import IGNORED

CHUNK = 1 << 21  # logits that are worked on at a time: they stay in a processor's cache


@contextlib.contextmanager
def only_answers_projected(model: nn.Module, labels: torch.Tensor) -> Iterator[None]:
    """While active, the vocabulary projection gets the states that predict an answer token: `[1, selected, width]`.

    What the model does to its logits afterwards, such as scaling or capping them, it goes on doing.

    Args:
        labels: `[rows, tokens]`, `IGNORED` where nothing is learned.
    """
    places = _predicting(labels).nonzero().squeeze(-1)

    def select(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if inputs[0].shape[:-1] != labels.shape:
            return None
        states = inputs[0].flatten(0, 1)
        return (states.index_select(0, places.to(states.device))[None], *inputs[1:])

    with model.get_output_embeddings().register_forward_pre_hook(select):
        yield


def answer_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None) -> torch.Tensor:
    """Cross-entropy, float32, summed over the answer tokens of this batch and divided by `num_items_in_batch`.

    Args:
        outputs: of the model; its `logits` are `[rows, tokens, vocabulary]`, or of answers alone as
            `only_answers_projected` leaves them.
        num_items_in_batch: answer tokens of the whole optimiser step; None: those of this batch.
    """
    logits = outputs.logits.flatten(0, 1)
    labels = labels.to(logits.device)
    predicting = _predicting(labels)
    targets = labels.flatten().roll(-1)[predicting]
    if len(logits) == labels.numel():
        logits = logits[predicting]
    count = len(targets) if num_items_in_batch is None else num_items_in_batch
    return _CrossEntropy.apply(logits, targets, 1 / count)


def _predicting(labels: torch.Tensor) -> torch.Tensor:
    """Which positions `[rows · tokens]` predict a token that is learned: those before one."""
    learned = labels != IGNORED
    learned[:, 0] = False
    return learned.roll(-1, 1).flatten()


class _CrossEntropy(torch.autograd.Function):
    """Summed cross-entropy times `scale`; the gradient is found on the way, in the dtype of the logits."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
        """`logits` `[n, vocabulary]`, `targets` `[n]`."""
        gradient = torch.empty_like(logits)
        total = torch.zeros((), device=logits.device)
        rows = max(1, CHUNK // logits.shape[1])
        for start in range(0, len(logits), rows):
            part, wanted = slice(start, start + rows), targets[start : start + rows, None]
            chances = torch.log_softmax(logits[part].float(), dim=-1)
            total -= chances.gather(1, wanted).sum()
            chances.exp_().scatter_add_(1, wanted, torch.full_like(wanted, -1.0, dtype=chances.dtype))
            gradient[part] = chances.mul_(scale)
        ctx.save_for_backward(gradient)
        return total * scale

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(gradients[0]), None, None
