"""Rows: what to generate, as data; and what came out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.data.chat import Chat
from core.errors import BadInput
from core.steering.interventions import Intervention

MAX_TOKENS = 4096
BASE = "__base__"

Reason = Literal["end", "length", "stopped"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. Temperature 0 is greedy; `top_k` 0 and `top_p` 1 are off.

    The same seed gives a row the same text whatever else is in its batch, up to rounding.
    """

    max_tokens: int = 80
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        checks = [
            (1 <= self.max_tokens <= MAX_TOKENS, f"max_tokens should lie between 1 and {MAX_TOKENS}"),
            (math.isfinite(self.temperature) and 0 <= self.temperature <= 5, "temperature should lie between 0 and 5"),
            (math.isfinite(self.top_p) and 0 < self.top_p <= 1, "top_p should lie above 0 and at most at 1"),
            (0 <= self.top_k < 2**31, "top_k should lie between 0 (off) and 2,147,483,647"),
            (0 <= self.seed < 2**63, "the seed should be a whole number from 0 on"),
        ]
        for fine, message in checks:
            if not fine:
                raise BadInput(f"Sampling: {message}. Choose another value.")


@dataclass(frozen=True)
class Reading:
    """Read each state's projection on the unit vector of a direction, at a block, after steering."""

    direction: str
    block: int


@dataclass(frozen=True)
class Row:
    """One answer to generate: a chat that ends with the user, with its own adapter, steering and sampling."""

    chat: Chat
    label: str = ""
    adapter: str = BASE
    interventions: tuple[Intervention, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    reading: Reading | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "chat": self.chat.as_dicts()}


@dataclass(frozen=True)
class Token:
    """One generated token.

    `logprob` is its natural-log probability under the row's own (steered) model at temperature 1. `projection`
    belongs to the state that chose the token: the one at the position before it, first of all the last prompt token.
    """

    row: int
    id: int
    text: str
    logprob: float
    projection: float | None


@dataclass(frozen=True)
class Finished:
    """A row is complete: it ended its answer, reached its length, or was stopped.

    `text` is what the tokeniser had held back of an unfinished character.
    """

    row: int
    reason: Reason
    text: str = ""


Event = Token | Finished


@dataclass
class Answer:
    """What a row has produced so far; `reason` is None until it is complete, `seconds` counts until then."""

    row: Row
    tokens: list[Token] = field(default_factory=list)
    tail: str = ""
    reason: Reason | None = None
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens) + self.tail

    def add(self, event: Event, seconds: float) -> None:
        """Take in an event of this row, `seconds` after the start."""
        if isinstance(event, Token):
            self.tokens.append(event)
        else:
            self.tail, self.reason, self.seconds = event.text, event.reason, seconds
