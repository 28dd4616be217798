"""Carry out interventions while a model runs: one forward hook per steered block.

All that can change between rows (coefficients, vectors, shares) and between steps (which tokens
are in scope) lies in tensors. A hook never branches on a value and never waits for the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from core.directions.direction import Direction
from core.errors import BadInput
from core.models.blocks import block_hidden, replace_hidden
from core.models.forward import hooked
from core.models.loading import LoadedModel
from core.steering.interventions import Intervention, Mode, Scope


@dataclass
class _Step:
    """One mode at one block for all rows: rows that do not take part have strength 0.

    `vector` `[rows, 1, width]` (v times the coefficient for `add`, v̂ otherwise), `share` and `ceiling`
    `[rows, 1, 1]`. `mask` `[rows, tokens, 1]` is set for each forward pass, and so is `term` = mask · vector.
    """

    mode: Mode
    vector: torch.Tensor
    share: torch.Tensor
    ceiling: torch.Tensor
    scopes: list[Scope | None]
    skip_special: list[bool]
    mask: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    term: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    def apply(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.mode == "add":
            return hidden + self.term
        projection = (hidden.float() * self.vector).sum(-1, keepdim=True)
        if self.mode == "cap":
            projection = (projection - self.ceiling).clamp(min=0)
        return hidden - (self.mask * projection * self.vector).to(hidden.dtype)


class Steering:
    """The interventions of every row of a batch, ready to be attached to a model.

    Args:
        rows: for each row its interventions, applied in the order listed.
        directions: the directions that the interventions name, by id.

    Call `scope(...)` before each forward pass to say which tokens it sees.

    Raises:
        BadInput: a block that does not exist, or a direction that is not given.
        DirectionMismatch: a direction of another model.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        rows: Sequence[Sequence[Intervention]],
        directions: Mapping[str, Direction],
    ) -> None:
        self._loaded = loaded
        self._steps: dict[int, list[_Step]] = {}
        self._rows = len(rows)
        self._special = torch.tensor(
            sorted(getattr(loaded.tokenizer, "all_special_ids", [])), device=loaded.device, dtype=torch.long
        )
        check_interventions(loaded, rows, directions)
        places = max(map(len, rows), default=0)
        for block in sorted({block for row in rows for item in row for block in item.blocks}):
            steps = []
            for place in range(places):
                here = [row[place] if place < len(row) and block in row[place].blocks else None for row in rows]
                for mode in sorted({item.mode for item in here if item}):
                    chosen = [item if item and item.mode == mode else None for item in here]
                    steps.append(self._step(mode, chosen, block, directions))
            self._steps[block] = steps

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(self._steps)

    def _step(
        self, mode: Mode, chosen: list[Intervention | None], block: int, directions: Mapping[str, Direction]
    ) -> _Step:
        width, device = self._loaded.width, self._loaded.device
        vector = torch.zeros(len(chosen), 1, width)
        share = torch.zeros(len(chosen), 1, 1)
        ceiling = torch.zeros(len(chosen), 1, 1)
        for row, item in enumerate(chosen):
            if item is None:
                continue
            direction = _find(directions, item)
            source = block if item.vector_block is None else item.vector_block
            if mode == "add":
                vector[row, 0] = item.coefficient * direction.vectors[source]
                continue
            vector[row, 0] = direction.unit(source)
            share[row] = item.coefficient
            if mode == "cap":
                base = float(direction.base_means[block] @ direction.unit(source))
                ceiling[row] = base if item.ceiling is None else item.ceiling
        return _Step(
            mode,
            vector.to(device),
            share.to(device),
            ceiling.to(device),
            [item.scope if item else None for item in chosen],
            [item is not None and not item.special_tokens for item in chosen],
        )

    def scope(self, ids: torch.Tensor, attention_mask: torch.Tensor | None, prompt_columns: int) -> None:
        """Say what the next forward pass sees.

        Args:
            ids: its token ids `[rows, tokens]`.
            attention_mask: 1 for real tokens, `[rows, tokens]`; None: all are real.
            prompt_columns: how many of these columns belong to the (left-padded) prompt; 0 while decoding.
        """
        tokens = ids.shape[1]
        column = torch.arange(tokens, device=ids.device)
        everywhere = torch.ones(tokens, device=ids.device)
        in_scope = {
            None: torch.zeros(tokens, device=ids.device),
            "all": everywhere,
            "prompt": (column < prompt_columns).float(),
            "response": (column >= prompt_columns - 1).float(),
        }
        for step in (step for steps in self._steps.values() for step in steps):
            mask = torch.stack([in_scope[scope] for scope in step.scopes])
            if attention_mask is not None:
                mask = mask * attention_mask
            if any(step.skip_special):
                skipping = torch.tensor(step.skip_special, device=ids.device)[:, None]
                mask = mask * ~(skipping & torch.isin(ids, self._special))
            mask = mask.unsqueeze(-1)
            step.mask = mask * step.share
            step.term = (mask * step.vector).to(self._loaded.dtype) if step.mode == "add" else step.vector

    @property
    def constant_while_decoding(self) -> bool:
        """Whether every decoded token is in scope alike, so that one `scope` call serves all decode steps."""
        return not any(any(step.skip_special) for steps in self._steps.values() for step in steps)

    @contextlib.contextmanager
    def attached(self) -> Iterator[Steering]:
        """Steer every forward pass while active; every hook is gone afterwards, whatever happened."""
        with hooked((self._loaded.blocks[block], _hook(steps)) for block, steps in self._steps.items()):
            yield self


def check_interventions(
    loaded: LoadedModel, rows: Sequence[Sequence[Intervention]], directions: Mapping[str, Direction]
) -> None:
    """Raise what `Steering` raises for these rows, without making anything for them."""
    for intervention in {item for row in rows for item in row}:
        intervention.check_blocks(len(loaded.blocks))
        _find(directions, intervention).check(loaded)


def _hook(steps: list[_Step]):
    def steer(_module, _args, output):
        hidden = block_hidden(output)
        for step in steps:
            hidden = step.apply(hidden)
        return replace_hidden(output, hidden)

    return steer


def _find(directions: Mapping[str, Direction], intervention: Intervention) -> Direction:
    direction = directions.get(intervention.direction)
    if direction is None:
        raise BadInput(
            f"The direction {intervention.direction} is not on this machine. Choose another, or extract it with "
            "`python -m core extract`."
        )
    return direction
