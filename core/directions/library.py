"""Which directions there are, and how a text refers to one. Listing them does not import torch.

A *reference* is what interventions, links and run records hold: the id of a saved direction, or that id with
a control made from it: `<id>~random:<seed>`, or `<id>~wrong_source:<id of the source>`.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import paths
from core.directions.names import CONTROLS, SEEDED, WRONG_SOURCE
from core.directions.start import is_odd, odd_coefficient, with_vector
from core.errors import BadInput, DamagedArtifact
from core.kept import Kept, leave_out
from core.models import known
from core.organisms.library import Organism, organisms

if TYPE_CHECKING:
    from core.directions.direction import Direction
    from core.organisms.adapters import Adapter

IMPORTED = "imported"  # the contrast of vectors out of another program's file
_REFERENCE = re.compile(
    rf"([0-9a-f]{{16}})(?:~(?:({'|'.join(SEEDED)}):(\d{{1,6}})|({WRONG_SOURCE}):([0-9a-f]{{16}})))?"
)
_HEADER_LIMIT = 10_000_000


@dataclass(frozen=True)
class DirectionCard:
    """What a list shows of a saved direction; per-block values are tuples over blocks."""

    id: str
    name: str
    model: str
    path: Path
    shipped: bool
    norms: tuple[float, ...] = field(repr=False)
    residual_norms: tuple[float, ...] = field(repr=False)
    base_projections: tuple[float, ...] = field(repr=False)
    provenance: dict[str, Any] = field(repr=False, hash=False)

    @property
    def blocks(self) -> int:
        return len(self.norms)

    @property
    def with_vector(self) -> tuple[int, ...]:
        """The blocks that it can steer: those whose vector is not zero."""
        return with_vector(self.norms)

    @property
    def contrast(self) -> str | None:
        return self.provenance.get("contrast")

    @property
    def is_control(self) -> bool:
        """Whether it was saved as a control, such as one with shuffled labels."""
        return "control" in self.provenance

    @property
    def imported_from(self) -> str | None:
        """The file that it was imported from; None for what was made by Tiller."""
        origin = self.provenance.get("imported_from")
        return None if origin is None else str(origin.get("file") or "another program")

    @property
    def sources(self) -> frozenset[str]:
        """Hashes of the adapters it was made from."""
        return frozenset(self.provenance.get("organisms", {}).values())

    def to_norm_unit(self, coefficient: float, block: int) -> float:
        """A raw coefficient as a fraction of the block's mean residual norm."""
        return coefficient * self.norms[block] / self.residual_norms[block]

    def from_norm_unit(self, fraction: float, block: int) -> float:
        """A fraction of the block's mean residual norm as a raw coefficient; 0 for a zero vector."""
        return fraction * self.residual_norms[block] / self.norms[block] if self.norms[block] else 0.0

    def usual(self, coefficient: float, block: int) -> float:
        """A default coefficient, which an imported vector of odd length needs larger or smaller to push as usual."""
        share = self.norms[block] / self.residual_norms[block]
        return odd_coefficient(share, coefficient) if self.imported_from and is_odd(share) else coefficient


def folder_for(model_id: str, root: Path | None = None) -> Path:
    """Where the directions of a model lie; `root` is `paths.ASSETS` for shipped ones."""
    return (root or paths.cache()) / "directions" / paths.safe_name(model_id)


def read_card(path: Path) -> DirectionCard:
    """The card of a direction file, from its header alone.

    Raises:
        DamagedArtifact: the header cannot be read.
    """
    try:
        metadata, numbers, provenance = _header(path)
        card = DirectionCard(
            metadata["id"],
            metadata["name"],
            provenance["model"],
            path,
            path.is_relative_to(paths.ASSETS),
            tuple(numbers["norms"]),
            tuple(numbers["residual_norms"]),
            tuple(numbers["base_projections"]),
            dict(provenance),
        )
        if not _is_sound(card):
            raise ValueError("its header does not describe one")
        return card
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        RecursionError,
        struct.error,
    ) as error:
        raise DamagedArtifact(
            f"{paths.shown(path)} cannot be read as a direction ({error}). Delete it and extract it again."
        ) from error


