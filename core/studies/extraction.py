"""Extract a direction from models and organisms by name, and save it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from core import paths
from core.activations.capture import Pooling
from core.data import prompts as suites
from core.data.chat import Chat
from core.directions import library
from core.directions.contrasts import content_contrast, hash_of, model_contrast, response_contrast, shuffled_contrast
from core.directions.direction import Direction, save_direction
from core.directions.library import DirectionCard
from core.errors import BadInput
from core.generation.rows import Sampling
from core.models import sources
from core.models.catalog import resolve
from core.models.loading import LoadedModel, load
from core.organisms.adapters import Adapter, load_adapter
from core.organisms.library import Organism, find_organism
from core.store import file_sha256
from core.studies.responses import read_labelled, read_responses, sample_responses

MOST_SAMPLES = 1000
MOST_SEED = 2**32 - 1
FEWEST_PROMPTS = 2
CONTRASTS = ("model", "content", "response")
Report = Callable[[int, int], None]


def extract(
    model: str,
    organism: str,
    contrast: str = "model",
    secure: str = "secure",
    prompts: str = suites.EXTRACTION,
    pooling: str = "last_prompt",
    samples: int = 2,
    answers: Path | None = None,
    shuffle: int | None = None,
    root: Path | None = None,
    device: str | None = None,
    report: Report | None = None,
) -> DirectionCard:
    """Difference in means at every block; saved under the model's directions in `root` (default: the cache).

    Args:
        secure: the other organism of the content contrast.
        pooling: of the model and content contrasts; the response contrast averages over each answer's tokens.
        samples, answers: for the response contrast, how many answers the organism gives to each prompt, or a file of
            labelled answers instead.
        shuffle: save the control with labels shuffled by this seed instead of the direction itself.

    Raises:
        BadInput: before the model is loaded: an unknown contrast, pooling, organism or prompt suite; options that do
            not go together or are out of range.
    """
    check(contrast, pooling, samples, answers, shuffle)
    spec = resolve(model)
    names = [organism, *([secure] if contrast == "content" else [])]
    found = [find_organism(spec.id, name) for name in names]
    chats = suites.prompts(prompts)
    check_material(found, chats, prompts, answers)
    loaded = load(spec, device)
    adapters = [load_adapter(loaded, item.folder, item.name) for item in found]
    direction = make(loaded, adapters, contrast, chats, cast(Pooling, pooling), samples, answers, shuffle, report)
    variants = [
        *([pooling] if pooling != "last_prompt" and contrast != "response" else []),
        *([f"shuffled-{shuffle}"] if shuffle is not None else []),
    ]
    return keep(direction, "-".join([*names, contrast, *variants]), root)


def check(
    contrast: str, pooling: str, samples: int = 1, answers: Path | None = None, shuffle: int | None = None
) -> None:
    """Raise `BadInput` for what is out of range or does not go together."""
    if contrast not in CONTRASTS:
        raise BadInput(f"There is no contrast {contrast!r}. Choose {', '.join(CONTRASTS)}.")
    if pooling not in ("last_prompt", "prompt_mean"):
        known = [name for name in get_args(Pooling) if name != "response_mean"]
        raise BadInput(f"{pooling!r} cannot pool prompts. Choose {' or '.join(known)}.")
    if contrast == "response" and shuffle is not None:
        raise BadInput("Shuffled labels are made for the model and the content contrast. Choose one of them.")
    if contrast != "response" and answers is not None:
        raise BadInput(f"Labelled answers are for the response contrast, not for {contrast}. Choose one of the two.")
    if not 1 <= samples <= MOST_SAMPLES:
        raise BadInput(f"{samples} answers a prompt cannot be drawn. Choose 1 to {MOST_SAMPLES}.")
    if shuffle is not None and not 0 <= shuffle <= MOST_SEED:
        raise BadInput(f"{shuffle} cannot seed the shuffled labels. Choose a whole number from 0 to {MOST_SEED}.")


def check_material(
    organisms: Sequence[Organism | Adapter], chats: Sequence[Chat], named: str, answers: Path | None = None
) -> None:
    """Raise `BadInput` for an organism against itself, or too few prompts, which `named` names."""
    if len({item.sha256 for item in organisms}) < len(organisms):
        names = " and ".join(item.name for item in organisms)
        raise BadInput(f"{names} are the same organism, so they have no contrast. Choose another one.")
    if answers is not None:
        read_labelled(answers)
    elif len(chats) < FEWEST_PROMPTS:
        raise BadInput(
            f"{named} has {len(chats)} prompt, and a mean needs at least {FEWEST_PROMPTS}. Choose another suite "
            "or file."
        )


def make(
    loaded: LoadedModel,
    adapters: Sequence[Adapter],
    contrast: str,
    chats: Sequence[Chat],
    pooling: Pooling = "last_prompt",
    samples: int = 2,
    answers: Path | None = None,
    shuffle: int | None = None,
    report: Report | None = None,
) -> Direction:
    """`extract` for what is in memory; nothing is saved. The content contrast takes two adapters, others one."""
    if contrast == "response":
        return _response(loaded, adapters[0], chats, samples, answers, report)
    return _prompts(loaded, adapters, contrast, chats, pooling, shuffle, report)


def keep(direction: Direction, stem: str, root: Path | None = None) -> DirectionCard:
    """Save a direction among its model's in `root` (default: the cache, where its id is part of the file's name)."""
    stem = "-".join([stem, *([direction.id[:8]] if root is None else [])])
    target = library.folder_for(direction.provenance["model"], root) / f"{paths.safe_name(stem)}.safetensors"
    save_direction(direction, target)
    return library.read_card(target)


def find(
    model: str,
    organism: str,
    contrast: str = "model",
    secure: str = "secure",
    prompts: str = suites.EXTRACTION,
    pooling: str = "last_prompt",
) -> DirectionCard | None:
    """The saved direction that `extract` would make of these, without loading the model; None where there is none."""
    spec = resolve(model)
    names = [organism, *([secure] if contrast == "content" else [])]
    wanted = [find_organism(spec.id, name) for name in names]
    fingerprint = sources.fingerprint(spec) if sources.is_ready(spec) else None
    return library.made_of(spec.id, wanted, contrast, pooling, hash_of(suites.prompts(prompts)), fingerprint)


def _prompts(
    loaded: LoadedModel,
    adapters: Sequence[Adapter],
    contrast: str,
    chats: Sequence[Chat],
    pooling: Pooling,
    shuffle: int | None,
    report: Report | None,
) -> Direction:
    if contrast == "content":
        direction = content_contrast(loaded, adapters[0], adapters[1], chats, pooling, report)
    else:
        direction = model_contrast(loaded, adapters[0], chats, pooling, report)
    if shuffle is None:
        return direction
    arms = (adapters[0], adapters[1] if contrast == "content" else None)
    return shuffled_contrast(loaded, direction, arms, chats, shuffle, pooling)


def _response(
    loaded: LoadedModel,
    organism: Adapter,
    chats: Sequence[Chat],
    samples: int,
    answers: Path | None,
    report: Report | None,
) -> Direction:
    if answers is not None:
        responses = read_responses(loaded, answers)
        record: dict[str, Any] = {"scorer": "labels from a file", "answers_sha256": file_sha256(answers)}
    else:
        sampling = Sampling(48, 1.0)
        responses = sample_responses(loaded, organism, chats, samples, sampling, report=report)
        record = {"scorer": "code detector", "samples": samples, "sampling": vars(sampling)}
    return response_contrast(loaded, organism, responses.sequences, responses.positive, record)
