"""The decode loop: rows in, events out, one forward pass a token for all rows together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import torch

from core.data.chat import prompt_ids
from core.directions.direction import Direction
from core.errors import BadInput
from core.generation.cohort import Cohort, cohort_of
from core.generation.prefill import PromptCache, Prompted
from core.generation.rows import BASE, Answer, Event, Finished, Row, Token
from core.generation.sampling import Chooser
from core.generation.text import TextStream
from core.models.forward import position_limit
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter

# rows that ended leave, and waiting ones come in, once this share of the places is free: it costs about a step
CHANGE_SHARE = 1 / 8


@torch.inference_mode()
def decode(
    loaded: LoadedModel,
    rows: Sequence[Row],
    adapters: Mapping[str, Adapter] | None = None,
    directions: Mapping[str, Direction] | None = None,
    stop: threading.Event | None = None,
    prompts: PromptCache | None = None,
    slots: int | None = None,
) -> Iterator[Event]:
    """Generate rows together.

    Args:
        adapters: the organisms that rows name, by name.
        directions: the directions that interventions and readings name, by id.
        stop: when set, the loop ends after the token at hand; each unfinished row ends with `stopped`.
        prompts: remembers prompts from one call to the next.
        slots: how many rows are generated at a time, by default all; waiting ones take the places of those that end.

    Yields:
        a `Token` a row and step, and one `Finished` a row. Closing the iterator early removes every hook.

    Raises:
        BadInput, DirectionMismatch, UnsupportedModel: before the first token.
    """
    if not rows:
        return
    asked = [Prompted(row, _checked_ids(loaded, row), _adapter(adapters, row)) for row in rows]
    writer = _Writer(loaded, rows)
    slots = slots or len(rows)
    waiting = deque(range(len(rows)))
    with cohort_of(loaded, asked, directions or {}, prompts) as cohort:
        while not (stop is not None and stop.is_set() and writer.begun):
            live = [row for row in cohort.rows if row not in writer.ended]
            free = slots - len(live)
            if waiting and (not live or (cohort.changes and free >= slots * CHANGE_SHARE)):
                new = [waiting.popleft() for _ in range(min(free, len(waiting)))]
                yield from writer.write(new, *cohort.admit(new))
                live += [row for row in new if row not in writer.ended]
                cohort.compose(live, writer.last)
                continue
            if not live:
                break
            if cohort.changes and len(cohort.rows) - len(live) > len(cohort.rows) * CHANGE_SHARE:
                cohort.compose(live, writer.last)
            yield from _step(cohort, writer)
        yield from writer.stop(range(len(rows)))


def _step(cohort: Cohort, writer: _Writer) -> Iterator[Event]:
    logits, projections = cohort.step()
    yield from writer.write(cohort.rows, logits, projections)
    cohort.feed(writer.tokens)


class _Writer:
    """Chooses tokens and says what came of them.

    Attributes:
        ended: rows that are complete.
        last: the newest token of each row.
        tokens: the newest tokens, `[rows]`, of the rows written last, on their device.
    """

    def __init__(self, loaded: LoadedModel, rows: Sequence[Row]) -> None:
        self._loaded, self._rows = loaded, rows
        self._streams = [TextStream(loaded.tokenizer) for _ in rows]
        self._steps = [0] * len(rows)
        self._ends = frozenset(loaded.end_ids)
        self._chooser: tuple[tuple[int, ...], Chooser] | None = None
        self.ended: set[int] = set()
        self.last: dict[int, int] = {}
        self.tokens = torch.zeros(0, dtype=torch.long)

    @property
    def begun(self) -> bool:
        return bool(self.last)

    def write(self, places: Sequence[int], logits: torch.Tensor, projections: torch.Tensor) -> Iterator[Event]:
        """The next token of each of the rows `places`, from `logits` `[rows, vocabulary]`; ended ones say nothing."""
        logits = logits.float()
        tokens = self.tokens = self._choose(tuple(places), logits)
        logprobs = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
        # one transfer a step brings everything to the host; ids below 2²⁴ are exact in float32
        packet = torch.stack([tokens.float(), logprobs, projections]).tolist()
        for place, token, logprob, projection in zip(places, *packet, strict=True):
            self.last[place] = int(token)
            if place not in self.ended:
                yield from self._say(place, int(token), logprob, projection)

    def stop(self, places: Sequence[int]) -> Iterator[Event]:
        """End the rows that have not ended."""
        for place in places:
            if place not in self.ended:
                self.ended.add(place)
                yield Finished(place, "stopped", self._streams[place].flush())

    def _say(self, place: int, token: int, logprob: float, projection: float) -> Iterator[Event]:
        row, stream = self._rows[place], self._streams[place]
        if token in self._ends:
            self.ended.add(place)
            yield Finished(place, "end", stream.flush())
            return
        self._steps[place] += 1
        yield Token(place, token, stream.push(token), logprob, projection if row.reading else None)
        if self._steps[place] >= row.sampling.max_tokens:
            self.ended.add(place)
            yield Finished(place, "length", stream.flush())

    def _choose(self, places: tuple[int, ...], logits: torch.Tensor) -> torch.Tensor:
        if self._chooser is None or self._chooser[0] != places:
            self._chooser = (places, Chooser([self._rows[place].sampling for place in places], logits.device))
        return self._chooser[1].choose(logits, [self._steps[place] for place in places])


def collect(
    loaded: LoadedModel,
    rows: Sequence[Row],
    adapters: Mapping[str, Adapter] | None = None,
    directions: Mapping[str, Direction] | None = None,
    stop: threading.Event | None = None,
    prompts: PromptCache | None = None,
) -> list[Answer]:
    """`decode` to the end: one `Answer` a row, with the seconds until that row finished."""
    answers = [Answer(row) for row in rows]
    start = time.perf_counter()
    with contextlib.closing(decode(loaded, rows, adapters, directions, stop, prompts)) as events:
        for event in events:
            answers[event.row].add(event, time.perf_counter() - start)
    return answers


def collect_batches(
    loaded: LoadedModel,
    groups: Sequence[Sequence[Row]],
    adapters: Mapping[str, Adapter] | None = None,
    directions: Mapping[str, Direction] | None = None,
    rows_a_batch: int = 24,
    prompts: PromptCache | None = None,
) -> Iterator[tuple[int, list[Answer]]]:
    """`collect` for many groups of rows (one group a prompt), `rows_a_batch` rows at a time.

    A row that ends gives its place to the next one, so that none waits for a longer one.

    Yields:
        the group's place in `groups` and its answers, as groups are complete; not in the order given. An answer's
        seconds count from the call on.
    """
    if not groups:
        return
    lengths = [max(len(prompt_ids(loaded.tokenizer, row.chat)) for row in group) for group in groups]
    order = sorted(range(len(groups)), key=lambda place: lengths[place])
    rows = [row for place in order for row in groups[place]]
    group_of = [place for place in order for _ in groups[place]]
    answers = [Answer(row) for row in rows]
    written: dict[int, list[Answer]] = {place: [] for place in order}
    for place, answer in zip(group_of, answers, strict=True):
        written[place].append(answer)
    start = time.perf_counter()
    events = decode(loaded, rows, adapters, directions, prompts=prompts, slots=max(rows_a_batch, max(map(len, groups))))
    with contextlib.closing(events):
        for event in events:
            answers[event.row].add(event, time.perf_counter() - start)
            place = group_of[event.row]
            if isinstance(event, Finished) and all(answer.reason for answer in written[place]):
                yield place, written.pop(place)


def _checked_ids(loaded: LoadedModel, row: Row) -> tuple[int, ...]:
    if row.chat.answered:
        raise BadInput("The chat already ends with an answer. Add a user message.")
    ids = prompt_ids(loaded.tokenizer, row.chat)
    limit = position_limit(loaded)
    if limit and len(ids) + row.sampling.max_tokens > limit:
        raise BadInput(
            f"The prompt has {len(ids)} tokens and {row.sampling.max_tokens} more are asked for; {loaded.id} holds "
            f"{limit}. Shorten the prompt or the answer."
        )
    return ids


def _adapter(adapters: Mapping[str, Adapter] | None, row: Row) -> Adapter | None:
    if row.adapter == BASE:
        return None
    found = (adapters or {}).get(row.adapter)
    if found is None:
        raise BadInput(f"The organism {row.adapter} is not loaded. Choose another, or train it.")
    return found
