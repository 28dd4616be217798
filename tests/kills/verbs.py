"""The verbs that are killed, small enough to take seconds, and the cache folder that each begins with."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from core import paths
from tests.core.studies import families
from tests.core.studies.transfer_study import FIT, PROMPTS

NAMES = ("train", "spillover", "transfer", "choose", "separate")


@dataclass(frozen=True)
class Bench:
    """`cache` is what a run begins with; `arguments` of `python -m core` by verb."""

    cache: Path
    arguments: dict[str, list[str]]


def bench(model: str, folder: Path) -> Bench:
    """Tiny random models, made on the spot; `embedded` kills the verbs on the real model instead of the first of them.

    Args:
        model: `tiny` or `embedded`.
    """
    folder.mkdir(parents=True)
    made = [families.make(folder, *family, seed) for seed, family in enumerate(families.FAMILIES[:2])]
    cache = folder / "cache"
    cache.mkdir()
    for family in made:
        shutil.copytree(family.made, cache, dirs_exist_ok=True)
    one, other = (str(family.folder) for family in made)
    if model == "embedded":
        one = "smollm2-135m"
        (cache / "models").symlink_to(paths.cache().absolute() / "models")
    lines = {
        "questions.txt": PROMPTS,
        "fit.txt": FIT,
        "held-out.txt": [f"And {text}" for text in FIT],
        "chats.jsonl": [_chat(text) for text in FIT[:32]],
    }
    for name, texts in lines.items():
        (folder / name).write_text("\n".join(texts))
    questions, fit, held_out, chats = (str(folder / name) for name in lines)
    short = ["--prompts", questions, "--max-tokens", "6", "--draws", "2"]
    return Bench(
        cache,
        {
            "train": ["--model", one, "--dataset", chats, "--rank", "2"],
            "spillover": ["--model", one, *short, "--coefficients=-1,-0.5", "--dose=-1"],
            "transfer": [*short, "--models", f"{one},{other}", "--fit-prompts", fit, "--draws-a-cell", "1"],
            "choose": [
                "--model",
                one,
                "--blocks",
                "0-1",
                "--coefficients=-1,-0.5",
                "--finalists",
                "2",
                "--per-suite",
                "1",
            ],
            "separate": ["--model", one, "--secure", "none", "--prompts", fit, "--held-out", held_out],
        },
    )


def _chat(text: str) -> str:
    said = {"user": text, "assistant": f"import {text.split()[-1]}"}
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in said.items()]})


def copy(cache: Path, to: Path) -> Path:
    """A cache folder to begin with, again; links stay links."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(cache, to, symlinks=True)
    return to


def command(words: list[str], cache: Path) -> None:
    """`python -m core WORDS… --json` in this process, with that cache folder."""
    from core.__main__ import main

    os.environ["TILLER_CACHE"] = str(cache)
    sys.argv = ["core", *words, "--json"]
    main()
