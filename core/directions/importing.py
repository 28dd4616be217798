"""Bring a direction in from another program's file, and hand one out, by the names a user types."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from core import paths, provenance
from core.activations.capture import Sequences, capture_moments
from core.data import prompts as suites
from core.data.chat import Chat, prompt_ids
from core.directions import library
from core.directions.contrasts import hash_of
from core.directions.direction import Direction, load_direction, save_direction
from core.directions.formats import Foreign, export_gguf, read_foreign
from core.directions.library import DirectionCard
from core.errors import BadInput, DirectionMismatch, ModelUnavailable
from core.models import sources
from core.models.blocks import text_config
from core.models.catalog import ModelSpec, resolve
from core.models.loading import LoadedModel, load, read_config

Progress = Callable[[int, int], None]

# what llama.cpp calls classes that it converts as if they were another
LLAMA_CPP_NAMES = {"mistral": "llama", "mixtral": "llama"}
MAX_NAME = 200


def import_direction(
    loaded: LoadedModel, foreign: Foreign, name: str, prompts: Sequence[Chat], progress: Progress | None = None
) -> Direction:
    """A direction of `loaded` with the vectors of `foreign`; blocks that it lacks get zeros.

    Other programs do not keep how long the residual stream is, nor its mean, so both are measured here on the base
    model at the last token of each prompt. A file of Tiller's own carries them and is taken as it is.

    Raises:
        BadInput: another width, or a block that the model does not have.
        DirectionMismatch: the file names another model, or another kind of model.
    """
    notes = [*foreign.notes, *_check(loaded, foreign)]
    origin = {
        "format": foreign.format,
        "file": foreign.file,
        "sha256": foreign.sha256,
        "model_hint": foreign.model_hint,
    }
    if foreign.direction is not None:
        record = {**foreign.direction.provenance, "model": loaded.id, "imported_from": origin, "notes": notes}
        return replace(foreign.direction, name=name, provenance=record)
    missing = [block for block in range(len(loaded.blocks)) if block not in foreign.vectors]
    if missing:
        notes.append(f"The file has no vector for block {', '.join(map(str, missing))}: zeros stand there.")
    vectors = torch.zeros(len(loaded.blocks), loaded.width)
    for block, vector in foreign.vectors.items():
        vectors[block] = torch.from_numpy(vector)
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, prompt) for prompt in prompts])
    base = capture_moments(loaded, sequences, pooling="last_prompt", progress=progress)
    record = {
        "model": loaded.id,
        "fingerprint": loaded.fingerprint,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "contrast": "imported",
        "pooling": "last_prompt",
        "block_convention": "raw residual stream leaving block i, 0-based",
        "imported_from": origin,
        "blocks_missing": missing,
        "organisms": {},
        "n": base.n,
        "prompts_hash": hash_of(prompts),
        "notes": notes,
        **provenance.now(),
    }
    return Direction(name, vectors, base.mean_norm.float(), base.mean.float(), record)


def import_file(
    path: Path,
    model: str,
    name: str | None = None,
    device: str | None = None,
    report: Progress | None = None,
) -> tuple[DirectionCard, list[str]]:
    """Read a file and save its direction among the model's own; also returns notes, a sentence each.

    Vectors that the model already has keep their card: one id never stands for two directions.
    """
    spec = resolve(model)
    foreign = read_foreign(path)
    chosen = (name or foreign.name or path.stem).strip()[:MAX_NAME] or "imported"
    direction = import_direction(load(spec, device), foreign, chosen, suites.suite(suites.EXTRACTION), report)
    notes = list(direction.provenance["notes"])
    for card in library.cards(spec.id):
        if card.id == direction.id:
            return card, [*notes, f"These vectors are already here as {card.name!r}, so nothing was saved."]
    stem = paths.safe_name(f"{chosen[:60]}-{direction.id[:8]}")
    target = library.folder_for(spec.id) / f"{stem}.safetensors"
    save_direction(direction, target)
    return library.read_card(target), notes


def export_file(model: str, text: str, target: Path, overwrite: bool = False) -> tuple[DirectionCard, list[str]]:
    """Write a saved direction (`text`: id, name or contrast) as `.gguf`, or as `.safetensors`, our own format.

    Raises:
        BadInput: another suffix, a file that is already there, or no such direction.
    """
    suffix = target.suffix.lower()
    if suffix not in (".gguf", ".safetensors"):
        raise BadInput(f"{target.name} has no known suffix. Use .gguf for other programs, or .safetensors for Tiller.")
    if target.is_dir():
        raise BadInput(f"{paths.shown(target)} is a folder. Name a file.")
    if target.exists() and not overwrite:
        raise BadInput(f"{paths.shown(target)} is already there. Choose another name, or add --force.")
    spec = resolve(model)
    card = library.find_card(spec.id, text)
    direction = load_direction(card.path)
    if suffix == ".gguf":
        return card, export_gguf(direction, target, model_type(spec))
    save_direction(direction, target)
    return card, []


def model_type(spec: ModelSpec) -> str:
    """`config.model_type` of a model that is on this machine; no weights are loaded."""
    folder = sources.folder_of(spec)
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(
            f"{spec.title} is not here yet, and its kind is part of the file. Run `python -m core fetch --model "
            f"{spec.id}` first."
        )
    try:
        return str(read_config(folder).model_type)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(
            f"The config.json of {spec.title} cannot be read. Fetch the model again, or repair the folder."
        ) from error


def _check(loaded: LoadedModel, foreign: Foreign) -> list[str]:
    """Refuse what does not fit this model; returns notes on what could not be checked."""
    count, what = len(loaded.blocks), foreign.file or "The mapping"
    if foreign.width != loaded.width:
        raise BadInput(
            f"{what} has vectors of width {foreign.width}, and {loaded.id} has width {loaded.width}. Choose the model "
            "that they were made for."
        )
    if max(foreign.vectors) >= count or foreign.blocks not in (None, count):
        named = foreign.blocks or max(foreign.vectors) + 1
        raise BadInput(
            f"{what} is for a model of {'' if foreign.blocks else 'at least '}{named} blocks, and {loaded.id} has "
            f"{count}. Choose the model that it was made for."
        )
    _check_kind(loaded, foreign, what)
    return _check_weights(loaded, foreign, what)


def _check_kind(loaded: LoadedModel, foreign: Foreign, what: str) -> None:
    own = {loaded.model.config.model_type, text_config(loaded.model).model_type.removesuffix("_text")}
    known = {_plain(kind) for kind in own} | {LLAMA_CPP_NAMES[kind] for kind in own if kind in LLAMA_CPP_NAMES}
    if foreign.model_hint is not None and _plain(foreign.model_hint) not in known:
        raise DirectionMismatch(
            f"{what} is for a model of the kind {foreign.model_hint[:40]!r}, and {loaded.id} is "
            f"{loaded.model.config.model_type!r}. Choose a model of that kind."
        )


def _check_weights(loaded: LoadedModel, foreign: Foreign, what: str) -> list[str]:
    """The id must agree, or the hash of the weights; the id of a folder elsewhere says nothing about them."""
    if foreign.model is None:
        checked = "its kind and shape were" if foreign.model_hint else "the shape was"
        return [f"{what} does not say which model it was made for: only {checked} checked."]
    same_weights = foreign.fingerprint not in (None, "", "unknown") and foreign.fingerprint == loaded.fingerprint
    if foreign.model == loaded.id or same_weights:
        return []
    if foreign.model.startswith("local-"):
        return [f"{what} was made for a folder on another computer, so that only the shape was checked."]
    raise DirectionMismatch(
        f"{what} was made for {foreign.model[:80]}, not for {loaded.id}. Choose that model, or extract a direction of "
        "this one."
    )


def _plain(kind: str) -> str:
    """`qwen2_moe` here is `qwen2moe` in llama.cpp."""
    return re.sub(r"[^a-z0-9]", "", kind.lower())
