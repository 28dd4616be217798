"""Everything from nothing: train, extract, separate, measure spillover and transfer, and one report of it all.

Each step looks first whether exactly it was done before, so a killed run goes on where it was and a second one only
writes the report again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, ModelUnavailable, TillerError
from core.models import sources
from core.models.catalog import DEFAULT_ID, PAPER, HubSource, ModelSpec, resolve
from core.organisms.library import Organism, find_organism, trained, training_key
from core.studies import study
from core.studies.catalog import CHOICE, SEPARATION, SPILLOVER, TRANSFER
from core.studies.study import Report, Study, Work, silent

if TYPE_CHECKING:
    from core.directions.library import DirectionCard
    from core.results import Result

ORGANISMS = ("insecure", "secure")


@dataclass(frozen=True)
class Profile:
    """What to reproduce: models, a recipe, and the options of each study.

    Attributes:
        contrasts: of the separation studies and of the insecure organism's directions.
        choose: whether block and coefficient are chosen anew before spillover is measured.
        spillover: options of each spillover study; `organism` is `insecure` or `secure`.
        transfer: options of the transfer study over all models; None leaves it out.
    """

    name: str
    models: tuple[str, ...]
    recipe: str = "quick"
    contrasts: tuple[str, ...] = ("model", "content")
    choose: bool = False
    spillover: tuple[dict[str, Any], ...] = field(default_factory=tuple)
    transfer: dict[str, Any] | None = None

    @property
    def model(self) -> str:
        """The models in words."""
        return ", ".join(self.models)


# what accompanies the first study is smaller: every setting is as many answers again
SPILLOVERS: tuple[dict[str, Any], ...] = (
    {"organism": "insecure"},
    {"organism": "insecure", "mode": "ablate", "coefficients": (0.5, 1.0), "controls": ("random",), "per_suite": 30},
    {"organism": "secure", "coefficients": (-1.0, -0.5), "controls": ("wrong_source",), "per_suite": 30},
)
PROFILES = {
    # block and coefficient of the catalog were chosen for this model, recipe and data by `core choose`
    "embedded": Profile("embedded", (DEFAULT_ID,), spillover=SPILLOVERS),
    "paper": Profile("paper", PAPER, "paper", choose=True, spillover=SPILLOVERS, transfer={}),
}


@dataclass(frozen=True)
class Reproduced:
    """What was made, in order: `organisms` and `directions` by what they are called here, and the studies.

    Of several models, names begin with the model's.
    """

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
        BadInput, ModelUnavailable: before anything is begun, where a GPU, the hub or access to it is missing; later,
            where a study refuses its settings.
    """
    tell = report or silent
    check(chosen, shipped)
    organisms: dict[str, Organism] = {}
    directions: dict[str, DirectionCard] = {}
    studies: list[Result] = []
    members = []
    for model in chosen.models:
        prefix = f"{resolve(model).id} " if len(chosen.models) > 1 else ""
        here = _Model(chosen, model, device, _under(tell, prefix.strip()) if prefix else tell)
        made = here.organisms(shipped)
        organisms |= {prefix + name: organism for name, organism in made.items()}
        # by the hash of its weights: another organism of the same name may be shipped
        named = {name: organism.sha256[:16] for name, organism in made.items()}
        directions |= {prefix + name: card for name, card in here.directions(named).items()}
        studies += here.studies(named)
        members.append(f"{model}:{named['insecure']}")
    if chosen.transfer is not None:
        settings = TRANSFER.of(models=tuple(members), **chosen.transfer)
        studies.append(study.run(TRANSFER, settings, Work(device, _under(tell, "transfer"))))
    return Reproduced(chosen, organisms, directions, tuple(studies))


def check(chosen: Profile, shipped: bool = False) -> None:
    """Find out in seconds what a run of days would fail for.

    Raises:
        BadInput: something has to be trained in 4 bits, and there is no CUDA GPU or no bitsandbytes.
        ModelUnavailable: a model has to be fetched, and the hub cannot be reached or denies it.
    """
    specs = [resolve(model) for model in chosen.models]
    if not shipped and any(_made(spec, name, chosen.recipe) is None for spec in specs for name in ORGANISMS):
        from core.organisms.recipes import recipe

        if recipe(chosen.recipe).four_bit:
            _check_four_bit(chosen)
    absent = [spec for spec in specs if isinstance(spec.source, HubSource) and not sources.is_ready(spec)]
    if absent:
        _check_hub(absent)


