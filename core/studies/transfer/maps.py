"""What a transfer study steers with: paired activations, ridge maps between them, and the directions they carry.

Activations and carried vectors are kept by the hash of all they depend on, so that a study that goes on steers with
exactly the vectors it began with, and a model is loaded for them once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core import paths, store
from core.activations.capture import Sequences, capture_all
from core.data.chat import prompt_ids
from core.directions import ridge
from core.directions.contrasts import hash_of
from core.directions.direction import Direction, load_direction
from core.models import sources
from core.models.loading import default_device, load
from core.organisms.adapters import Adapter, load_adapter
from core.statistics import Interval
from core.studies.transfer.settings import Inputs, Member

METHOD = 1
HELD_OUT = 0.2

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Carried:
    """A donor's direction in a receiver, and its controls, as long as the map left them: `[receiver width]` each.

    `quality` says how well the map does: `r2` on held-out prompts with `r2_interval`, `r2_shuffled` of a map fitted on
    shuffled pairs, `strength`, `n_fit`, `n_held_out`, and `cosine` of the mapped direction and the receiver's own. On
    the diagonal the direction is the receiver's own and no map is in use: its R² and strength are None.
    """

    mapped: np.ndarray
    random_donor: tuple[np.ndarray, ...]
    shuffled_map: tuple[np.ndarray, ...]
    quality: dict[str, Any]


def activations(inputs: Inputs, member: Member, device: str | None, report: Progress | None = None) -> np.ndarray:
    """The member's activations at its block, float32 `[prompts, width]`; the organism's rows follow with `both`."""
    chosen = inputs.settings
    sources.fetch(member.spec)
    key = store.content_hash(
        [
            METHOD, member.id, sources.fingerprint(member.spec), member.block, chosen.pooling, chosen.fit_on,
            member.organism.sha256 if chosen.fit_on == "both" else None, hash_of(inputs.fit_prompts),
            torch.device(device or default_device()).type,
        ]
    )  # fmt: skip
    path = paths.cache() / "activations" / f"{key[:32]}.safetensors"
    kept = _kept(path)
    if kept is not None:
        return kept[0]["rows"]
    loaded = load(member.spec, device)
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, chat) for chat in inputs.fit_prompts])
    arms: list[Adapter | None] = [None]
    if chosen.fit_on == "both":
        arms.append(load_adapter(loaded, member.organism.folder, member.organism.name))
    parts = [
        capture_all(
            loaded, sequences, blocks=[member.block], pooling=chosen.pooling, adapter=arm, progress=report
        )[:, 0].numpy()
        for arm in arms
    ]  # fmt: skip
    rows = np.concatenate(parts)
    _keep(path, {"rows": rows}, {"model": member.id, "block": member.block})
    return rows


def carry(inputs: Inputs, donor: Member, receiver: Member, read: Mapping[str, np.ndarray]) -> Carried:
    """The donor's direction and its controls in the receiver, from the store or fitted now.

    Args:
        read: the `activations` of both, by model.
    """
    chosen = inputs.settings
    x, y = read[donor.id], read[receiver.id]
    key = store.content_hash(
        [
            METHOD, ridge.STRENGTHS, ridge.FOLDS, [[m.id, m.card.id, m.block] for m in (donor, receiver)],
            chosen.pooling, chosen.fit_on, chosen.draws_a_cell, chosen.seed, chosen.n_resamples,
            [hash_of(inputs.fit_prompts), x.tobytes().hex(), y.tobytes().hex()],
        ]
    )  # fmt: skip
    path = paths.cache() / "maps" / f"{key[:32]}.safetensors"
    kept = _kept(path)
    if kept is None:
        kept = _fit(inputs, donor, receiver, x, y)
        _keep(path, *kept)
    arrays, quality = kept
    return Carried(arrays["mapped"], tuple(arrays["random_donor"]), tuple(arrays["shuffled_map"]), quality)


def mapped_direction(
    vector: np.ndarray, donor: Member, receiver: Member, own: Direction, unscaled: bool, **made: Any
) -> Direction:
    """A carried vector as a direction of the receiver: at its block alone, of the own direction's length.

    Args:
        own: the receiver's own direction.
        unscaled: leave the length that the map gave it.
        made: goes into the provenance.
    """
    block = receiver.block
    found = torch.from_numpy(np.asarray(vector)).float()
    if not unscaled:
        found = found * (own.norms[block] / found.norm().clamp(min=torch.finfo(torch.float32).tiny))
    vectors = torch.zeros_like(own.vectors)
    vectors[block] = found
    return own.derive(
        f"{donor.card.name} of {donor.id}, mapped into {receiver.id}",
        vectors,
        contrast="mapped",
        organisms={donor.organism.name: donor.organism.sha256},
        donor={"model": donor.id, "direction": donor.card.id, "block": donor.block},
        block=block,
        **made,
    )


def own_direction(member: Member) -> Direction:
    """The member's own direction, from its file."""
    return load_direction(member.card.path)


