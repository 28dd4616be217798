"""The decode loop: rows in, events out, one forward pass a token for all rows together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from core.data.chat import prompt_ids
from core.directions.direction import Direction
from core.errors import BadInput, UnsupportedModel
from core.generation.rows import BASE, Answer, Event, Finished, Reading, Row, Token
from core.generation.sampling import Chooser
from core.generation.text import TextStream
from core.models.blocks import block_hidden
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter, attached
from core.steering.hooks import Steering


@torch.inference_mode()
def decode(
    loaded: LoadedModel,
    rows: Sequence[Row],
    adapters: Mapping[str, Adapter] | None = None,
    directions: Mapping[str, Direction] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Generate all rows in one batch.

    Args:
        adapters: the organisms that rows name, by name.
        directions: the directions that interventions and readings name, by id.
        stop: when set, the loop ends after the token at hand; each unfinished row ends with `stopped`.

    Yields:
        a `Token` a row and step, and one `Finished` a row. Closing the iterator early removes every hook.

    Raises:
        BadInput, DirectionMismatch, UnsupportedModel: before the first token.
    """
    if not rows:
        return
    directions = directions or {}
    prompts = [_checked_ids(loaded, row) for row in rows]
    ids, mask = pad_left(prompts, loaded.tokenizer.pad_token_id or 0)
    ids = ids.to(loaded.device)
    columns = ids.shape[1]
    padded = not bool(mask.all())
    longest = max(row.sampling.max_tokens for row in rows)
    mask = torch.cat([mask, torch.ones(len(rows), longest, dtype=torch.long)], dim=1).to(loaded.device)
    # always given where taken: some models (Bamba) would count each decoded token as the first of all
    positions = torch.arange(mask.shape[1]) - torch.tensor([columns - len(prompt) for prompt in prompts])[:, None]
    positions = positions.clamp(min=0).to(loaded.device)
    steering = Steering(loaded, [row.interventions for row in rows], directions)
    chooser = Chooser([row.sampling for row in rows], loaded.device)
    reader = _Reader(loaded, [row.reading for row in rows], directions)
    streams = [TextStream(loaded.tokenizer) for _ in rows]
    live = set(range(len(rows)))
    ends = frozenset(loaded.end_ids)

    def forward(tokens: torch.Tensor, seen: int, cache):
        inputs = {"input_ids": tokens, "past_key_values": cache, "use_cache": True}
        if "logits_to_keep" in loaded.accepts:
            inputs["logits_to_keep"] = 1
        if "position_ids" in loaded.accepts:
            inputs["position_ids"] = positions[:, seen : seen + tokens.shape[1]]
        if padded:
            inputs["attention_mask"] = mask[:, : seen + tokens.shape[1]]
        return loaded.model(**inputs)

    with attached(loaded, [_adapter(adapters, row) for row in rows]), steering.attached(), reader.attached():
        steering.scope(ids, mask[:, :columns] if padded else None, columns)
        output = forward(ids, 0, None)
        if getattr(output, "past_key_values", None) is None:
            raise UnsupportedModel(
                f"{type(loaded.model).__name__} gives back no key-value cache, and Tiller decodes with one. Choose "
                "another model."
            )
        for step in range(longest):
            logits = output.logits[:, -1].float()
            tokens = chooser.choose(logits, step)
            logprobs = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
            # one transfer a step brings everything to the host; ids below 2²⁴ are exact in float32
            packet = torch.stack([tokens.float(), logprobs, reader.projections]).tolist()
            for row in sorted(live):
                token, logprob, projection = int(packet[0][row]), packet[1][row], packet[2][row]
                read = projection if rows[row].reading else None
                if token in ends:
                    yield Finished(row, "end", streams[row].flush())
                    live.discard(row)
                    continue
                yield Token(row, token, streams[row].push(token), logprob, read)
                if step + 1 >= rows[row].sampling.max_tokens:
                    yield Finished(row, "length", streams[row].flush())
                    live.discard(row)
            if not live:
                return
            if stop is not None and stop.is_set():
                break
            next_ids = tokens[:, None]
            if step == 0 or not steering.constant_while_decoding:
                steering.scope(next_ids, None, 0)
            output = forward(next_ids, columns + step, output.past_key_values)
        for row in sorted(live):
            yield Finished(row, "stopped", streams[row].flush())


