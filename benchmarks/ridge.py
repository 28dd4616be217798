"""A ridge map between two models, strength chosen by cross-validation, against scikit-learn's grid search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from benchmarks.pairs import Measurement, interleaved
from core.directions import ridge
from core.models.loading import LoadedModel

ROWS, WIDTH, RANK = 2000, 2048, 64


def measure(_: LoadedModel, __: int) -> Iterator[Measurement]:
    """The row of this file: same folds, same strengths, same fit on all rows in the end.

    Always 2 pairs, since the peer is slow. It needs no model: the activations are random, of low rank with noise, two
    rows a prompt.
    """
    draw = np.random.default_rng(0)
    shared = 3 * draw.standard_normal((ROWS, RANK))
    x, y = (shared @ draw.standard_normal((RANK, WIDTH)) for _ in range(2))
    x += draw.standard_normal(x.shape)
    y += 10 * draw.standard_normal(y.shape)
    prompts = np.arange(ROWS) // 2
    mapping = ridge.fit(x, y, prompts)
    parts = ridge.fold_of_row(prompts)
    search = GridSearchCV(
        Ridge(),
        {"alpha": [strength for strength, _ in mapping.r2_by_strength]},
        cv=[(np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)) for fold in range(ridge.FOLDS)],
        scoring=make_scorer(r2_score, multioutput="variance_weighted"),
    )
    threads = torch.get_num_threads()
    with threadpool_limits(threads):
        found = interleaved(
            "ridge map / scikit-learn's GridSearchCV",
            lambda: ridge.fit(x, y, prompts),
            lambda: search.fit(x, y),
            "≤ 0.1",
            2,
            shapes=f"{ROWS} rows, widths {WIDTH}, {len(ridge.STRENGTHS)} strengths, {ridge.FOLDS} folds by prompt",
            versions=f"scikit-learn {version('scikit-learn')}",
        )
    apart = np.abs([r2 for _, r2 in mapping.r2_by_strength] - search.cv_results_["mean_test_score"]).max()
    choice = "same" if search.best_params_["alpha"] == mapping.strength else "another"
    yield replace(found, note=f"{threads} threads each; {choice} choice, R² at most {apart:.0e} apart")
