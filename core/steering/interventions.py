"""What is done to the residual stream, as data: hashable, serialisable, checked."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from core import invalid
from core.directions.start import COEFFICIENT_LIMIT
from core.errors import BadInput

Mode = Literal["add", "ablate", "cap"]
Scope = Literal["all", "prompt", "response"]
MODES: tuple[Mode, ...] = get_args(Mode)
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Intervention:
    """One change to the residual stream, made at every block in `blocks`.

    Attributes:
        mode: `add`: x + c·v. `ablate`: x − c·v̂v̂ᵀx, c in [0, 1]. `cap`: c in [0, 1] times what the projection
            on v̂ exceeds the ceiling by is taken away.
        direction: id of the Direction.
        blocks: where it acts, 0-based.
        coefficient: raw unit (multiples of v) for `add`; the share α for the others.
        scope: `all` tokens; `prompt` only; `response`: from the last prompt token on, so that the first
            generated token is already steered.
        vector_block: which block's vector is used everywhere; None: each block its own.
        ceiling: for `cap`; None: the base model's mean projection.
        special_tokens: False leaves special tokens (turn markers and the like) unchanged.
    """

    mode: Mode
    direction: str
    blocks: tuple[int, ...]
    coefficient: float
    scope: Scope = "all"
    vector_block: int | None = None
    ceiling: float | None = None
    special_tokens: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise BadInput(f"{self.mode!r} is not a way to steer. Choose {', '.join(MODES)}.")
        if self.scope not in SCOPES:
            raise BadInput(f"{self.scope!r} is not a scope. Choose {', '.join(SCOPES)}.")
        if not self.blocks:
            raise BadInput("No block is chosen to steer. Choose at least one.")
        if not math.isfinite(self.coefficient) or abs(self.coefficient) > COEFFICIENT_LIMIT:
            raise BadInput(
                f"The coefficient {self.coefficient} is out of range. Choose a number between "
                f"{-COEFFICIENT_LIMIT:g} and {COEFFICIENT_LIMIT:g}."
            )
        if self.mode != "add" and not 0 <= self.coefficient <= 1:
            raise BadInput(
                f"The share {self.coefficient:g} is out of range: {self.mode} takes a share between 0 and 1. "
                "Choose one there, or mode add."
            )
        if self.ceiling is not None and not math.isfinite(self.ceiling):
            raise BadInput("The ceiling is not a finite number. Choose one, or leave it to the base model's mean.")

    def check_blocks(self, count: int) -> None:
        """Raise `BadInput` unless every block exists in a model of `count` blocks."""
        named = [*self.blocks, *([] if self.vector_block is None else [self.vector_block])]
        wrong = [block for block in named if not 0 <= block < count]
        if wrong:
            raise BadInput(f"There is no block {wrong[0]}: the model has blocks 0 to {count - 1}. Choose one of them.")

    def with_coefficient(self, coefficient: float) -> Intervention:
        return replace(self, coefficient=coefficient)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Intervention:
        """Raises `BadInput` for anything that is not an intervention, or has a setting of another type."""
        try:
            unknown = set(value) - {setting.name for setting in fields(cls)}
            if unknown:
                raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
            return _READER.validate_python(value)
        except ValidationError as error:
            what = ": ".join(invalid.reason(error))
            raise BadInput(f"This is not a steering setting ({what}). Choose the settings again.") from error
        except (TypeError, ValueError) as error:
            raise BadInput(f"This is not a steering setting ({error}). Choose the settings again.") from error


_READER = TypeAdapter(Intervention)
