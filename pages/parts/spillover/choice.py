"""What the Spillover page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.directions.names import label
from core.models.catalog import CATALOG, DEFAULT_ID
from core.results import Result
from core.studies.spillover.settings import KIND
from core.studies.spillover.tables import RATES, Row, Site, dose_row, doses, sites
from core.words import coefficient, minus
from pages.parts import choices
from pages.parts.choices import LINKED, one_of, organism_names, take
from pages.parts.study.reading import Reading, read_filters, read_prompt
from pages.parts.study.state import State

CHOICE, NOTES = choices.session_keys("spillover")
USUAL_ORGANISM, USUAL_MODE = "insecure", "add"
MODES = {"add": "add", "ablate": "ablate"}
PANES = ("base", "organism", "steered", "control")
NAMES = ("model", "organism", "direction", "mode")  # what a result is of; each has others of what comes after it


@dataclass(frozen=True)
class Choice(Reading):
    """What was chosen; None is the usual. `direction` is an id, `block` as `13` or `0-29`.

    `beside` is the control in the last pane: a name, or `draw-7` for the draw with that seed.
    """

    model: str | None = None
    organism: str | None = None
    direction: str | None = None
    mode: str | None = None
    result: str | None = None
    block: str | None = None
    dose: float | None = None
    rate: str = "all"
    beside: str | None = None


@dataclass(frozen=True)
class Shown:
    """What the choices come to. `result` is None where that has not been measured here."""

    choice: Choice
    models: tuple[str, ...]
    organisms: tuple[str, ...]
    directions: dict[str, str]
    modes: tuple[str, ...]
    model: str
    organism: str
    direction: str | None
    mode: str
    candidates: tuple[Result, ...]
    result: Result | None
    site: Site
    dose: float
    steered: Row
    besides: dict[str, Row]

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.summary if self.result else {}

    @property
    def beside(self) -> str | None:
        """Which control is looked at; None where none was measured at this dose."""
        return self.choice.beside if self.choice.beside in self.besides else next(iter(self.besides), None)


def settle(values: dict[str, Any]) -> dict[str, Any]:
    """Another model, organism, direction or mode has other results."""
    order = (*NAMES, "result")
    changed = [place for place, name in enumerate(order) if name in values]
    if not changed:
        return values
    below = dict.fromkeys(order[min(changed) + 1 :])
    return {**below, "block": None, "dose": None, "beside": None, "moved": None, "prompt": 1, **values}


def resolve(choice: Choice, there: Sequence[Result]) -> Shown:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    models, model = choices.pick((item.summary["model"] for item in there), choice.model, DEFAULT_ID)
    found = [item for item in there if item.summary["model"] == model]
    names, organism = choices.pick((item.summary["organism"] for item in found), choice.organism, USUAL_ORGANISM)
    found = [item for item in found if item.summary["organism"] == organism]
    directions = {item.summary["direction"]: item.summary["direction_name"] for item in reversed(found)}
    usual = next((item for item in found if item.summary["mode"] == USUAL_MODE), next(iter(found), None))
    direction = choice.direction or (usual.summary["direction"] if usual else None)
    found = [item for item in found if item.summary["direction"] == direction]
    modes, mode = choices.pick((item.summary["mode"] for item in found), choice.mode, USUAL_MODE)
    candidates = tuple(item for item in found if item.summary["mode"] == mode)
    result = choices.pick_result(candidates, choice.result)
    common = (choice, models, names, directions, modes, model, organism, direction, mode, candidates)
    if result is None:
        return Shown(*common, None, (0, None), 0.0, {}, {})
    summary = result.summary
    by_name = {site_name(site): site for site in sites(summary)}
    site = by_name.get(choice.block or "", next(iter(by_name.values())))
    there_are = doses(summary, site)
    usual_dose = summary["dose"]["coefficient"]
    dose = choice.dose if choice.dose in there_are else usual_dose if usual_dose in there_are else there_are[0]
    assert dose is not None
    steered = dose_row(summary, "true", site, dose)
    assert steered is not None
    return Shown(*common, result, site, dose, steered, _besides(summary, site, dose, bool(steered["chosen"])))


def beside_name(key: str) -> str:
    """What a control is called in a list."""
    return f"random, draw {key.removeprefix('draw-')}" if key.startswith("draw-") else label(key)


def site_name(site: Site) -> str:
    """A site in a link: `13`, `0-29`."""
    return f"{site[0]}" if site[1] is None else f"{site[0]}-{site[1]}"


def read_link(given: Mapping[str, str], there: Sequence[Result]) -> tuple[Choice, list[str]]:
    """(choices, notes) of query parameters; what a link gets wrong is left out, with a note."""
    notes: list[str] = []
    choice = choices.take_result(Choice(), given, there, NAMES, notes)
    if choice.result is None:
        choice = _read_names(choice, given, there, notes)
    choice = take(choice, "rate", given, RATES, notes)
    now = resolve(choice, there)
    if now.result is not None:
        choice = take(choice, "block", given, [site_name(site) for site in sites(now.summary)], notes)
        there_are = {coefficient(dose): dose for dose in doses(now.summary, resolve(choice, there).site)}
        given = {**given, **({"dose": minus(given["dose"])} if "dose" in given else {})}
        choice = take(choice, "dose", given, there_are, notes, convert=there_are.get)
        besides = resolve(choice, there).besides
        few = one_of(name for name in besides if not name.startswith("draw-"))
        choice = take(choice, "beside", given, besides, notes, few)
        choice = read_prompt(choice, given, now.summary, notes)
    return read_filters(choice, given, PANES, notes), notes


def parameters(now: Shown, whole: bool = False) -> dict[str, str]:
    """Query parameters that restore what is shown; without `whole`, only what is not as usual."""
    found = choices.unusual(now.choice)
    if now.result is None:
        return found
    found.pop("result", None)
    for name, real in (("block", site_name(now.site)), ("dose", f"{now.dose:g}"), ("beside", now.beside)):
        if name in found and found[name] != real:
            del found[name]
    if whole:
        found |= {name: str(getattr(now, name)) for name in NAMES}
        found |= {"result": now.result.key[:LINKED], "block": site_name(now.site), "dose": f"{now.dose:g}"}
    elif now.result is not now.candidates[0]:
        found["result"] = now.result.key[:LINKED]
    return found


def _besides(summary: dict[str, Any], site: Site, dose: float, chosen: bool) -> dict[str, Row]:
    """The controls that answered at a dose, the random one first; at the chosen dose every draw too."""
    at_dose = [
        row for row in summary["doses"] if ((row["block"], row["last_block"]), row["coefficient"]) == (site, dose)
    ]
    found = {row["direction"]: row for row in at_dose if row["direction"] != "true"}
    drawn = {f"draw-{row['seed']}": row for row in summary["random_draws"]} if chosen else {}
    return {**found, **drawn}


def _read_names(choice: Choice, given: Mapping[str, str], there: Sequence[Result], notes: list[str]) -> Choice:
    """Model, organism, direction and mode."""
    choice = take(choice, "model", given, [*CATALOG, *(item.summary["model"] for item in there)], notes)
    model = choice.model or DEFAULT_ID
    of_model = [item.summary for item in there if item.summary["model"] == model]
    known = [*organism_names(model), *(summary["organism"] for summary in of_model)]
    choice = take(choice, "organism", given, known, notes)
    of_direction = {summary["direction"]: summary for summary in of_model[::-1]}
    choice = take(choice, "direction", given, of_direction, notes)
    if choice.direction and choice.organism is None:
        choice = replace(choice, organism=of_direction[choice.direction]["organism"])
    return take(choice, "mode", given, MODES, notes)


STATE: State[Choice, Shown] = State("Spillover", KIND, Choice(), resolve, read_link, parameters, settle, (*NAMES,))
