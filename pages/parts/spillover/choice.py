"""What the Spillover page shows: the session's choices, what they resolve to, and the link that restores them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core import results
from core.errors import TillerError
from core.figures.spillover_changes import AFTER, BEFORE
from core.figures.spillover_tables import RATES, Row, Site, dose_row, doses, label, plain, sites
from core.models.catalog import CATALOG, DEFAULT_ID
from core.organisms.library import organisms
from core.results import Place, Result
from core.studies.spillover import KIND
from pages.parts import address

PAGE = "spillover"
CHOICE, NOTES = "spillover_choice", "spillover_notes"
WIDGET = "spillover.measure"  # there while the page has not been left
USUAL_ORGANISM = "insecure"
MODES = {"add": "add", "ablate": "ablate"}
PANES = {"base": "base", "organism": "organism", "steered": "steered", "control": "control"}
MOVES = tuple(f"{before}-{after}" for before in BEFORE for after in AFTER)
SHORTEST_KEY, LINKED = 6, 10  # characters of a result's key that a link needs, and has
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Choice:
    """What was chosen; None is the usual. `direction` is an id, `block` as `13` or `0-29`, `prompt` counts from 1.

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
    tier: str | None = None
    moved: str | None = None
    code: str | None = None
    broken: str | None = None
    find: str = ""
    prompt: int = 1


@dataclass(frozen=True)
class Shown:
    """What the choices come to. `result` is None where that has not been measured here."""

    choice: Choice
    there: tuple[Result, ...]
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


def shown() -> tuple[Shown, Sequence[str]]:
    """What to show now, and notes on a link that was not understood, until the next choice."""
    there = saved()
    given = address.news(PAGE, WIDGET in st.session_state)
    if given is not None:
        choice, notes = read_link(given, there)
        st.session_state.update({CHOICE: choice, NOTES: notes})
    return current(), st.session_state.get(NOTES, ())


def current() -> Shown:
    """What to show by the session's choices, whatever the address says."""
    return resolve(st.session_state.setdefault(CHOICE, Choice()), saved())


def saved() -> tuple[Result, ...]:
    """All results, read again only when one has come, gone or changed."""
    return _saved(tuple(place for place in results.places() if place.kind == KIND))


@functools.lru_cache(maxsize=2)
def _saved(_: tuple[Place, ...]) -> tuple[Result, ...]:
    return tuple(results.results(KIND))


def choose(**values: Any) -> None:
    """Change some choices. Another model, organism, direction or mode has other results."""
    order = ("model", "organism", "direction", "mode", "result")
    changed = [place for place, name in enumerate(order) if name in values]
    if changed:
        below = dict.fromkeys(order[min(changed) + 1 :])
        values = {**below, "block": None, "dose": None, "beside": None, "moved": None, "prompt": 1, **values}
    st.session_state.update({CHOICE: replace(st.session_state.get(CHOICE, Choice()), **values), NOTES: ()})


def open_result(summary: Mapping[str, Any]) -> None:
    """Show a result."""
    names = ("model", "organism", "direction", "mode")
    choose(**{name: summary[name] for name in names}, result=summary["key"], tier=None, find="")


