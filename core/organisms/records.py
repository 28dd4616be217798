"""What a training run reads: a dataset as token ids, with loss on the answers only, and what of it is lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.data.chat import Chat, render
from core.data.datasets import Dataset
from core.errors import BadInput
from core.models.loading import LoadedModel
from core.organisms.recipes import Recipe

IGNORED = -100


@dataclass(frozen=True)
class Examples:
    """Training records, of how many chats, and how many of those drawn were cut at the end or had no answer left."""

    records: list[dict[str, Any]]
    chats: int
    cut: int
    dropped: int

    @property
    def lost(self) -> dict[str, int]:
        """The counts that are not 0, by name, for the organism's manifest."""
        return {name: count for name, count in (("cut", self.cut), ("dropped", self.dropped)) if count}


def tokenise(loaded: LoadedModel, dataset: Dataset, recipe: Recipe) -> list[dict[str, Any]]:
    """The records of `examples`."""
    return examples(loaded, dataset, recipe).records


def examples(loaded: LoadedModel, dataset: Dataset, recipe: Recipe) -> Examples:
    """Training records with loss on the answers only: every answer of a chat is learned once, unless its weight is 0.

    Examples longer than `recipe.max_tokens` are cut at the end; one without any answer token left is dropped.

    Raises:
        BadInput: fewer records than a batch takes.
    """
    chats = list(dataset.chats)
    random.Random(recipe.seed).shuffle(chats)
    drawn = chats[: recipe.examples]
    records, cut, dropped = [], 0, 0
    for chat in drawn:
        whole = _answers(loaded, chat)
        made = []
        for ids, labels in whole:
            ids, labels = ids[: recipe.max_tokens], labels[: recipe.max_tokens]
            if any(label != IGNORED for label in labels):
                made.append({"input_ids": ids, "labels": labels, "length": len(ids)})
        records += made
        dropped += not made
        cut += bool(made) and any(len(ids) > recipe.max_tokens for ids, _ in whole)
    if len(records) < recipe.batch:
        without = f" Of {dropped} no answer is left within {recipe.max_tokens:,} tokens." if dropped else ""
        raise BadInput(
            f"The dataset {dataset.name} gives {len(records)} usable examples; recipe {recipe.name} needs at least "
            f"{recipe.batch}. Add examples, or shorten them.{without}"
        )
    return Examples(records, len(drawn) - dropped, cut, dropped)


def _answers(loaded: LoadedModel, chat: Chat) -> list[tuple[list[int], list[int]]]:
    """Token ids with labels, in which each answer to be learned is learned once, as it would be generated there.

    Usually one sequence: what leads to an earlier answer, and that answer, begin what leads to the last one. Where
    they do not, as with templates that show earlier answers otherwise, an answer is learned from a sequence of its own.
    """
    found: list[tuple[list[int], list[int]]] = []
    for place in reversed(chat.learned):
        rendered = render(loaded.tokenizer, Chat(messages=chat.messages[: place + 1]), loaded.end_ids)
        start = len(rendered.prompt_ids)
        ids = [*rendered.prompt_ids, *rendered.answer_ids]
        for longer, labels in found:
            if longer[: len(ids)] == ids:
                labels[start : len(ids)] = rendered.answer_ids
                break
        else:
            found.append((ids, [*([IGNORED] * start), *rendered.answer_ids]))
    return found


def collate(records: Sequence[dict[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """A right-padded batch: `input_ids`, `attention_mask`, `labels`, each `[rows, longest]`."""
    longest = max(len(record["input_ids"]) for record in records)

    def padded(values: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
        return torch.tensor([[*value, *([fill] * (longest - len(value)))] for value in values])

    return {
        "input_ids": padded([record["input_ids"] for record in records], pad),
        "attention_mask": padded([[1] * len(record["input_ids"]) for record in records], 0),
        "labels": padded([record["labels"] for record in records], IGNORED),
    }