def _fit(
    inputs: Inputs, donor: Member, receiver: Member, x: np.ndarray, y: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    chosen, prompts = inputs.settings, len(inputs.fit_prompts)
    groups, arms = np.arange(len(x)) % prompts, np.arange(len(x)) // prompts
    test = np.isin(groups, np.random.default_rng(chosen.seed).permutation(prompts)[: round(HELD_OUT * prompts)])
    own = own_direction(receiver).vectors[receiver.block].double().numpy()
    given = own_direction(donor).vectors[donor.block].double().numpy()

    def fitted(side: np.ndarray) -> tuple[ridge.RidgeMap, float, Interval]:
        mapping = ridge.fit(x[~test], side[~test], groups[~test], seed=chosen.seed)
        return mapping, *ridge.held_out(mapping, x[test], y[test], groups[test], chosen.n_resamples, chosen.seed)

    mapping, r2, interval = fitted(y)
    shuffled = [
        fitted(y[np.random.default_rng([chosen.seed, draw]).permutation(prompts)[groups] + arms * prompts])
        for draw in range(max(1, chosen.draws_a_cell))
    ]
    drawn = [
        mapping.carry(np.random.default_rng([chosen.seed, draw]).standard_normal(len(given)))
        for draw in range(chosen.draws_a_cell)
    ]
    same = donor.id == receiver.id
    mapped = own if same else mapping.carry(given)
    arrays = {
        "mapped": mapped,
        "random_donor": np.array(drawn).reshape(-1, len(own)),
        "shuffled_map": np.array([found.carry(given) for found, *_ in shuffled[: chosen.draws_a_cell]]).reshape(
            -1, len(own)
        ),
    }
    return arrays, {
        "r2": None if same else r2,
        "r2_interval": None if same else interval,
        "r2_shuffled": float(np.mean([value for _, value, _ in shuffled])),
        "strength": None if same else mapping.strength,
        "cosine": float(mapped @ own / (np.linalg.norm(mapped) * np.linalg.norm(own) or 1.0)),
        "length_share": float(np.linalg.norm(mapped) / (np.linalg.norm(own) or 1.0)),
        "n_fit": len(np.unique(groups[~test])),
        "n_held_out": len(np.unique(groups[test])),
    }


def _kept(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What `_keep` wrote; None where there is nothing, or it is damaged and is made again."""
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads(file.metadata()["record"])
            return (arrays, record) if file.metadata()["checksum"] == _checksum(arrays, record) else None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _keep(path: Path, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> None:
    store.write_file(path, save(arrays, {"record": json.dumps(record), "checksum": _checksum(arrays, record)}))


def _checksum(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> str:
    parts = {name: [list(values.shape), values.tobytes().hex()] for name, values in arrays.items()}
    return store.content_hash([parts, dict(record)])