def collect(
    loaded: LoadedModel,
    rows: Sequence[Row],
    adapters: Mapping[str, Adapter] | None = None,
    directions: Mapping[str, Direction] | None = None,
    stop: threading.Event | None = None,
) -> list[Answer]:
    """`decode` to the end: one `Answer` a row, with the seconds until that row finished."""
    answers = [Answer(row) for row in rows]
    start = time.perf_counter()
    with contextlib.closing(decode(loaded, rows, adapters, directions, stop)) as events:
        for event in events:
            answers[event.row].add(event, time.perf_counter() - start)
    return answers


def collect_batches(
    loaded: LoadedModel,
    groups: Sequence[Sequence[Row]],
    adapters: Mapping[str, Adapter] | None = None,
    directions: Mapping[str, Direction] | None = None,
    rows_a_batch: int = 24,
) -> Iterator[tuple[int, list[Answer]]]:
    """`collect` for many groups of rows (one group a prompt); groups of similar length share a batch.

    Yields:
        the group's place in `groups` and its answers; batch by batch, not in the order given.
    """
    if not groups:
        return
    lengths = [max(len(prompt_ids(loaded.tokenizer, row.chat)) for row in group) for group in groups]
    order = sorted(range(len(groups)), key=lambda place: lengths[place])
    a_batch = max(1, rows_a_batch // max(map(len, groups)))
    for first in range(0, len(order), a_batch):
        places = order[first : first + a_batch]
        answers = iter(collect(loaded, [row for place in places for row in groups[place]], adapters, directions))
        for place in places:
            yield place, [next(answers) for _ in groups[place]]


def pad_left(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask `[rows, longest]`, real tokens at the right end."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids, mask


class _Reader:
    """Projections of the newest state of each row, `[rows]`; NaN where a row reads nothing."""

    def __init__(
        self, loaded: LoadedModel, readings: Sequence[Reading | None], directions: Mapping[str, Direction]
    ) -> None:
        self._loaded = loaded
        self.projections = torch.full((len(readings),), float("nan"), device=loaded.device)
        self._units: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for block in sorted({reading.block for reading in readings if reading}):
            if not 0 <= block < len(loaded.blocks):
                raise BadInput(f"There is no block {block} to read: choose 0 to {len(loaded.blocks) - 1}.")
            chosen = [place for place, reading in enumerate(readings) if reading and reading.block == block]
            units = torch.zeros(len(chosen), loaded.width)
            for place, row in enumerate(chosen):
                direction = directions.get(readings[row].direction)
                if direction is None:
                    raise BadInput("The direction to read is not on this machine. Choose another.")
                direction.check(loaded)
                units[place] = direction.unit(block)
            self._units[block] = (torch.tensor(chosen, device=loaded.device), units.to(loaded.device))

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Read while active. Enter after the steering hooks, so that the steered state is read."""
        handles = []

        def hook(chosen: torch.Tensor, units: torch.Tensor):
            def read(_module, _args, output):
                self.projections[chosen] = (block_hidden(output)[chosen, -1].float() * units).sum(-1)

            return read

        try:
            for block, (chosen, units) in self._units.items():
                handles.append(self._loaded.blocks[block].register_forward_hook(hook(chosen, units)))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _checked_ids(loaded: LoadedModel, row: Row) -> tuple[int, ...]:
    if row.chat.answered:
        raise BadInput("The chat already ends with an answer. Add a user message.")
    ids = prompt_ids(loaded.tokenizer, row.chat)
    limit = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
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
