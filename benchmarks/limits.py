"""What the machine could do at best: how fast it reads memory and multiplies matrices, and what a run needs of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from core.models.blocks import decoder_blocks
from core.models.loading import auto_class, read_config

BUFFER_BYTES = 512 << 20
TRIES = 5
SIDES = {"cuda": (4096, 8192), "other": (1024, 2048)}


@dataclass(frozen=True)
class Passes:
    """Forward passes of one kind: how many bytes of weights each must read, and how many operations it takes."""

    bytes: float
    operations: float
    times: int = 1


@dataclass(frozen=True)
class Weights:
    """How many weights a pass multiplies with: in all blocks, and in the projection to the vocabulary."""

    blocks: int
    head: int
    item_bytes: int = 2

    @property
    def bytes(self) -> int:
        """What a decode step must read."""
        return (self.blocks + self.head) * self.item_bytes

    def decoding(self, prompt_tokens: int, rows: int, steps: int) -> tuple[Passes, ...]:
        """One pass over the prompts (`prompt_tokens` of all rows together), then `steps` − 1 over one token a row.

        Two operations a weight and token; of the prompts, only the last tokens are projected to the vocabulary.
        """
        prompts = Passes(self.bytes, 2.0 * (self.blocks * prompt_tokens + self.head * rows))
        return prompts, Passes(self.bytes, 2.0 * (self.blocks + self.head) * rows, steps - 1)

    def reading(self, tokens: int) -> tuple[Passes, ...]:
        """One pass over `tokens` tokens through all blocks, without vocabulary: two operations a weight and token."""
        return (Passes(self.blocks * self.item_bytes, 2.0 * self.blocks * tokens),)


def weights(folder: Path, item_bytes: int = 2) -> Weights:
    """Counted on a model without memory, so that neither packing nor quantisation of a loaded one matters."""
    config = read_config(folder)
    with torch.device("meta"):
        model = auto_class(config).from_config(config, trust_remote_code=False)
    blocks = sum(parameter.numel() for parameter in decoder_blocks(model).parameters())
    return Weights(blocks, model.get_output_embeddings().weight.numel(), item_bytes)


class Limits:
    """The best that was seen of this machine in this run. `bandwidth` in bytes/s, `rate` in operations/s."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.bandwidth = self.rate = 0.0
        self._device, self._dtype = device, dtype

    def measure(self) -> None:
        """Read a large buffer and multiply large matrices, several times, with all threads; keeps the best."""
        buffer = torch.ones(BUFFER_BYTES // 4, device=self._device)
        halves = buffer.view(torch.bfloat16)
        for read in (buffer.sum, buffer.amax, halves.sum):
            self.bandwidth = max(self.bandwidth, BUFFER_BYTES / self._fastest(read))
        for side in SIDES.get(self._device.type, SIDES["other"]):
            square = torch.randn(side, side, device=self._device).to(self._dtype)
            self.rate = max(self.rate, 2.0 * side**3 / self._fastest(partial(torch.matmul, square, square)))

    def seconds(self, work: tuple[Passes, ...]) -> float:
        """The least time that `work` can take: of each pass, reading or multiplying, whichever is longer."""
        return sum(
            one.times * max(one.bytes / self.bandwidth, one.operations / self.rate) for one in work if one.times > 0
        )

    def _fastest(self, run: Callable[[], object]) -> float:
        found = []
        for _ in range(TRIES):
            start = time.perf_counter()
            run()
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            found.append(time.perf_counter() - start)
        return min(found)
