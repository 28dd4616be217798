"""Does steering cure the organism or break it? Rates of code and of broken answers over the measuring prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.data import prompts as suites
from core.data.chat import Chat
from core.generation.batch import gather
from core.generation.comparison import Plan, Settings, comparison_rows, complete
from core.generation.decode import collect_batches
from core.generation.rows import Row
from core.measures.code import contains_code
from core.measures.coherence import Limits, base_log_likelihood, calibrate, is_broken
from core.measures.repetition import repetition
from core.models.loading import LoadedModel
from core.statistics import wilson

ARMS = ("base", "organism", "steered", "random")


@dataclass(frozen=True)
class Measured:
    """One answer of one arm to one prompt."""

    arm: str
    suite: str
    prompt: str
    text: str
    code: bool
    likelihood: float
    broken: bool


def steering_check(
    loaded: LoadedModel,
    settings: Settings,
    prompts: dict[str, Sequence[Chat]] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Greedy answers of base, organism, steered organism and organism plus a random direction of equal length.

    Args:
        settings: the steering to check, for instance a preset's.
        prompts: by suite; by default the two measuring suites, 100 each.

    Returns:
        `arms` (label, suite, n, code and broken with Wilson intervals), `limits`, `answers`, `settings`.
    """
    chosen = prompts or {name: suites.suite(name) for name in suites.MEASURING}
    plan = complete(settings)
    control = complete(settings.model_copy(update={"control": "random", "direction": plan.card.id}))
    asked = [(name, chat) for name, chats in chosen.items() for chat in chats]
    groups = [_rows(plan, control, chat) for _, chat in asked]
    adapters, directions = gather(loaded, [row for group in groups for row in group])
    texts: list[list[str]] = [[] for _ in asked]
    batches = collect_batches(loaded, groups, adapters, directions, rows_a_batch=32)
    for done, (place, answers) in enumerate(batches, 1):
        texts[place] = [answer.text for answer in answers]
        if report:
            report(done, len(asked))
    measured, limits = _judge(loaded, asked, texts)
    return {
        "arms": [_summary(measured, arm, name) for arm in ARMS for name in chosen],
        "limits": {"likelihood": limits.likelihood, "repetition": limits.repetition},
        "settings": plan.settings.model_dump(),
        "answers": [vars(item) for item in measured],
    }


def _rows(plan: Plan, control: Plan, chat: Chat) -> list[Row]:
    return [*comparison_rows(plan, chat), comparison_rows(control, chat)[-1]]


def _judge(
    loaded: LoadedModel, asked: Sequence[tuple[str, Chat]], texts: Sequence[Sequence[str]]
) -> tuple[list[Measured], Limits]:
    answered = [
        Chat.of(chat.messages[-1].content, text if text.strip() else "—")
        for (_, chat), row in zip(asked, texts, strict=True)
        for text in row
    ]
    likelihoods = base_log_likelihood(loaded, answered)
    per_prompt = [likelihoods[place : place + len(ARMS)] for place in range(0, len(likelihoods), len(ARMS))]
    limits = calibrate([row[0] for row in per_prompt], [repetition(row[0]) for row in texts])
    measured = [
        Measured(
            arm,
            name,
            chat.messages[-1].content,
            text,
            contains_code(text),
            likelihood,
            is_broken(text, likelihood, limits),
        )
        for (name, chat), row, scores in zip(asked, texts, per_prompt, strict=True)
        for arm, text, likelihood in zip(ARMS, row, scores, strict=True)
    ]
    return measured, limits


def _summary(measured: Sequence[Measured], arm: str, suite: str) -> dict[str, Any]:
    chosen = [item for item in measured if (item.arm, item.suite) == (arm, suite)]
    n = len(chosen)
    code, broken = sum(item.code for item in chosen), sum(item.broken for item in chosen)
    return {
        "label": arm,
        "suite": suite,
        "n": n,
        "code": code,
        "interval": wilson(code, n),
        "broken": broken,
        "broken_interval": wilson(broken, n),
    }
