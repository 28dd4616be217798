"""Bring a direction in from another program's file, and hand one out, by the names a user types."""

from __future__ import annotations

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
from core.directions.families import families
from core.directions.formats import Foreign, export_gguf, read_foreign
from core.directions.library import DirectionCard
from core.directions.origin import of_other_weights, same_weights
from core.directions.start import LONG, SHORT, USUAL_SHARE, check_vectors, in_words, is_odd, nearest
from core.errors import BadInput, DirectionMismatch, ModelUnavailable
from core.models import sources
from core.models.blocks import text_config
from core.models.catalog import ModelSpec, resolve
from core.models.loading import LoadedModel, load, read_config
from core.words import percent

Progress = Callable[[int, int], None]

MAX_NAME = 200


def import_direction(
    loaded: LoadedModel, foreign: Foreign, name: str, prompts: Sequence[Chat], progress: Progress | None = None
) -> Direction:
    """A direction of `loaded` with the vectors of `foreign`; blocks that it lacks get zeros.

    Other programs do not keep how long the residual stream is, nor its mean, so both are measured here on the base
    model at the last token of each prompt. A file of Tiller's own carries them and is taken as it is.

    Raises:
        BadInput: another width, a block that the model does not have, or no vector that is not zero.
        DirectionMismatch: the file names another model, other weights of it, or another known family of models.
    """
    foreign = foreign.for_blocks(len(loaded.blocks))
    notes = [*foreign.notes, *_check(loaded, foreign)]
    origin = {
        "format": foreign.format,
        "file": foreign.file,
        "sha256": foreign.sha256,
        "model_hint": foreign.model_hint,
    }
    if foreign.direction is not None:
        check_vectors(foreign.direction.name, foreign.direction.norms.tolist(), ())
        record = {**foreign.direction.provenance, "model": loaded.id, "imported_from": origin, "notes": notes}
        if same_weights(record, loaded.fingerprint) is False:  # a folder elsewhere, which the notes tell
            record |= {"fingerprint": loaded.fingerprint, "made_of": foreign.fingerprint}
        return _with_length_noted(replace(foreign.direction, name=name, provenance=record))
    there = [block for block, vector in foreign.vectors.items() if vector.any()]
    missing = [block for block in range(len(loaded.blocks)) if block not in there]
    if missing:
        notes.append(f"The file has no vector for {in_words(missing)}: zeros stand there.")
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
    made = Direction(name, vectors, base.mean_norm.float(), base.mean.float(), record)
    check_vectors(name, made.norms.tolist(), ())
    return _with_length_noted(made)


def _with_length_noted(direction: Direction) -> Direction:
    """With a note where ±1 would be no usual push; `DirectionCard.usual` then starts from another coefficient."""
    shares = (direction.norms / direction.residual_norms).tolist()
    odd = [block for block, share in enumerate(shares) if is_odd(share)]
    if not odd:
        return direction
    example = nearest([float(block in odd) for block in range(direction.blocks)], round(0.45 * (direction.blocks - 1)))
    note = (
        f"The vector is of unusual length at {in_words(odd)}: {percent(shares[example], 1)} of the mean residual norm "
        f"at block {example}, where {percent(SHORT)} to {percent(LONG)} is usual. The default coefficient there is one "
        f"that pushes by {percent(USUAL_SHARE)} of that norm."
    )
    notes = [*direction.provenance["notes"], note]
    return replace(direction, provenance={**direction.provenance, "notes": notes})


def import_file(
    path: Path,
    model: str,
    name: str | None = None,
    device: str | None = None,
    report: Progress | None = None,
    block: int | None = None,
) -> tuple[DirectionCard, list[str]]:
    """Read a file and save its direction among the model's own; also returns notes, a sentence each.

    Vectors that the model already has keep their card: one id never stands for two directions.

    Args:
        block: where the vector of a file belongs that holds one; by default what the file or its name states.
    """
    spec = resolve(model)
    foreign = read_foreign(path, block)
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
    """Refuse a hint that names another known family of models; any other text is none, and proves nothing."""
    kinds = [loaded.model.config.model_type, text_config(loaded.model).model_type]
    hinted, own = families(foreign.model_hint or ""), {family for kind in kinds for family in families(kind, own=True)}
    if hinted and not hinted & own:
        raise DirectionMismatch(
            f"{what} is for a model of the kind {(foreign.model_hint or '')[:40]!r}, and {loaded.id} is "
            f"{loaded.model.config.model_type!r}. Choose a model of that kind."
        )


def _check_weights(loaded: LoadedModel, foreign: Foreign, what: str) -> list[str]:
    """The hash of the weights must agree, or the id where it is not known; a folder elsewhere says nothing of them."""
    if foreign.model is None:
        checked = "its kind and shape were" if families(foreign.model_hint or "") else "the shape was"
        return [f"{what} does not say which model it was made for: only {checked} checked."]
    same = same_weights({"fingerprint": foreign.fingerprint}, loaded.fingerprint)
    if same:
        return []
    if foreign.model == loaded.id:
        if same is False:
            raise of_other_weights(foreign.name or what, loaded.id)
        return []
    if foreign.model.startswith("local-"):
        return [f"{what} was made for a folder on another computer, so that only the shape was checked."]
    raise DirectionMismatch(
        f"{what} was made for {foreign.model[:80]}, not for {loaded.id}. Choose that model, or extract a direction of "
        "this one."
    )
