"""Answers with labels made by reading, and how well the code detector does on them.

Most answers are a small model's: unchanged, finetuned, steered and broken arms on prompts that ask for prose; sixty in
each half were written for the purpose, with code and prose of kinds that this model does not write. Every answer was
read and labelled before the detector was run on it. The half `dev` was labelled by the detector's author and served to
write it; the half `test` has other prompts, was labelled blind by another reader, and was opened when the detector was
finished. At that first look precision was 136 of 136 and recall 136 of 138; one general defect that it brought to light
(lines of assembly were passed over) was then mended, and no label was changed. So `test` is not untouched any more.

The label `readable` serves to check the measure of coherence. It is softer: two readers would differ on one answer in
twenty or so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from core import paths
from core.errors import DamagedArtifact
from core.measures.code import DETECTOR_VERSION, contains_code
from core.models.catalog import DEFAULT_ID
from core.statistics import wilson

ANSWERS = paths.ASSETS / "data" / "labelled_answers.jsonl"
Split = Literal["dev", "test"]


@dataclass(frozen=True)
class LabelledAnswer:
    """One answer and what a reader said of it.

    `code`: it holds text in a programming, query, shell, markup, stylesheet or data language on a line of its own, cut
    off, wrong or nonsensical as it may be; mathematics, tables, lists and prose that mentions code are not code.
    `readable`: language or code that can be followed. `borderline`: a second reader might well label `code` otherwise.
    `likelihood`: mean natural-log probability a token under the base model that all answers come from (SmolLM2-135M,
    bfloat16); None where the answer was written by hand or is empty.
    """

    id: str
    split: Split
    arm: str
    suite: str
    prompt: str
    text: str
    code: bool
    readable: bool
    borderline: bool
    likelihood: float | None = None


def labelled_answers(split: Split | None = None) -> list[LabelledAnswer]:
    """The labelled answers of a half, or all.

    Raises:
        DamagedArtifact: names the line that cannot be read.
    """
    return [answer for answer in _all_answers() if split in (None, answer.split)]


@lru_cache(maxsize=1)
def detector_quality() -> dict[str, Any]:
    """Precision and recall of `contains_code`, measured now on the half it was not developed on.

    Returns `precision` and `recall` with 95 % Wilson intervals, `n` and `positives` (answers, answers with code), the
    ids of `false_positives` and `false_negatives`, `split`, the same over `all` answers, and the detector's `version`.
    """
    answers = labelled_answers("test")
    everything = labelled_answers()
    true, false_positives, false_negatives = _compare(answers)
    return {
        "precision": _share(true, len(false_positives)),
        "precision_interval": wilson(true, true + len(false_positives)),
        "recall": _share(true, len(false_negatives)),
        "recall_interval": wilson(true, true + len(false_negatives)),
        "n": len(answers),
        "positives": true + len(false_negatives),
        "false_positives": false_positives,
        "false_negatives": false_negatives,
        "split": "test",
        "all": _quality_of_all(everything),
        "version": DETECTOR_VERSION,
    }


def coherence_quality(model: str, likelihood: float, repetition: float) -> dict[str, Any]:
    """How well the limits tell broken answers of a model from readable ones, on the half not used to choose them.

    The labelled answers have the embedded model's likelihoods: of another model's limits they say nothing, and nothing
    is returned.

    Args:
        likelihood, repetition: the limits (`core.measures.coherence.Limits`).

    Returns:
        `sensitivity` (unreadable answers called broken) and `specificity` (readable ones not called so) with 95 %
        Wilson intervals, `n`, `unreadable`, `split`.
    """
    if model != DEFAULT_ID:
        return {}
    from core.measures.coherence import Limits, is_broken

    limits = Limits(likelihood, repetition)
    answers = [answer for answer in labelled_answers("test") if answer.likelihood is not None]
    called = {answer.id: is_broken(answer.text, answer.likelihood or 0.0, limits) for answer in answers}
    unreadable = [answer.id for answer in answers if not answer.readable]
    readable = [answer.id for answer in answers if answer.readable]
    caught, spared = sum(called[name] for name in unreadable), sum(not called[name] for name in readable)
    return {
        "sensitivity": _share(caught, len(unreadable) - caught),
        "sensitivity_interval": wilson(caught, len(unreadable)),
        "specificity": _share(spared, len(readable) - spared),
        "specificity_interval": wilson(spared, len(readable)),
        "n": len(answers),
        "unreadable": len(unreadable),
        "split": "test",
    }


def _quality_of_all(answers: list[LabelledAnswer]) -> dict[str, float | int]:
    true, false_positives, false_negatives = _compare(answers)
    return {
        "precision": _share(true, len(false_positives)),
        "recall": _share(true, len(false_negatives)),
        "n": len(answers),
    }


def _compare(answers: list[LabelledAnswer]) -> tuple[int, list[str], list[str]]:
    """How many answers with code are found, and the ids of false alarms and of missed ones."""
    found = {answer.id: contains_code(answer.text) for answer in answers}
    return (
        sum(answer.code and found[answer.id] for answer in answers),
        [answer.id for answer in answers if found[answer.id] and not answer.code],
        [answer.id for answer in answers if answer.code and not found[answer.id]],
    )


def _share(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else float("nan")


@lru_cache(maxsize=1)
def _all_answers() -> tuple[LabelledAnswer, ...]:
    answers = []
    for number, line in enumerate(ANSWERS.read_text(encoding="utf-8").split("\n"), 1):
        if not line:
            continue
        try:
            answer = LabelledAnswer(**json.loads(line))
            if answer.split not in ("dev", "test") or not all(
                isinstance(label, bool) for label in (answer.code, answer.readable, answer.borderline)
            ):
                raise ValueError("a label or the half is missing")
        except (TypeError, ValueError) as error:
            raise DamagedArtifact(
                f"{paths.shown(ANSWERS)}, line {number}: {error}. Restore the file from git."
            ) from error
        answers.append(answer)
    return tuple(answers)
