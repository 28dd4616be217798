"""Projections of the newest state of each row while it is generated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch

from core.directions.direction import Direction
from core.errors import BadInput
from core.generation.rows import Reading
from core.models.blocks import block_hidden
from core.models.forward import hooked
from core.models.loading import LoadedModel


class Reader:
    """Fills `projections` `[rows]` at each forward pass; NaN where a row reads nothing.

    Raises:
        BadInput, DirectionMismatch: a reading does not fit the model.
    """

    def __init__(
        self, loaded: LoadedModel, readings: Sequence[Reading | None], directions: Mapping[str, Direction]
    ) -> None:
        self._loaded = loaded
        self.projections = torch.full((len(readings),), float("nan"), device=loaded.device)
        self._units: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for block in sorted({reading.block for reading in readings if reading}):
            chosen = [place for place, reading in enumerate(readings) if reading and reading.block == block]
            units = torch.stack([unit(loaded, readings[row], directions) for row in chosen])
            self._units[block] = (torch.tensor(chosen, device=loaded.device), units)

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Read while active. Enter after the steering hooks, so that the steered state is read."""

        def hook(chosen: torch.Tensor, units: torch.Tensor):
            def read(_module, _args, output):
                self.projections[chosen] = (block_hidden(output)[chosen, -1].float() * units).sum(-1)

            return read

        with hooked((self._loaded.blocks[block], hook(*known)) for block, known in self._units.items()):
            yield


def unit(loaded: LoadedModel, reading: Reading | None, directions: Mapping[str, Direction]) -> torch.Tensor:
    """The unit vector `[width]` that a reading projects on."""
    assert reading is not None
    if not 0 <= reading.block < len(loaded.blocks):
        raise BadInput(f"There is no block {reading.block} to read: choose 0 to {len(loaded.blocks) - 1}.")
    direction = directions.get(reading.direction)
    if direction is None:
        raise BadInput("The direction to read is not on this machine. Choose another.")
    direction.check(loaded)
    return direction.unit(reading.block).to(loaded.device)
