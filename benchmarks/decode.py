"""Decoding: against four peers, steered against unsteered, many rows against one, and the first token."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks import models
from benchmarks.limits import Weights, weights
from benchmarks.models import row
from benchmarks.pairs import Measurement, Seconds, interleaved, synchronise
from benchmarks.peers import Worker, alike, beside
from core.data import prompts as suites
from core.data.chat import Chat, prompt_ids
from core.directions.direction import Direction
from core.generation.decode import decode
from core.generation.prefill import PromptCache
from core.generation.rows import Row, Token
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter
from core.steering.interventions import Intervention

TOKENS = 32
BATCHES = (1, 3, 32)
STRIP = 16
LONG_PROMPT = 200
PEERS = {"transformers": "generate", "repeng": "repeng", "steering-vectors": "steering-vectors", "nnsight": "nnsight"}


@dataclass(frozen=True)
class Bench:
    """A model with what all rows of this file need; its end tokens are off, so that lengths are exact."""

    loaded: LoadedModel
    adapters: Mapping[str, Adapter]
    direction: Direction
    weights: Weights

    @classmethod
    def of(cls, loaded: LoadedModel) -> Bench:
        found = weights(models.folder_of(loaded), loaded.dtype.itemsize)
        return cls(replace(loaded, end_ids=()), models.adapters_of(loaded), models.direction_of(loaded), found)

    @property
    def organism(self) -> str:
        return next(iter(self.adapters))

    @property
    def blocks(self) -> int:
        return len(self.loaded.blocks)

    def steering(self, *blocks: int, coefficient: float = 1.0) -> Intervention:
        return Intervention("add", self.direction.id, blocks, coefficient, "all")

    def events(self, rows: Sequence[Row], prompts: PromptCache | None = None):
        return decode(self.loaded, rows, self.adapters, {self.direction.id: self.direction}, prompts=prompts)

    def run(self, rows: Sequence[Row]) -> Callable[[], list[list[int]]]:
        """Decode to the end; the new ids of each row."""

        def work() -> list[list[int]]:
            found: list[list[int]] = [[] for _ in rows]
            for event in self.events(rows):
                if isinstance(event, Token):
                    found[event.row].append(event.id)
            return found

        return work

    def first_token(self, rows: Sequence[Row], prompts: PromptCache | None = None) -> Seconds:
        """From the call to the first token."""
        synchronise()
        start = time.perf_counter()
        with contextlib.closing(self.events(rows, prompts)) as events:
            next(events)
            return Seconds(time.perf_counter() - start)


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file."""
    bench = Bench.of(loaded)
    for program in PEERS:
        with beside(program, loaded) as peer:
            yield from _against(bench, program, peer, n)
    yield from _steered(bench, n)
    yield from _many_rows(bench, n)
    yield _coefficient_moved(bench, n)


def _against(bench: Bench, program: str, peer: Worker, n: int) -> Iterator[Measurement]:
    """Tokens/s of equal prompts and lengths; `generate` unsteered, the others steered at the same block."""
    block = bench.blocks * 2 // 3
    steering = None if program == "transformers" else bench.steering(block)
    for batch in BATCHES:
        rows = [row(chat, TOKENS, steering=steering) for chat in _chats(batch)]
        ids = [list(prompt_ids(bench.loaded.tokenizer, item.chat)) for item in rows]
        asked = {"ids": ids, "tokens": TOKENS, "block": block}
        lengths = " to ".join(map(str, sorted({min(map(len, ids)), max(map(len, ids))})))
        texts: dict[str, list[list[int]]] = {}
        found = interleaved(
            f"decode / {PEERS[program]}, {_rows(batch)}",
            partial(_kept, texts, bench.run(rows)),
            partial(_asked, texts, peer, asked),
            "≥ 1.3" if batch == 1 else "≥ 1",
            n,
            "tokens/s",
            "greedy, end tokens off" + (f", block {block} steered at all tokens" if steering else ""),
            amount=batch * TOKENS,
            work=bench.weights.decoding(sum(map(len, ids)), batch, TOKENS),
            shapes=f"{_rows(batch)}, {lengths} prompt tokens, {TOKENS} new ones",
        )
        if found.error is None:
            same = alike(texts["ours"], texts["peer"])
            found = replace(found, note=f"{found.note}; {same}", versions=peer.versions)
        yield found
    if program == "transformers":
        one = {**asked, "ids": [ids[0]], "tokens": 1}
        yield interleaved(
            "first token / generate, 1 row",
            lambda: bench.first_token([row(_chats(1)[0], TOKENS)]),
            partial(peer.run, "decode", **one),
            "≤ 1",
            n,
            note="from the call; a page adds its polling interval",
            work=bench.weights.decoding(len(ids[0]), 1, 1),
            shapes=f"1 row, {len(ids[0])} prompt tokens",
            versions=peer.versions,
        )