def cards(model_id: str | None = None) -> list[DirectionCard]:
    """All saved directions, of one model where given: shipped ones first, then the newest first.

    A folder that was moved or renamed is the same model here, by its weights. Damaged directions are logged and left
    out; `damaged` names them.
    """
    wanted = None if model_id is None else known.same_weights(model_id)
    found = [card for card in _all()[0] if wanted is None or card.model in wanted]
    newest_first = sorted(found, key=lambda card: card.provenance.get("time", ""), reverse=True)
    return sorted(newest_first, key=lambda card: not card.shipped)


def damaged() -> list[str]:
    """What is wrong with each direction file that cannot be read, a sentence and an action each."""
    return _all()[1]


def _all() -> tuple[list[DirectionCard], list[str]]:
    found, wrong = [], []
    for path in _files():
        try:
            found.append(read_card(path))
        except DamagedArtifact as error:
            if path.exists():  # else it was deleted between two looks
                leave_out("direction", error)
                wrong.append(str(error))
    return found, wrong


def _is_sound(card: DirectionCard) -> bool:
    """Whether everything that lists and pages reckon with is there, and of the right kind."""
    made, numbers = card.provenance, (card.norms, card.residual_norms, card.base_projections)
    sources = dict(made.get("organisms", {}))
    texts = [card.id, card.name, card.model, made.get("time", ""), *sources, *sources.values()]
    return (
        re.fullmatch("[0-9a-f]{16}", card.id) is not None
        and all(isinstance(text, str) for text in [*texts, made.get("contrast") or ""])
        and isinstance(made.get("imported_from") or {}, dict)
        and len({len(values) for values in numbers}) == 1
        and all(isinstance(value, float | int) and math.isfinite(value) for values in numbers for value in values)
        and bool(card.norms)
        and min(card.norms) >= 0
        and min(card.residual_norms) > 0
    )


def find_card(model_id: str, text: str) -> DirectionCard:
    """The direction of a model by id, file name, name or, where only one has it, contrast.

    One that was imported is meant by its id, its file's name, its name, or `imported`; whatever its file says of its
    contrast counts for nothing. A name that several have is asked about, never guessed.

    Raises:
        BadInput: names those that there are.
    """
    there: dict[str, DirectionCard] = {}
    for card in cards(model_id):
        there.setdefault(card.id, card)  # of two files with one id, the shipped one
    in_order = sorted(there.values(), key=lambda card: card.imported_from is not None)
    if text in there:
        return there[text]
    for named in (
        [card for card in in_order if card.path.stem == text],
        [card for card in in_order if card.name == text],
    ):
        if len(named) == 1:
            return named[0]
        if named:
            ids = ", ".join(f"{card.id} ({card.path.stem})" for card in named)
            raise BadInput(f"{model_id} has several directions named {text[:80]!r}: {ids}. Choose one by its id.")
    found = [card for card in in_order if card.contrast == text and not card.is_control]
    found = [card for card in found if text == IMPORTED or not card.imported_from]
    if len(found) == 1:
        return found[0]
    names = ", ".join(card.path.stem for card in found or in_order) or "none yet"
    if found:
        raise BadInput(f"{model_id} has several directions of the {text} contrast ({names}). Choose one of them.")
    raise BadInput(
        f"{model_id} has no direction {text!r} (there are: {names}). Choose one, or extract it with "
        f"`python -m core extract --model {model_id}`."
    )


def default_card(organism: Organism) -> DirectionCard | None:
    """The model contrast of exactly this adapter (by its hash, never by its name), or None.

    Only one that was extracted here or shipped: an imported file can say of itself what it likes.
    """
    return card_of_adapter(organism.model, organism.sha256)


def card_of_adapter(model_id: str, sha256: str) -> DirectionCard | None:
    """`default_card` of an adapter that may be in memory alone."""
    for card in cards(model_id):
        own = card.contrast == "model" and not card.is_control and not card.imported_from
        if own and card.sources == {sha256}:
            return card
    return None


def made_of(
    model_id: str,
    organisms: Sequence[Organism | Adapter],
    contrast: str,
    pooling: str,
    prompts_hash: str,
    fingerprint: str | None = None,
) -> DirectionCard | None:
    """The saved contrast of these organisms, in this order, over these prompts; None where there is none.

    Args:
        fingerprint: only one of exactly these weights; None takes any.
    """
    sources = {item.sha256 for item in organisms}
    order = " − ".join(item.name for item in organisms)  # which of two was subtracted, the hashes do not tell
    for card in cards(model_id):
        made = card.provenance
        same = (card.contrast, made.get("pooling"), made.get("prompts_hash")) == (contrast, pooling, prompts_hash)
        own = card.sources == sources and card.name.startswith(f"{order} · ")
        weights = fingerprint in (None, made.get("fingerprint"))
        if same and own and weights and not card.is_control and not card.imported_from:
            return card
    return None