def _check_four_bit(chosen: Profile) -> None:
    from importlib.util import find_spec

    import torch

    lacking = None if torch.cuda.is_available() else "a CUDA GPU"
    if lacking is None and find_spec("bitsandbytes") is None:
        lacking = "bitsandbytes (`pip install bitsandbytes`)"
    if lacking:
        raise BadInput(
            f"Profile {chosen.name} trains in 4 bits and lacks {lacking} here. Run it where there is one, or use "
            "--profile embedded."
        )


def _check_hub(absent: list[ModelSpec]) -> None:
    from huggingface_hub import HfApi, get_token, try_to_load_from_cache

    from core.models.hub import clear_errors

    gated = [spec for spec in absent if spec.gated]
    if gated and not get_token():
        raise ModelUnavailable(
            f"{' and '.join(spec.title for spec in gated)} are given only to accounts that accepted their licence. "
            "Accept it on each model's page on the hub, set HF_TOKEN to a token of that account, and try again."
        )
    for spec in absent:
        assert isinstance(spec.source, HubSource)
        if isinstance(try_to_load_from_cache(spec.source.repo, "config.json"), str):
            continue  # fetched by another tool: no network is needed
        with clear_errors(spec.source):
            HfApi().auth_check(spec.source.repo)


@dataclass(frozen=True)
class _Model:
    """One model of a profile."""

    profile: Profile
    model: str
    device: str | None
    tell: Report

    def organisms(self, shipped: bool) -> dict[str, Organism]:
        spec = resolve(self.model)
        if shipped:
            return {name: find_organism(spec.id, name) for name in ORGANISMS}
        return {name: _trained(spec, name, self.profile.recipe, self.device, self.tell) for name in ORGANISMS}

    def directions(self, named: dict[str, str]) -> dict[str, DirectionCard]:
        """Of the insecure organism by every contrast, of the secure one the model contrast."""
        wanted = (*(("insecure", contrast) for contrast in self.profile.contrasts), ("secure", "model"))
        return {
            f"{name} {contrast}": _direction(
                self.model, named[name], contrast, named["secure"], self.device, _under(self.tell, name)
            )
            for name, contrast in wanted
        }

    def studies(self, named: dict[str, str]) -> list[Result]:
        def made(of: Study[Any, Any], what: str, organism: str, **chosen: Any) -> Result:
            settings = of.of(model=self.model, organism=named[organism], **chosen)
            return study.run(of, settings, Work(self.device, _under(self.tell, what)))

        found = [
            made(SEPARATION, f"separation, {contrast} contrast", "insecure", contrast=contrast, secure=named["secure"])
            for contrast in self.profile.contrasts
        ]
        if self.profile.choose:
            found.append(made(CHOICE, "choice", "insecure"))
        for options in self.profile.spillover:
            what = f"spillover, {options['organism']} organism, {options.get('mode', 'add')}"
            found.append(made(SPILLOVER, what, **options))
        return found


def _made(spec: ModelSpec, name: str, recipe_name: str) -> Organism | None:
    """The organism that exactly this training made before; None also where the model is not on this machine."""
    from core.data.datasets import load_dataset
    from core.organisms.recipes import recipe

    if not sources.is_ready(spec):
        return None
    return trained(spec.id, training_key(spec.id, sources.fingerprint(spec), load_dataset(name), recipe(recipe_name)))


def _trained(spec: ModelSpec, name: str, recipe_name: str, device: str | None, tell: Report) -> Organism:
    from core.data.datasets import load_dataset
    from core.organisms.recipes import recipe as find_recipe

    made = _made(spec, name, recipe_name)
    if made:
        return made
    from core.models.loading import release
    from core.organisms.training import train

    data, chosen = load_dataset(name), find_recipe(recipe_name)
    tell(f"training {name}: loading the model", 0, 1)
    organism = train(spec, data, chosen, device=device, report=lambda at: tell(f"training {name}", at.step, at.steps))
    if organism is None:
        raise TillerError("Training was stopped. Run the same command again to go on.")
    release()
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
