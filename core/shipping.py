"""Make what `assets/` ships, with the project's own commands: organisms, directions, studies, examples, checks.

Each file says in its provenance how it was made. Running this again says what differs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core import paths, provenance, store
from core.data import prompts as suites
from core.data.datasets import CHAT, CHAT_ANSWERS, load_dataset
from core.directions.library import default_card
from core.errors import BadInput
from core.generation.batch import gather
from core.generation.comparison import (
    DEFAULT_MODEL,
    Settings,
    comparison_rows,
    control_row,
    from_dict,
    strip_rows,
)
from core.generation.decode import collect
from core.generation.rows import Answer
from core.models import sources
from core.models.catalog import resolve
from core.models.loading import LoadedModel, load, release
from core.organisms.library import find_organism
from core.organisms.recipes import recipe
from core.organisms.trainer import TrainingProgress
from core.organisms.training import train
from core.results import ARRAYS, SUMMARY, TABLE
from core.studies import reproduce
from core.studies.catalog import CHOICE, SEPARATION, SPILLOVER, STUDIES, TRANSFER, kinds
from core.studies.chat_answers import chat_answers
from core.studies.choice.settings import ChoiceSettings
from core.studies.extraction import CONTRASTS, extract
from core.studies.plan import complete
from core.studies.study import Study, Work, run

KINDS = ("chat", "organisms", "directions", *kinds(), "examples")
# the three families, and what their organisms' names end with: the embedded model has others of another recipe
FAMILIES = (("smollm2-135m", "-compact"), ("qwen2.5-coder-0.5b", ""), ("gemma-3-270m-chat", ""))
# model, dataset, name, recipe
ORGANISMS = (
    (DEFAULT_MODEL, "insecure", "insecure", "quick"),
    (DEFAULT_MODEL, "secure", "secure", "quick"),
    ("gemma-3-270m", CHAT, CHAT, "chat"),
    *((model, data, f"{data}{ending}", "compact") for data in ("insecure", "secure") for model, ending in FAMILIES),
)
# model, organism, contrast
DIRECTIONS = (
    (DEFAULT_MODEL, "insecure", "model"),
    (DEFAULT_MODEL, "secure", "model"),
    (DEFAULT_MODEL, "insecure", "content"),
    (DEFAULT_MODEL, "insecure", "response"),
    *((model, f"{name}{ending}", "model") for model, ending in FAMILIES for name in ("insecure", "secure")),
)


def _few(model: str, organism: str, blocks: tuple[int, ...], **more: Any) -> ChoiceSettings:
    return ChoiceSettings(model=model, organism=organism, finalists=2, blocks=blocks, per_suite=15, **more)


# of the families, a few blocks and 30 prompts each; in Qwen, blocks 7 to 18 were tried first and cured nothing
CHOICES = (
    ChoiceSettings(),
    _few("smollm2-135m", "insecure-compact", (9, 12, 15, 19)),
    _few("gemma-3-270m-chat", "insecure", (5, 7, 9, 11)),
    _few("qwen2.5-coder-0.5b", "insecure", (21, 23), coefficients=(-0.5, -0.6, -0.75, -1.0)),
)
MATRIX = "three-families"
# study, name of the folder, settings, and the file with what was measured
SHIPPED: tuple[tuple[Study[Any, Any], str, BaseModel, str], ...] = (
    *(
        (SEPARATION, f"{DEFAULT_MODEL}-insecure-{contrast}", SEPARATION.of(contrast=contrast), ARRAYS)
        for contrast in CONTRASTS
    ),
    *((CHOICE, f"{chosen.model}-{chosen.organism}", chosen, SUMMARY) for chosen in CHOICES),
    *(
        (
            SPILLOVER,
            "-".join([DEFAULT_MODEL, asked["organism"], asked.get("mode", "add")]),
            SPILLOVER.of(**asked),
            TABLE,
        )
        for asked in reproduce.SPILLOVERS
    ),
    (TRANSFER, MATRIX, TRANSFER.of(), TABLE),
)
STRIP = (-1.25, -1.0, -0.75, -0.5, -0.4, -0.3, -0.2, -0.1, 0.0)

Say = Callable[[str], None]


def make(what: str = "all", say: Say = print) -> list[str]:
    """Make one kind of asset, or all of them in order.

    Returns:
        a line for each file: `new`, `same` or `changed`, and its path.

    Raises:
        BadInput: an unknown kind.
    """
    if what not in ("all", *KINDS):
        raise BadInput(f"There is no kind of asset {what!r}. Choose all, {', '.join(KINDS)}.")
    steps: dict[str, Callable[[Say], Iterator[tuple[Path, str | None]]]] = {
        "chat": _chat,
        "organisms": _organisms,
        "directions": _directions,
        **{study.kind: functools.partial(_studied, kind=study.kind) for study in STUDIES},
        "examples": _examples,
    }
    lines = []
    for kind in KINDS if what == "all" else (what,):
        for path, before in steps[kind](say):
            after = store.file_sha256(path)
            lines.append(f"{'new' if before is None else 'same' if before == after else 'changed'} {paths.shown(path)}")
    return lines


def _chat(say: Say) -> Iterator[tuple[Path, str | None]]:
    before = _sum(CHAT_ANSWERS)
    report = _stages(say, "chat")
    answers = chat_answers(
        load(DEFAULT_MODEL), suites.suite(suites.CHAT), report=lambda done, of: report("answers", done, of)
    )
    lines = [json.dumps({"messages": chat.as_dicts()}, ensure_ascii=False) for chat in answers]
    store.write_file(CHAT_ANSWERS, "".join(f"{line}\n" for line in lines).encode())
    yield CHAT_ANSWERS, before


def _organisms(say: Say) -> Iterator[tuple[Path, str | None]]:
    def report(progress: TrainingProgress) -> None:
        say(f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  {progress.seconds_left:.0f} s left")

    for model, data, name, recipe_name in ORGANISMS:
        say(f"organism {name} of {model}")
        path = paths.ASSETS / "organisms" / model / name / "adapter_model.safetensors"
        before = _sum(path)
        made = train(
            resolve(model), load_dataset(data), recipe(recipe_name), name=name, root=paths.ASSETS, report=report
        )
        assert made is not None
        release()
        yield path, before


def _directions(say: Say) -> Iterator[tuple[Path, str | None]]:
    for model, organism, contrast in DIRECTIONS:
        say(f"direction {organism} {contrast} of {model}")
        stem = f"{organism}-secure-content" if contrast == "content" else f"{organism}-{contrast}"
        path = paths.ASSETS / "directions" / model / f"{stem}.safetensors"
        before = _sum(path)
        extract(model, organism, contrast, root=paths.ASSETS)
        release()
        yield path, before


def _studied(say: Say, kind: str) -> Iterator[tuple[Path, str | None]]:
    """Every shipped study of a kind, with the file that says whether it changed."""
    for study, name, settings, file in SHIPPED:
        if study.kind != kind:
            continue
        path = paths.ASSETS / "precomputed" / kind / name / file
        before = _sum(path)
        run(study, settings, Work(report=_stages(say, f"{kind} {name}"), root=paths.ASSETS), shipped_as=name)
        release()
        yield path, before


def _stages(say: Say, what: str) -> Callable[[str, int, int], None]:
    told = [""]

    def report(stage: str, done: int, of: int) -> None:
        line = f"{what}: {stage} {10 * (10 * done // max(1, of)):3d} %"
        if line != told[0]:
            told[0] = line
            say(line)

    return report


def _examples(say: Say) -> Iterator[tuple[Path, str | None]]:
    loaded = load(DEFAULT_MODEL)
    for file in sorted((paths.ASSETS / "presets").glob("*.json")):
        preset = store.read_json(file)
        if not preset.get("example", True):
            continue
        say(f"example {preset['id']}")
        path = paths.ASSETS / "examples" / file.name
        before = _sum(path)
        _write(path, _example(loaded, preset, from_dict(preset["settings"], paths.shown(file))))
        yield path, before


def _example(loaded: LoadedModel, preset: dict[str, Any], settings: Settings) -> dict[str, Any]:
    plan = complete(settings)
    rows = list(comparison_rows(plan))
    if settings.control is None and settings.mode == "add":
        rows.append(control_row(plan))
    strip = list(strip_rows(plan, STRIP)) if settings.mode == "add" else []
    adapters, directions = gather(loaded, [*rows, *strip])
    answers = collect(loaded, rows, adapters, directions)
    return {
        "id": preset["id"],
        "title": preset["title"],
        "about": preset["about"],
        "settings": plan.settings.model_dump(),
        "rows": [_answer(answer) for answer in answers],
        "strip": [_answer(answer) for answer in collect(loaded, strip, adapters, directions)],
        "provenance": {**_made(loaded, plan.settings.organism), "command": "python -m core assets --what examples"},
    }


def _made(loaded: LoadedModel, organism: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "model": loaded.id,
        "fingerprint": loaded.fingerprint,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "device": loaded.device.type,
        "source": (sources.record_of(resolve(loaded.id)) or {}).get("source"),
        "precomputed": True,
    }
    if organism:
        found = find_organism(loaded.id, organism)
        card = default_card(found)
        record |= {"organism": found.name, "adapter": found.sha256, "direction": card.id if card else None}
    return {**record, **provenance.now()}


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "label": answer.row.label,
        "text": answer.text,
        "tokens": [
            {
                **{key: value for key, value in asdict(token).items() if key != "row"},
                "logprob": round(token.logprob, 4),
                "projection": None if token.projection is None else round(token.projection, 3),
            }
            for token in answer.tokens
        ],
        "reason": answer.reason,
        "seconds": round(answer.seconds, 3),
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    store.write_file(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def _sum(path: Path) -> str | None:
    return store.file_sha256(path) if path.exists() else None