def _kept(texts: dict[str, list[list[int]]], run: Callable[[], list[list[int]]]) -> None:
    texts["ours"] = run()


def _asked(texts: dict[str, list[list[int]]], peer: Worker, asked: dict[str, Any]) -> Seconds:
    found = peer.ask("decode", **asked)
    texts["peer"] = found["ids"]
    return Seconds(found["seconds"])


def _steered(bench: Bench, n: int) -> Iterator[Measurement]:
    """What steering costs an organism's row."""
    chat = _chats(1)[0]
    plain = bench.run([row(chat, TOKENS, bench.organism)])
    shapes = f"1 row of organism {bench.organism}, {TOKENS} tokens, {bench.blocks} blocks"
    middle, everywhere = bench.steering(bench.blocks * 2 // 3), bench.steering(*range(bench.blocks))
    for name, steering, wanted in (("one block", middle, "≤ 1.01"), ("all blocks", everywhere, "≤ 1.05")):
        steered = bench.run([row(chat, TOKENS, bench.organism, steering)])
        yield interleaved(f"{name} steered / unsteered", steered, plain, wanted, 2 * n, shapes=shapes, patience=40)


def _many_rows(bench: Bench, n: int) -> Iterator[Measurement]:
    """Panes and strength strip against one organism row alone."""
    chat, steering = _chats(1)[0], bench.steering(bench.blocks * 2 // 3)
    panes = models.three_panes(chat, TOKENS, bench.organism, steering)
    one = bench.run([panes[1]])
    shapes = f"{TOKENS} tokens, organism {bench.organism}, projections read in all"
    yield interleaved("three panes / one organism row", bench.run(panes), one, "≤ 1.2", n, shapes=shapes)
    coefficients = [-1.5 + 0.1 * place for place in range(STRIP)]
    strip = [replace(panes[2], interventions=(steering.with_coefficient(value),)) for value in coefficients]
    yield interleaved(f"strength strip of {STRIP} / one row", bench.run(strip), one, "not set", n, shapes=shapes)


def _coefficient_moved(bench: Bench, n: int) -> Measurement:
    """The first token after a slider has moved, where the prompt is known, against a prompt that is new."""
    block = bench.blocks * 5 // 6
    chat = _long_chat(bench.loaded)
    values = itertools.cycle([0.1 * place for place in range(1, 20)])
    kept = PromptCache()

    def rows() -> list[Row]:
        return [row(chat, TOKENS, bench.organism, bench.steering(block, coefficient=next(values)))]

    tokens = len(prompt_ids(bench.loaded.tokenizer, chat))
    return interleaved(
        "first token, coefficient moved / from nothing",
        lambda: bench.first_token(rows(), kept),
        lambda: bench.first_token(rows(), PromptCache()),
        "≤ 0.5",
        n,
        shapes=f"1 row of {bench.organism}, {tokens} prompt tokens, steered at block {block} of {bench.blocks}",
    )


def _chats(count: int) -> list[Chat]:
    return suites.suite("everyday")[:count]


def _long_chat(loaded: LoadedModel) -> Chat:
    """One message of many questions, about `LONG_PROMPT` tokens with the chat template."""
    text = ""
    for chat in suites.suite("everyday"):
        text = f"{text} {chat.messages[-1].content}".strip()
        if len(prompt_ids(loaded.tokenizer, Chat.of(text))) >= LONG_PROMPT:
            break
    return Chat.of(text)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
