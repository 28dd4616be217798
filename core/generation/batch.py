"""The comparison from start to end without an app: load, generate, and say what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.data.chat import Chat
from core.directions import library
from core.directions.direction import Direction
from core.generation.comparison import Plan, comparison_rows, completed
from core.generation.decode import collect_batches
from core.generation.rows import BASE, Answer, Row
from core.models.loading import LoadedModel, load
from core.organisms.adapters import Adapter, load_adapter
from core.organisms.library import find_organism


def compare(
    plan: Plan,
    coefficient: float | None = None,
    unit: str = "raw",
    chats: Sequence[Chat] | None = None,
    rows_a_batch: int = 24,
    device: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Base, organism and steered answers, as plain data.

    Args:
        coefficient: overrides the plan's; in `unit` `norm` a fraction of the block's mean residual norm.
        chats: several prompts; by default the one in the plan.

    Yields:
        `{"rows": [{"label", "text", "tokens", "seconds", "reason", "mean_logprob"}], "settings": {…}}` for each
        chat in the order given.
    """
    if coefficient is not None:
        raw = plan.card.from_norm_unit(coefficient, plan.block) if unit == "norm" else coefficient
        plan = completed(plan.settings.model_copy(update={"coefficient": raw}), plan.card)
    loaded = load(plan.settings.model, device)
    groups = [comparison_rows(plan, chat) for chat in chats or [Chat.of(plan.settings.prompt)]]
    adapters, directions = gather(loaded, [row for group in groups for row in group])
    waiting: dict[int, list[Answer]] = {}
    due = 0
    for place, answers in collect_batches(loaded, groups, adapters, directions, rows_a_batch):
        waiting[place] = answers
        while due in waiting:
            yield _result(plan, waiting.pop(due))
            due += 1


def gather(loaded: LoadedModel, rows: Sequence[Row]) -> tuple[dict[str, Adapter], Mapping[str, Direction]]:
    """The adapters (by name) and directions (by reference) that the rows name."""
    adapters = {
        name: load_adapter(loaded, find_organism(loaded.id, name).folder, name)
        for name in {row.adapter for row in rows} - {BASE}
    }
    references = {item.direction for row in rows for item in row.interventions}
    references |= {row.reading.direction for row in rows if row.reading}
    return adapters, library.resolve(references)


def _named(plan: Plan) -> dict[str, Any]:
    origin = plan.card.imported_from
    return {"direction_name": plan.card.name, **({"direction_imported_from": origin} if origin else {})}


def _result(plan: Plan, answers: Sequence[Answer]) -> dict[str, Any]:
    settings = plan.settings.model_dump()
    settings["prompt"] = answers[0].row.chat.messages[-1].content
    norm = plan.card.to_norm_unit(settings["coefficient"], plan.block) if settings["mode"] == "add" else None
    return {
        "rows": [
            {
                "label": answer.row.label,
                "text": answer.text,
                "tokens": len(answer.tokens),
                "seconds": round(answer.seconds, 3),
                "reason": answer.reason,
                "mean_logprob": sum(token.logprob for token in answer.tokens) / max(1, len(answer.tokens)),
            }
            for answer in answers
        ],
        "settings": {**settings, "coefficient_norm_unit": norm, **_named(plan)},
    }
