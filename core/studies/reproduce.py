"""Everything from nothing: train, extract, separate, measure spillover, and one report of it all.

Each step looks first whether exactly it was done before, so a killed run goes on where it was and a second one only
writes the report again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, TillerError
from core.models import sources
from core.models.catalog import ModelSpec, resolve
from core.organisms.library import Organism, find_organism, trained, training_key

if TYPE_CHECKING:
    from core.directions.library import DirectionCard
    from core.results import Result

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Profile:
    """What to reproduce: a model, a recipe, and the options of each study.

    Attributes:
        contrasts: of the separation studies and of the insecure organism's directions.
        choose: whether block and coefficient are chosen anew before spillover is measured.
        spillover: options of each spillover study; `organism` is `insecure` or `secure`.
    """

    name: str
    model: str
    recipe: str = "quick"
    contrasts: tuple[str, ...] = ("model", "content")
    choose: bool = False
    spillover: tuple[dict[str, Any], ...] = field(default_factory=tuple)


# what accompanies the first study is smaller: every setting is as many answers again
SPILLOVER: tuple[dict[str, Any], ...] = (
    {"organism": "insecure"},
    {"organism": "insecure", "mode": "ablate", "coefficients": (0.5, 1.0), "controls": ("random",), "per_suite": 30},
    {"organism": "secure", "coefficients": (-1.0, -0.5), "controls": ("wrong_source",), "per_suite": 30},
)
PROFILES = {
    # block and coefficient of the catalog were chosen for this model, recipe and data by `core choose`
    "embedded": Profile("embedded", "smollm2-135m", spillover=SPILLOVER),
}


@dataclass(frozen=True)
class Reproduced:
    """What was made, in order: `organisms` and `directions` by what they are called here, and the studies."""

    profile: Profile
    organisms: dict[str, Organism]
    directions: dict[str, DirectionCard]
    studies: tuple[Result, ...]


def profile(name: str) -> Profile:
    """A profile by name; `BadInput` names those that there are."""
    if name not in PROFILES:
        raise BadInput(f"There is no profile {name!r}. Choose {' or '.join(PROFILES)}.")
    return PROFILES[name]


def run(
    chosen: Profile,
    shipped: bool = False,
    device: str | None = None,
    report: Report | None = None,
) -> Reproduced:
    """Do whatever is not done yet, and return all of it.

    Args:
        shipped: start from the organisms that ship, and train nothing.

    Raises:
        BadInput: the model is not on this machine, or a study refuses its settings.
    """
    from core.studies import separation, spillover

    tell = report or _silent
    spec = resolve(chosen.model)
    organisms = {
        name: find_organism(spec.id, name) if shipped else _trained(spec, name, chosen.recipe, device, tell)
        for name in ("insecure", "secure")
    }
    # by the hash of its weights: another organism of the same name may be shipped
    named = {name: organism.sha256[:16] for name, organism in organisms.items()}
    directions = {
        f"{name} {contrast}": _direction(
            chosen.model, named[name], contrast, named["secure"], device, _under(tell, name)
        )
        for name, contrast in (*(("insecure", contrast) for contrast in chosen.contrasts), ("secure", "model"))
    }
    studies = [
        separation.run(
            separation.from_options(
                model=chosen.model, organism=named["insecure"], contrast=contrast, secure=named["secure"]
            ),
            device,
            _under(tell, f"separation, {contrast} contrast"),
        )
        for contrast in chosen.contrasts
    ]
    if chosen.choose:
        from core.studies import choice

        studies.append(choice.run(chosen.model, named["insecure"], None, None, device, _under(tell, "choice")))
    for options in chosen.spillover:
        what = f"spillover, {options['organism']} organism, {options.get('mode', 'add')}"
        settings = spillover.from_options(model=chosen.model, **{**options, "organism": named[options["organism"]]})
        studies.append(spillover.run(settings, device, _under(tell, what)))
    return Reproduced(chosen, organisms, directions, tuple(studies))


def _trained(spec: ModelSpec, name: str, recipe_name: str, device: str | None, tell: Report) -> Organism:
    from core.data.datasets import load_dataset
    from core.organisms.recipes import recipe as find_recipe

    data, chosen = load_dataset(name), find_recipe(recipe_name)
    if sources.is_ready(spec):
        made = trained(spec.id, training_key(spec.id, sources.fingerprint(spec), data, chosen))
        if made:
            return made
    from core.organisms.training import train

    tell(f"training {name}: loading the model", 0, 1)
    organism = train(spec, data, chosen, device=device, report=lambda at: tell(f"training {name}", at.step, at.steps))
    if organism is None:
        raise TillerError("Training was stopped. Run the same command again to go on.")
    return organism


def _direction(
    model: str, organism: str, contrast: str, secure: str, device: str | None, tell: Report
) -> DirectionCard:
    from core.studies import extraction

    found = extraction.find(model, organism, contrast, secure)
    if found is None:
        found = extraction.extract(
            model, organism, contrast, secure, device=device,
            report=lambda done, of: tell(f"{contrast} direction", done, of),
        )  # fmt: skip
    return found


def _under(tell: Report, what: str) -> Report:
    """A report whose stages say what they belong to."""

    def told(stage: str, done: int, of: int) -> None:
        tell(f"{what}: {stage}", done, of)

    return told


def _silent(_: str, __: int, ___: int) -> None:
    pass