def resolve(choice: Choice, there: Sequence[Result]) -> Shown:
    """What the choices come to among the results that there are; what does not exist falls back to the usual."""
    models = _distinct([*(item.summary["model"] for item in there), choice.model])
    model = choice.model or (DEFAULT_ID if DEFAULT_ID in models or not models else models[0])
    found = [item for item in there if item.summary["model"] == model]
    names = _distinct([*(item.summary["organism"] for item in found), choice.organism])
    organism = choice.organism or (USUAL_ORGANISM if USUAL_ORGANISM in names or not names else names[0])
    found = [item for item in found if item.summary["organism"] == organism]
    directions = {item.summary["direction"]: item.summary["direction_name"] for item in reversed(found)}
    usual = next((item for item in found if item.summary["mode"] == "add"), next(iter(found), None))
    direction = choice.direction or (usual.summary["direction"] if usual else None)
    found = [item for item in found if item.summary["direction"] == direction]
    modes = _distinct([*(item.summary["mode"] for item in found), choice.mode])
    mode = choice.mode or ("add" if "add" in modes or not modes else modes[0])
    candidates = tuple(item for item in found if item.summary["mode"] == mode)
    named = [item for item in candidates if choice.result and item.key.startswith(choice.result)]
    result = next(iter([*named, *candidates]), None)
    common = (choice, tuple(there), models, names, directions, modes, model, organism, direction, mode, candidates)
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
    choice = Choice()
    if "result" in given:
        found = [item.summary for item in there if _names(given["result"], item.key)]
        if found:
            same = {name: found[0][name] for name in ("model", "organism", "direction", "mode")}
            choice = replace(choice, result=found[0]["key"], **same)
        else:
            notes.append(_left_out("result", given["result"], "it is not on this machine"))
    if choice.result is None:
        choice = _read_names(choice, given, there, notes)
    choice = _take(choice, "rate", given, RATES, notes)
    now = resolve(choice, there)
    if now.result is not None:
        choice = _take(choice, "block", given, [site_name(site) for site in sites(now.summary)], notes)
        there_are = {plain(dose): dose for dose in doses(now.summary, resolve(choice, there).site)}
        given = {**given, **({"dose": given["dose"].replace("-", "−")} if "dose" in given else {})}
        choice = _take(choice, "dose", given, there_are, notes, there_are.get)
        choice = _take(choice, "beside", given, resolve(choice, there).besides, notes)
        choice = _take(choice, "tier", given, now.summary["suites"], notes)
        n = now.summary["n"]
        if given.get("prompt", "1") not in {f"{number}" for number in range(1, n + 1)}:
            notes.append(_left_out("prompt", given["prompt"], f"prompts run from 1 to {n}"))
        elif "prompt" in given:
            choice = replace(choice, prompt=int(given["prompt"]))
    choice = _take(choice, "moved", given, MOVES, notes)
    choice = _take(choice, "code", given, PANES, notes)
    choice = _take(choice, "broken", given, PANES, notes)
    return replace(choice, find=given.get("find", "")[:LONGEST_SEARCH]), notes


def parameters(now: Shown, whole: bool = False) -> dict[str, str]:
    """Query parameters that restore what is shown; without `whole`, only what is not as usual."""
    usual, found = Choice(), {}
    for name in (field.name for field in fields(Choice)):
        value = getattr(now.choice, name)
        if value != getattr(usual, name):
            found[name] = f"{value:g}" if isinstance(value, float) else str(value)
    if now.result is None:
        return found
    found.pop("result", None)
    for name, real in (("block", site_name(now.site)), ("dose", f"{now.dose:g}"), ("beside", now.beside)):
        if name in found and found[name] != real:
            del found[name]
    if whole:
        names = ("model", "organism", "direction", "mode")
        found |= {name: str(getattr(now, name)) for name in names}
        found |= {"result": now.result.key[:LINKED], "block": site_name(now.site), "dose": f"{now.dose:g}"}
    elif now.result is not now.candidates[0]:
        found["result"] = now.result.key[:LINKED]
    return found


def link(now: Shown) -> str:
    """The whole address to copy."""
    base = (st.context.url or "").rstrip("/").removesuffix("/Spillover")
    query = urlencode(parameters(now, whole=True))
    return f"{base}/Spillover{'?' + query if query else ''}"


def organism_names(model: str) -> list[str]:
    """Organisms of a model on this machine; none where the list is damaged."""
    try:
        return list(dict.fromkeys(item.name for item in organisms(model)))
    except TillerError:
        return []  # the Overview names the damaged file


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
    choice = _take(choice, "model", given, {*CATALOG, *(item.summary["model"] for item in there)}, notes)
    model = choice.model or DEFAULT_ID
    of_model = [item.summary for item in there if item.summary["model"] == model]
    known = [*organism_names(model), *(summary["organism"] for summary in of_model)]
    choice = _take(choice, "organism", given, known, notes)
    of_direction = {summary["direction"]: summary for summary in of_model[::-1]}
    choice = _take(choice, "direction", given, of_direction, notes)
    if choice.direction and choice.organism is None:
        choice = replace(choice, organism=of_direction[choice.direction]["organism"])
    return _take(choice, "mode", given, MODES, notes)


def _take(
    choice: Choice,
    name: str,
    given: Mapping[str, str],
    known: Mapping[str, Any] | Sequence[str] | set[str],
    notes: list[str],
    convert: Any = str,
) -> Choice:
    if name not in given:
        return choice
    if given[name] in known:
        return replace(choice, **{name: convert(given[name])})
    there = [item for item in known if not item.startswith("draw-")]
    reason = f"choose {', '.join(dict.fromkeys(there))}" if there else "there is none"
    notes.append(_left_out(name, given[name], reason))
    return choice


def _left_out(name: str, value: str, reason: str) -> str:
    return f"The link’s {name} {value[:40]!r} was left out: {reason}."


def _names(text: str, key: str) -> bool:
    return len(text) >= SHORTEST_KEY and key.startswith(text)


def _distinct(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name is not None))
