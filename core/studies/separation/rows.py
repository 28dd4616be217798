"""The held-out rows of a saved separation study: where each lies at a block, and which lie on the wrong side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import DamagedArtifact
from core.measures.separation import wrong_side
from core.results import Result

Summary = dict[str, Any]

# positive and negative class of each contrast, as arms
CLASSES = {"model": ("organism", "base"), "content": ("organism", "secure"), "response": ("code", "prose")}


@dataclass(frozen=True, eq=False)
class Cloud:
    """Rows of one arm: projections `x` (and `y`, on a second direction) `[rows]`, and the prompt of each.

    `answers` has a text for each row where rows are answers, and is empty where they are prompts.
    """

    arm: str
    name: str
    x: np.ndarray
    suites: tuple[str, ...]
    prompts: tuple[str, ...]
    answers: tuple[str, ...] = ()
    y: np.ndarray | None = field(default=None)

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Miss:
    """A held-out row on the wrong side; `distance` beyond the threshold, in units of the projection."""

    arm: str
    name: str
    distance: float
    suite: str
    prompt: str
    answer: str | None


def classes(summary: Summary) -> tuple[str, str]:
    """The positive and the negative arm."""
    return CLASSES[summary["contrast"]]


def arm_name(summary: Summary, arm: str) -> str:
    """What a figure calls an arm."""
    organism = summary["organism"]
    names = {
        "base": "base",
        "organism": organism,
        "secure": summary.get("secure_organism") or "secure",
        "code": f"{organism}, answers with code",
        "prose": f"{organism}, answers in prose",
    }
    return names.get(arm, arm)


def suites(summary: Summary) -> list[str]:
    """The suites that the held-out prompts come from."""
    return list(dict.fromkeys(prompt["suite"] for prompt in summary["prompts"]))


def negative_mean(summary: Summary, block: int) -> float:
    """Where the negative class's training mean lies on the contrast's own direction.

    The threshold is the midpoint of the two training means, and they are `norm` apart.
    """
    row = summary["blocks"][block]
    return row["threshold"] - row["norm"] / 2


def clouds(result: Result, x: str, block: int, y: str | None = None, suite: str | None = None) -> list[Cloud]:
    """Every arm's rows at a block on one or two directions, positive class first, then negative, then the others.

    Args:
        suite: only rows of this suite.

    Raises:
        DamagedArtifact: the arrays do not fit the summary.
    """
    summary = result.summary
    first = classes(summary)
    order = [*first, *(arm for arm in summary["rows"] if arm not in first)]
    return [_cloud(result, arm, x, block, y, suite) for arm in order]


def shifted(cloud: Cloud, x: float, y: float = 0.0) -> Cloud:
    """The cloud with its zero moved to (`x`, `y`)."""
    return replace(cloud, x=cloud.x - x, y=None if cloud.y is None else cloud.y - y)


def threshold(result: Result, axis: str, block: int) -> float:
    """The midpoint of the training means on a direction."""
    return float(_array(result, f"{axis}/threshold")[block])


def misses(result: Result, block: int, suite: str | None = None) -> list[Miss]:
    """Rows on the wrong side of the contrast's own threshold, the furthest first."""
    summary = result.summary
    axis = next(iter(summary["axes"]))
    limit = threshold(result, axis, block)
    positive, negative, *_ = clouds(result, axis, block, suite=suite)
    found = []
    for is_positive, row in wrong_side(positive.x, negative.x, limit):
        cloud = positive if is_positive else negative
        answer = cloud.answers[row] if cloud.answers else None
        distance = abs(float(cloud.x[row]) - limit)
        found.append(Miss(cloud.arm, cloud.name, distance, cloud.suites[row], cloud.prompts[row], answer))
    return found


def _cloud(result: Result, arm: str, x: str, block: int, y: str | None, suite: str | None) -> Cloud:
    summary = result.summary
    rows, prompts = summary["rows"][arm], summary["prompts"]
    chosen = [place for place, row in enumerate(rows) if suite in (None, prompts[row["prompt"]]["suite"])]
    across = _projections(result, x, arm, block, len(rows))[chosen]
    along = None if y is None else _projections(result, y, arm, block, len(rows))[chosen]
    of_rows = [prompts[rows[place]["prompt"]] for place in chosen]
    answers = [rows[place]["answer"] for place in chosen if "answer" in rows[place]]
    return Cloud(
        arm,
        arm_name(summary, arm),
        across,
        tuple(prompt["suite"] for prompt in of_rows),
        tuple(prompt["text"] for prompt in of_rows),
        tuple(answers),
        along,
    )


def _projections(result: Result, axis: str, arm: str, block: int, rows: int) -> np.ndarray:
    found = _array(result, f"{axis}/{arm}")
    if found.ndim != 2 or found.shape[1] != rows:
        raise DamagedArtifact(f"The saved projections {axis}/{arm} do not fit their rows. Measure again with --fresh.")
    return found[block].astype(np.float64)


def _array(result: Result, name: str) -> np.ndarray:
    try:
        return result.arrays[name]
    except KeyError as error:
        raise DamagedArtifact(f"The saved result lacks {name}. Measure again with --fresh.") from error
