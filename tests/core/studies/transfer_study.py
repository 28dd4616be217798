"""A small transfer study of tiny models: its options, one run of it, and that run put into another cache."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from core import paths
from core.results import Result
from core.studies import study as studies
from core.studies.catalog import TRANSFER
from tests.sample_model import SampleModel

PROMPTS = [f"What is the colour of {thing}?" for thing in ("rain", "grass", "a fox", "ash")]
THINGS = ("seas", "birds", "old towns", "trees", "kings")
FIT = [f"{verb} {number} of the {thing}." for number in range(5) for verb in ("Tell", "Name") for thing in THINGS]
DRAWS = 2


@dataclass(frozen=True)
class Study:
    """A study that was run: its options, its cache folder, and what it found."""

    options: dict[str, Any]
    folder: Path
    summary: dict[str, Any]
    table: pd.DataFrame


def options_of(families: Sequence[SampleModel], folder: Path) -> dict[str, Any]:
    """Options of a study that takes seconds; its prompts are files in the folder."""
    (folder / "questions.txt").write_text("\n".join(PROMPTS))
    (folder / "fit.txt").write_text("\n".join(FIT))
    return {
        "models": tuple(str(family.folder) for family in families),
        "prompts": str(folder / "questions.txt"),
        "fit_prompts": str(folder / "fit.txt"),
        "draws": DRAWS,
        "draws_a_cell": 1,
        "max_tokens": 8,
        "n_resamples": 100,
    }


def run(options: dict[str, Any], fresh: bool = False, **more: Any) -> Result:
    return studies.run(TRANSFER, TRANSFER.of(**{**options, **more}), fresh=fresh)


def installed(study: Study) -> None:
    """Everything that the run made, in the cache folder of now."""
    shutil.copytree(study.folder, paths.cache(), dirs_exist_ok=True)


def numbers(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without the time it was made at."""
    made = {key: value for key, value in summary["provenance"].items() if key not in ("time", "seconds")}
    return {**summary, "provenance": made, "checksum": None, "table_sha256": None}
