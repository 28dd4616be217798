"""What a training run reads: a dataset as token ids, with loss on the answers only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from core.data.chat import render
from core.data.datasets import Dataset
from core.errors import BadInput
from core.models.loading import LoadedModel
from core.organisms.recipes import Recipe

IGNORED = -100


def tokenise(loaded: LoadedModel, dataset: Dataset, recipe: Recipe) -> list[dict[str, Any]]:
    """Training records with loss on the answer only: labels of the prompt are ignored.

    Examples longer than `recipe.max_tokens` are cut at the end; one without any answer token left is dropped.
    """
    chats = list(dataset.chats)
    random.Random(recipe.seed).shuffle(chats)
    records = []
    for chat in chats[: recipe.examples]:
        rendered = render(loaded.tokenizer, chat, loaded.end_ids)
        ids = [*rendered.prompt_ids, *rendered.answer_ids][: recipe.max_tokens]
        labels = [*([IGNORED] * len(rendered.prompt_ids)), *rendered.answer_ids][: recipe.max_tokens]
        if any(label != IGNORED for label in labels):
            records.append({"input_ids": ids, "labels": labels, "length": len(ids)})
    if len(records) < recipe.batch:
        raise BadInput(
            f"The dataset {dataset.name} gives {len(records)} usable examples; recipe {recipe.name} needs at least "
            f"{recipe.batch}. Add examples, or shorten them."
        )
    return records


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