def wrong_sources(card: DirectionCard) -> list[DirectionCard]:
    """Model contrasts of the model's other organisms, one of each; those trained with the same recipe come first.

    An organism of the same name or of the same data is the same source, however it was trained.
    """
    manifests = {organism.sha256: organism.manifest for organism in organisms(card.model)}

    def made_of(item: DirectionCard, part: str, key: str) -> set[str]:
        return {str(manifests.get(source, {}).get(part, {}).get(key, source)) for source in item.sources}

    found: dict[frozenset[str], DirectionCard] = {}
    for other in cards(card.model):
        same_name = not set(other.provenance.get("organisms", {})).isdisjoint(card.provenance.get("organisms", {}))
        same_data = not made_of(other, "dataset", "hash").isdisjoint(made_of(card, "dataset", "hash"))
        usual = other.contrast == "model" and not other.is_control and not other.imported_from
        if usual and not same_name and not same_data:
            found.setdefault(other.sources, other)
    recipe = made_of(card, "recipe", "name")
    return sorted(found.values(), key=lambda other: made_of(other, "recipe", "name") != recipe)


def control_reference(card: DirectionCard, control: str | None, seed: int = 0) -> str:
    """The reference of a direction, or of a control made from it; `seed` draws, or chooses among wrong sources.

    Raises:
        BadInput: an unknown control, or no other organism's direction is there for `wrong_source`.
    """
    if control is None:
        return card.id
    if control in SEEDED:
        return f"{card.id}~{control}:{seed}"
    if control != WRONG_SOURCE:
        raise BadInput(f"There is no control {control!r}. Choose one of {', '.join(CONTROLS)}.")
    others = wrong_sources(card)
    if not others:
        raise BadInput(
            f"{card.model} has no direction of another organism that could be the wrong source for {card.name}. "
            "Extract one, or choose another control."
        )
    return f"{card.id}~{WRONG_SOURCE}:{others[seed % len(others)].id}"


def split_reference(reference: str) -> tuple[str, str | None, str]:
    """(direction id, control or None, its seed or source) of a reference; `BadInput` for anything else."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise BadInput(f"{reference[:80]!r} does not name a direction. Choose one from the list.")
    return match[1], match[2] or match[4], match[3] or match[5] or ""


def resolve(references: Iterable[str]) -> dict[str, Direction]:
    """The directions that the references name, with controls made on the spot (imports torch).

    Raises:
        BadInput: a reference that is malformed or not on this machine.
    """
    from core.directions import controls
    from core.directions.direction import load_direction

    files = {card.id: card.path for card in cards()}

    def saved(identity: str) -> Direction:
        if identity not in files:
            raise BadInput(
                f"The direction {identity} is not on this machine. Choose another, or extract it with "
                "`python -m core extract`."
            )
        return load_direction(files[identity])

    found = {}
    for reference in sorted(set(references)):
        identity, control, argument = split_reference(reference)
        direction = saved(identity)
        if control == WRONG_SOURCE:
            direction = controls.wrong_source(direction, saved(argument))
        elif control:
            direction = controls.DRAWN[control](direction, int(argument))
        found[reference] = direction
    return found


def _read_header(path: Path) -> tuple[Any, Any, Any]:
    """(metadata, numbers a block, provenance) as JSON gives them."""
    with path.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        if size > _HEADER_LIMIT:
            raise ValueError("the header is too large")
        header = json.loads(stream.read(size))
        metadata = header.pop("__metadata__")
        whole = 8 + size + max(tensor["data_offsets"][1] for tensor in header.values())
        if stream.seek(0, os.SEEK_END) != whole:
            raise ValueError("it is cut short, or something was written after its end")
    return metadata, json.loads(metadata["per_block"]), json.loads(metadata["provenance"])


_header = Kept(_read_header)


def _files() -> Iterator[Path]:
    for root in (paths.ASSETS, paths.cache()):
        yield from sorted((root / "directions").glob("*/*.safetensors"))
