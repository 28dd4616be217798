"""What we do in a process of our own: for memory, and to see how time grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks import models
from core.activations.capture import Sequences, capture_moments
from core.data.chat import Chat
from core.generation.decode import decode
from core.models.catalog import resolve
from core.models.loading import load


class Ours:
    """A loaded model as the app has it."""

    def __init__(self, folder: str, name: str, device: str, dtype: str) -> None:
        self.device = device
        found = replace(resolve(folder), id=name) if name.startswith("random-") else resolve(name)
        self.loaded = replace(load(found, device, getattr(torch, dtype)), end_ids=())

    def versions(self) -> dict[str, str]:
        return {}

    def prepare(self, do: str, asked: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """The work, ready to be timed."""
        return {"extract": self.extract, "answer": self.answer}[do](asked)

    def extract(self, asked: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """Difference in means at all blocks, as `extract` of the peers."""
        sides = [
            Sequences.prompts(
                [self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"] for text in asked[side]]
            )
            for side in ("positive", "negative")
        ]

        def work() -> dict[str, Any]:
            positive, negative = (capture_moments(self.loaded, side).mean for side in sides)
            return {"norm": float((positive - negative).norm())}

        return work

    def answer(self, asked: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """One batch: the base model and, if asked, two organisms, `tokens` tokens each."""

        def work() -> dict[str, Any]:
            adapters = models.adapters_of(self.loaded) if asked["organisms"] else {}
            chat = Chat.of(asked["prompt"])
            rows = [models.row(chat, asked["tokens"], name) for name in (models.BASE, *adapters)]
            return {"events": sum(1 for _ in decode(self.loaded, rows, adapters))}

        return work
