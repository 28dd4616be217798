"""Sweeps: what steering, controls and coherence cost in a study, and whether a row waits for a longer one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks import models
from benchmarks.limits import weights
from benchmarks.models import row
from benchmarks.pairs import Measurement, interleaved, seconds
from core.data import prompts as suites
from core.data.chat import Chat, prompt_ids
from core.directions.direction import Direction
from core.generation.decode import collect_batches
from core.models.forward import ROWS_A_BATCH
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter
from core.steering.interventions import Intervention
from core.studies.conditions import Condition, Conditions
from core.studies.spillover.settings import COEFFICIENTS

TOKENS, PROMPTS, UNEQUAL = 32, 32, 64
SHORTEST, LONGEST = 8, 56
FIXED = (8, 16, 32)


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file; end tokens are switched off, so that lengths are what is asked for."""
    loaded = replace(loaded, end_ids=())
    adapter = next(iter(models.adapters_of(loaded).values()))
    chats = suites.suite("everyday")[:PROMPTS]
    pairs = max(3, n // 3)
    yield from _dose_response(loaded, adapter, chats, pairs)
    yield _unequal(loaded, adapter, suites.suite("everyday")[:UNEQUAL], pairs)


def _dose_response(loaded: LoadedModel, adapter: Adapter, chats: list[Chat], pairs: int) -> Iterator[Measurement]:
    """One condition after the other, each of another direction and dose, as in a study."""
    directions = [factor * models.direction_of(loaded) for factor in (1.0, -1.0, 0.5, 0.25)]
    known = {direction.id: direction for direction in directions}
    doses = iter([(name, dose) for dose in COEFFICIENTS for name in known] * 1000)
    block = len(loaded.blocks) * 2 // 3
    sampling = row(chats[0], TOKENS).sampling
    batch = _rows_a_batch(loaded)

    conditions = Conditions(loaded, chats, sampling, known, batch)

    def steered(score: bool) -> None:
        name, dose = next(doses)
        condition = Condition(adapter, (Intervention("add", name, (block,), dose, "all"),))
        conditions.generate(condition) if score else conditions.write(condition)

    def unsteered() -> None:
        _collect(loaded, adapter, chats, [TOKENS] * len(chats), known, batch)

    shapes = f"{len(chats)} prompts, {TOKENS} tokens, at most {batch} rows a batch, one condition a run"
    for name, score, wanted in (("dose-response", False, "≥ 0.9"), ("dose-response with coherence", True, "≥ 0.7")):
        yield interleaved(
            f"{name} / unsteered rows", partial(steered, score), unsteered, wanted, pairs, "rows/s", amount=len(chats),
            shapes=shapes, note="each answer is also read by the base model" if score else "",
        )  # fmt: skip


def _unequal(loaded: LoadedModel, adapter: Adapter, chats: list[Chat], pairs: int) -> Measurement:
    """Answers of 8 to 56 tokens against equal ones of the same mean, in the batch size that is fastest for those.

    Lengths are told as each row's limit, in an order that has nothing to do with the prompts' lengths.
    """
    step = (LONGEST - SHORTEST) / (len(chats) - 1)
    lengths = [round(SHORTEST + step * (37 * place % len(chats))) for place in range(len(chats))]
    mean = round(sum(lengths) / len(lengths))
    prompt_tokens = sum(len(prompt_ids(loaded.tokenizer, chat)) for chat in chats)

    def fixed(batch: int) -> None:
        _collect(loaded, adapter, chats, [mean] * len(chats), {}, batch)

    fixed(FIXED[-1])
    best = min(FIXED, key=lambda batch: seconds(lambda: fixed(batch)))
    return interleaved(
        "sweep, unequal answers / best fixed batch",
        lambda: _collect(loaded, adapter, chats, lengths, {}, best),
        lambda: fixed(best),
        "≥ 0.9",
        pairs,
        "tokens/s",
        f"batches of {', '.join(map(str, FIXED))} rows tried; {best}, the best of equal answers, for both",
        amount=sum(lengths),
        work=weights(models.folder_of(loaded), loaded.dtype.itemsize).decoding(prompt_tokens, len(chats), mean),
        shapes=f"{len(chats)} prompts, answers of {min(lengths)} to {max(lengths)} tokens, {mean} in the mean",
    )


def _collect(
    loaded: LoadedModel,
    adapter: Adapter,
    chats: list[Chat],
    lengths: list[int],
    directions: dict[str, Direction],
    batch: int,
) -> None:
    groups = [[row(chat, tokens, adapter.name)] for chat, tokens in zip(chats, lengths, strict=True)]
    for _ in collect_batches(loaded, groups, {adapter.name: adapter}, directions, batch):
        pass


def _rows_a_batch(loaded: LoadedModel) -> int:
    return ROWS_A_BATCH.of(loaded)
