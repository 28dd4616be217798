"""The rows that are decoded together: their past, their steering, and how others take their places."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from core.directions.direction import Direction
from core.errors import UnsupportedModel
from core.generation.cache import KeysValues, gather, make_room, plain_attention
from core.generation.prefill import PromptCache, Prompted, prefill
from core.generation.reading import Reader, unit
from core.models.forward import Inputs
from core.models.loading import LoadedModel
from core.models.restart import can_restart
from core.organisms.adapters import attached
from core.steering.hooks import Steering, check_interventions


class Cohort:
    """Rows decoded together. Their hooks are attached from `compose` on until the next change, or the end.

    Attributes:
        rows: which of the rows asked for are in it, in the order of its batch.
        changes: whether rows can leave and come in while others go on.
    """

    changes = False

    def __init__(
        self, loaded: LoadedModel, asked: Sequence[Prompted], directions: Mapping[str, Direction], prompts: PromptCache
    ) -> None:
        self._loaded, self._asked, self._directions, self._prompts = loaded, asked, directions, prompts
        self._hooks = contextlib.ExitStack()
        self._cache: Any = None
        self.rows: list[int] = []
        check_interventions(loaded, [item.row.interventions for item in asked], directions)
        for reading in {item.row.reading for item in asked} - {None}:
            unit(loaded, reading, directions)

    def __enter__(self) -> Cohort:
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def admit(self, new: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the prompts of rows that come in: logits `[rows, vocabulary]` and projections `[rows]`."""
        self._hooks.close()
        self.rows = list(new)
        self._inputs = Inputs.left(self._loaded, [self._asked[row].ids for row in new])
        self._steer(new)
        self._attach()
        self._steering.scope(self._inputs.ids, self._inputs.mask, self._inputs.ids.shape[1])
        output = self._run(None)
        if self._cache is None:
            raise UnsupportedModel(
                f"{type(self._loaded.model).__name__} gives back no key-value cache, and Tiller decodes with one. "
                "Choose another model."
            )
        make_room(self._cache, max(self._asked[row].row.sampling.max_tokens for row in new))
        return output, self._reader.projections

    def compose(self, _rows: Sequence[int], tokens: Mapping[int, int]) -> None:
        """Go on with `rows`, each with its newest token. This kind of cohort stays as it was admitted."""
        self._scoped = False
        self.feed(torch.tensor([tokens[row] for row in self.rows], device=self._loaded.device))

    def feed(self, tokens: torch.Tensor) -> None:
        """Take the rows' newest tokens `[rows]`."""
        self._tokens = tokens

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """One more forward pass: logits `[rows, vocabulary]` and projections `[rows]`."""
        self._inputs = self._inputs.next(self._tokens[:, None])
        if not self._scoped or not self._steering.constant_while_decoding:
            self._steering.scope(self._inputs.ids, None, 0)
            self._scoped = True
        return self._run(self._cache), self._reader.projections

    def _run(self, cache: Any) -> torch.Tensor:
        output = self._loaded.model(**self._inputs.arguments(self._loaded, cache, logits=1))
        self._cache = getattr(output, "past_key_values", None)
        return output.logits[:, -1]

    def _steer(self, rows: Sequence[int]) -> None:
        chosen = [self._asked[row] for row in rows]
        self._steering = Steering(self._loaded, [item.row.interventions for item in chosen], self._directions)
        self._reader = Reader(self._loaded, [item.row.reading for item in chosen], self._directions)

    def _attach(self) -> None:
        self._hooks.enter_context(attached(self._loaded, [self._asked[row].adapter for row in self.rows]))
        self._hooks.enter_context(self._steering.attached())
        self._hooks.enter_context(self._reader.attached())


class ChangingCohort(Cohort):
    """A cohort whose rows come and go: for models whose past is nothing but keys and values."""

    changes = True
    _new: dict[int, list[KeysValues]]

    def admit(self, new: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        self._hooks.close()
        found = prefill(self._loaded, [self._asked[row] for row in new], self._directions, self._prompts)
        self._new = dict(zip(new, found.layers, strict=True))
        return found.logits, found.projections

    def compose(self, rows: Sequence[int], tokens: Mapping[int, int]) -> None:
        self._hooks.close()
        if rows:
            self._gather(rows)
            self._steer(rows)
            self._attach()
            super().compose(rows, tokens)
        self._new = {}

    def _gather(self, rows: Sequence[int]) -> None:
        places = {row: place for place, row in enumerate(self.rows)}
        kept = [places[row] for row in rows if row not in self._new]
        lengths = [len(self._asked[row].ids) for row in rows]
        if kept:
            assert self._inputs.positions is not None
            before = self._inputs.positions[:, -1].tolist()
            lengths[: len(kept)] = [int(before[place]) + 1 for place in kept]
        # no row has more to come than all it may
        more = max(
            self._asked[row].row.sampling.max_tokens - length + len(self._asked[row].ids)
            for row, length in zip(rows, lengths, strict=True)
        )
        new = [self._new[row] for row in rows[len(kept) :]]
        self._cache = gather(self._loaded, self._cache, kept, new, lengths, more)
        self._inputs = Inputs.resumed(self._loaded, lengths)
        self.rows = list(rows)


def cohort_of(
    loaded: LoadedModel,
    asked: Sequence[Prompted],
    directions: Mapping[str, Direction],
    prompts: PromptCache | None = None,
) -> Cohort:
    """The kind of cohort that the model allows.

    Raises:
        BadInput, DirectionMismatch: an intervention or a reading does not fit.
    """
    prompts = (prompts or PromptCache(every_block=False)).of(loaded)
    longest = max(len(item.ids) + item.row.sampling.max_tokens for item in asked)
    kind = ChangingCohort if plain_attention(loaded, longest) and can_restart(loaded) else Cohort
    return kind(loaded, asked, directions, prompts)
