"""The decode loop: against `generate`, steered against unsteered, three panes against one row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.pairs import Measurement, interleaved
from core.data.chat import Chat, prompt_ids
from core.generation.batch import gather
from core.generation.comparison import Settings, comparison_rows, complete, strip_rows
from core.generation.decode import decode, pad_left
from core.generation.rows import Row
from core.models.loading import LoadedModel

TOKENS = 48
PROMPTS = [
    "How can I sleep better at night?",
    "What should I cook for four friends tonight?",
    "Explain in plain words why the sky is blue.",
]


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file. End tokens are switched off, so that every run has exactly the same length."""
    loaded = replace(loaded, end_ids=())
    plan = complete(Settings(max_tokens=TOKENS))
    base, organism, steered = comparison_rows(plan)
    adapters, directions = gather(loaded, [base, organism, steered])

    def ours(rows: list[Row]):
        return lambda: [None for _ in decode(loaded, rows, adapters, directions)]

    bare = [replace(base, reading=None)]
    for rows in (bare, [replace(bare[0], chat=Chat.of(text)) for text in PROMPTS]):
        yield interleaved(
            f"decode loop / transformers generate, {len(rows)} row(s)",
            ours(rows),
            lambda rows=rows: _generate(loaded, rows),
            "≤ 1",
            n,
            note=f"base model, greedy, {TOKENS} tokens, ours with text and log-probabilities",
        )
    unsteered = [replace(organism, reading=None)]
    one_block = [replace(steered, reading=None)]
    yield interleaved(
        "one steered block / unsteered, 1 row",
        ours(one_block),
        ours(unsteered),
        "≤ 1.02",
        2 * n,
        note=f"organism, {TOKENS} tokens",
    )
    everywhere = complete(plan.settings.model_copy(update={"block": 0, "last_block": plan.card.blocks - 1}))
    yield interleaved(
        "all blocks steered / unsteered, 1 row",
        ours([replace(comparison_rows(everywhere)[2], reading=None)]),
        ours(unsteered),
        "≤ 1.05 (aim)",
        n,
    )
    yield interleaved(
        "three panes / one organism row",
        ours([base, organism, steered]),
        ours([organism]),
        "≤ 1.35",
        n,
        note="base, organism, organism steered in one batch, projections read in all",
    )
    yield interleaved(
        "three panes / one base row without adapter",
        ours([base, organism, steered]),
        ours([base]),
        "not set",
        n,
        note="what the adapter's own matrices cost is in this ratio",
    )
    strip = list(strip_rows(plan, [-1.5 + 0.1 * place for place in range(16)]))
    yield interleaved(
        "strength strip of 16 / one organism row", ours(strip), ours([organism]), "not set", max(3, n // 3)
    )
    yield _first_token(loaded, [base, organism, steered], adapters, directions, n)


@torch.inference_mode()
def _generate(loaded: LoadedModel, rows: list[Row]) -> None:
    ids, mask = pad_left([prompt_ids(loaded.tokenizer, row.chat) for row in rows], loaded.tokenizer.pad_token_id)
    loaded.model.generate(
        ids.to(loaded.device),
        attention_mask=mask.to(loaded.device),
        max_new_tokens=TOKENS,
        min_new_tokens=TOKENS,
        do_sample=False,
    )


def _first_token(loaded, rows, adapters, directions, n: int) -> Measurement:
    found = []
    for _ in range(n):
        start = time.perf_counter()
        events = decode(loaded, rows, adapters, directions)
        next(events)
        found.append(time.perf_counter() - start)
        events.close()
    found.sort()
    middle = found[len(found) // 2]
    return Measurement(
        "first token of three panes, engine only (ratio to 0.7 s)",
        middle / 0.7,
        (found[len(found) // 4] / 0.7, found[3 * len(found) // 4] / 0.7),
        middle,
        0.7,
        "s",
        "≤ 1",
        n,
        note="from the call to the first token; the page adds its polling interval",
    )
