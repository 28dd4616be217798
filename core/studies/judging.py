"""Answers of a study as a table: what each holds, and whether it is still language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core.data.chat import Chat
from core.measures.code import find_code
from core.measures.coherence import Limits, calibrate, is_broken
from core.measures.repetition import repetition
from core.studies.conditions import KeptAnswer


def limits_of(base: Sequence[KeptAnswer]) -> Limits:
    """From where on an answer is broken, by the base model's own answers to the same prompts."""
    return calibrate(
        [answer.likelihood for answer in base if answer.text.strip()], [repetition(answer.text) for answer in base]
    )


def judge(
    prompts: Sequence[tuple[str, Chat]], answers: Sequence[KeptAnswer], limits: Limits, labels: Mapping[str, Any]
) -> pd.DataFrame:
    """One row an answer: the labels, the prompt and its tier, the text, and what was found in it.

    Args:
        prompts: each with its tier, in the order of the answers.
        labels: columns that are the same in every row.
    """
    evidence = [find_code(answer.text) for answer in answers]
    return pd.DataFrame(
        {
            **{name: [value] * len(answers) for name, value in labels.items()},
            "suite": [suite for suite, _ in prompts],
            "place": range(len(answers)),
            "prompt": [chat.messages[-1].content for _, chat in prompts],
            "text": [answer.text for answer in answers],
            "code": [bool(spans) for spans in evidence],
            "evidence": [json.dumps([[span.start, span.end, span.rule] for span in spans]) for spans in evidence],
            "likelihood": [answer.likelihood for answer in answers],
            "repetition": [repetition(answer.text) for answer in answers],
            "broken": [is_broken(answer.text, answer.likelihood, limits) for answer in answers],
            "tokens": [answer.tokens for answer in answers],
            "reason": [answer.reason for answer in answers],
        }
    )
