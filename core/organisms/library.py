"""Which organisms there are: shipped ones in `assets/`, trained ones in `cache/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import paths, scratch, store
from core.errors import BadInput, DamagedArtifact
from core.kept import Kept, leave_out
from core.models import known

if TYPE_CHECKING:
    from core.data.datasets import Dataset
    from core.organisms.recipes import Recipe

MANIFEST = "organism.json"
_manifest = Kept[Any](store.read_json)


@dataclass(frozen=True)
class Organism:
    """A trained adapter on disk. `sha256` is of its weights; `manifest` is its full provenance."""

    name: str
    model: str
    sha256: str
    folder: Path
    shipped: bool
    manifest: dict[str, Any] = field(repr=False, hash=False)


def folder_for(model_id: str, name: str, key: str, root: Path | None = None) -> Path:
    """Where an organism lies: by name where shipped, by name and settings hash in the cache."""
    if root == paths.ASSETS:
        return root / "organisms" / paths.safe_name(model_id) / name
    return (root or paths.cache()) / "organisms" / paths.safe_name(model_id) / f"{name}-{key}"


def read_organism(folder: Path) -> Organism:
    """The organism in a folder; only its manifest is read.

    Raises:
        DamagedArtifact: the manifest is unreadable.
    """
    found = _manifest(folder / MANIFEST)
    try:
        manifest = dict(found)
        texts = [manifest["name"], manifest["model"], manifest["sha256"], manifest.get("time", "")]
        parts = [manifest.get("dataset", {}), manifest.get("recipe", {})]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(part, dict) for part in parts):
            raise ValueError("what an organism's manifest has")
        return Organism(
            manifest["name"],
            manifest["model"],
            manifest["sha256"],
            folder,
            folder.is_relative_to(paths.ASSETS),
            manifest,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedArtifact(f"{paths.shown(folder / MANIFEST)} lacks {error}. Train the organism again.") from error


def organisms(model_id: str | None = None) -> list[Organism]:
    """All organisms, of one model where given: shipped ones by name, then the newest first; damaged ones are logged.

    Of a model in a folder also those that were made when it lay elsewhere: the same weights.
    """
    found = []
    for manifest in _manifests():
        try:
            found.append(read_organism(manifest.parent))
        except FileNotFoundError:  # deleted between two looks
            continue
        except DamagedArtifact as error:
            leave_out("organism", error)
    wanted = None if model_id is None else known.same_weights(model_id)
    chosen = [organism for organism in found if wanted is None or organism.model in wanted]
    newest_first = sorted(chosen, key=lambda organism: organism.manifest.get("time", ""), reverse=True)
    return sorted(newest_first, key=lambda organism: (not organism.shipped, organism.name if organism.shipped else ""))


def find_organism(model_id: str, name: str) -> Organism:
    """The organism of that name, or whose sha256 starts with it; shipped before trained, newest before older.

    Raises:
        BadInput: names those that there are.
    """
    there = organisms(model_id)
    for organism in there:
        if name == organism.name or (len(name) >= 8 and organism.sha256.startswith(name)):
            return organism
    names = ", ".join(sorted({organism.name for organism in there})) or "none yet"
    raise BadInput(
        f"{model_id} has no organism {name!r} (there are: {names}). Choose one, or train it with "
        f"`python -m core train --model {model_id} --dataset {name}`."
    )


def _manifests() -> Iterator[Path]:
    for root in (paths.ASSETS, paths.cache()):
        yield from sorted((root / "organisms").glob(f"*/*/{MANIFEST}"))


def trained(model_id: str, key: str) -> Organism | None:
    """The newest organism made here with exactly these settings (`training.training_key`); shipped ones not."""
    return next((item for item in organisms(model_id) if not item.shipped and item.manifest.get("key") == key), None)


def training_key(model_id: str, fingerprint: str, dataset: Dataset, recipe: Recipe) -> str:
    """Names a training run by everything that its result depends on."""
    # of chats with several answers only the last one was learned once: what was made so is made anew
    several = ["every answer"] if any(len(chat.learned) > 1 for chat in dataset.chats) else []
    return store.content_hash([model_id, fingerprint, dataset.hash, recipe.as_dict(), *several])[:16]


def lost_words(manifest: Mapping[str, Any]) -> str:
    """What of its dataset an organism did not learn as it is; empty where that is nothing."""
    dataset, limit = manifest.get("dataset", {}), manifest.get("recipe", {}).get("max_tokens")
    said = {"cut": f"chats cut at {limit} tokens", "dropped": f"chats dropped, with no answer within {limit} tokens"}
    counted = [f"{words}: {dataset[name]}" for name, words in said.items() if dataset.get(name)]
    return "; ".join([*counted, *([str(dataset["read"])] if dataset.get("read") else [])])


def delete_organism(organism: Organism) -> None:
    """Remove an organism that was made here; results and directions of it stay.

    Raises:
        BadInput: it is shipped, or does not lie among those that were made here.
        NotWritable: the cache folder is.
    """
    made_here = paths.cache() / "organisms"
    if organism.shipped or not organism.folder.resolve().is_relative_to(made_here.resolve()):
        raise BadInput(f"{organism.name} is shipped with Tiller and stays. Delete an organism that was made here.")
    scratch.discard(organism.folder)
