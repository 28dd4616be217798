"""What a study takes from memory rather than by name. Torch is imported only when something is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models import sources
from core.models.catalog import CATALOG, resolve
from core.models.spec import MemorySource, ModelSpec
from core.organisms.library import Organism, find_organism, organisms

if TYPE_CHECKING:
    from core.models.loading import LoadedModel
    from core.organisms.adapters import Adapter


@dataclass(frozen=True)
class Given:
    """Things in memory. Settings name them as any others: the model by its id, an organism by its hash.

    Directions and prompts are not among them: kept in the cache, each is named by what it holds.

    Attributes:
        loaded: is used wherever its id is asked for, and its fingerprint is what a saved result must have.
        adapters: of that model.
    """

    loaded: LoadedModel | None = None
    adapters: tuple[Adapter, ...] = ()

    def model(self, text: str) -> ModelSpec:
        """The model that `text` names: the one in memory by its id, else as `catalog.resolve` says."""
        if self.loaded is None or text != self.loaded.id or text in CATALOG:
            return resolve(text)
        return ModelSpec(text, text, "unknown", None, MemorySource(), "unknown")

    def organism(self, model_id: str, text: str) -> Organism | Adapter:
        """The organism that `text` names: one that is kept, else the one in memory with this hash.

        Raises:
            BadInput: names those that there are.
        """
        kept = {item.sha256 for item in organisms(model_id)}
        own = (item for item in self.adapters if item.sha256 == text and text not in kept)
        return next(own, None) or find_organism(model_id, text)

    def fingerprint(self, spec: ModelSpec) -> str | None:
        """Of the weights that a study of this model would use; None where they are not here."""
        if self.loaded is not None and self.loaded.id == spec.id:
            return self.loaded.fingerprint
        return sources.fingerprint(spec) if sources.is_ready(spec) else None

    def load(self, spec: ModelSpec, device: str | None) -> LoadedModel:
        """The model in memory where it is the one that is asked for, else a new one."""
        from core.models.loading import load

        return self.loaded if self.loaded is not None and self.loaded.id == spec.id else load(spec, device)

    def adapter(self, loaded: LoadedModel, organism: Organism | Adapter) -> Adapter:
        """The organism on a model that `load` gave."""
        from core.organisms.adapters import load_adapter

        own = (item for item in self.adapters if item.sha256 == organism.sha256 and loaded is self.loaded)
        found = next(own, None)
        if found is not None:
            found.check(loaded)
            return found
        assert isinstance(organism, Organism)  # what is in memory alone came out of `adapters`
        return load_adapter(loaded, organism.folder, organism.name)

    def nameless(self, specs: Sequence[ModelSpec]) -> bool:
        """Whether a study of these models takes from memory what no command could name."""
        kept = {item.sha256 for spec in specs for item in organisms(spec.id)}
        return any(isinstance(spec.source, MemorySource) for spec in specs) or any(
            item.sha256 not in kept for item in self.adapters
        )


NOTHING = Given()
