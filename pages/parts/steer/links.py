"""The Steer page's settings: one copy a session, in step with the link.

The link is written whenever a setting changes; one that this session did not write itself (opened, typed, Back)
is followed. What a link gets wrong falls back, with a note. A link names a model by its id alone: it opens no folder,
and loads nothing before a click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.directions import library
from core.errors import TillerError
from core.generation.comparison import Settings, from_link, to_link
from core.generation.saved import find_example, find_preset
from core.models.catalog import exact
from core.organisms.library import find_organism
from core.studies.plan import complete
from pages.parts import address, models

SETTINGS, EXAMPLE, NOTES = "steer_settings", "steer_example", "steer_notes"
OF_LINK = "steer_model_of_link"  # the model that the last link named
PAGE = "steer"
WIDGET = "steer.generate"  # there while the page has not been left
RESULTS = ("steer_job_panes", "steer_job_control", "steer_job_strip")


def settings() -> Settings:
    """The session's settings as chosen: what is None is filled in by `complete`."""
    return st.session_state.setdefault(SETTINGS, Settings())


def change(**values: Any) -> None:
    """Change some settings. Another direction keeps the block where it has a vector there."""
    if values.get("direction") and settings().block is not None:
        card = next((card for card in library.cards() if card.id == values["direction"]), None)
        if card is not None and settings().block not in card.with_vector:
            values = {"block": None, "last_block": None, **values}
    st.session_state[SETTINGS] = Settings.model_validate({**settings().model_dump(), **values})


def open_example(identity: str) -> None:
    """Show a saved example and take its settings. Raises `BadInput` for an unknown one."""
    example = find_example(identity)
    forget_results()
    st.session_state.update({SETTINGS: example.settings, EXAMPLE: example.id, NOTES: []})


def open_preset(identity: str) -> None:
    """Take a preset's settings. Raises `BadInput` for an unknown one."""
    preset = find_preset(identity)
    forget_results()
    st.session_state.update({SETTINGS: preset.settings, EXAMPLE: None, NOTES: []})


def forget_results() -> None:
    """Empty the panes; what runs is not stopped by this."""
    for key in RESULTS:
        st.session_state.pop(key, None)


def follow_link() -> Sequence[str]:
    """Take in the link unless this session wrote it; notes on what was not understood, until the next choice."""
    given = address.news(PAGE, WIDGET in st.session_state)
    if given is not None:
        chosen, example, notes = read_link(given)
        if "preset" in given or (example is not None and example != st.session_state.get(EXAMPLE)):
            forget_results()
        named = chosen.model if "model" in given and chosen.model != Settings().model else None
        st.session_state.update({SETTINGS: chosen, EXAMPLE: example, NOTES: notes, OF_LINK: named})
    return st.session_state.get(NOTES, ())


def may_load_unasked() -> bool:
    """Whether the model may be loaded before a click: not one that a link chose, which anybody can have written."""
    return settings().model != st.session_state.get(OF_LINK)


def write_link() -> None:
    """Put the settings, and the example that is shown, into the address."""
    address.write(PAGE, parameters())


def parameters() -> dict[str, str]:
    """Query parameters that restore what is shown. A model that does not exist is left out."""
    chosen, opened = settings(), st.session_state.get(EXAMPLE)
    try:
        link = to_link(chosen)
    except TillerError:
        link = to_link(chosen.model_copy(update={"model": Settings().model}))
    if opened is None:
        return link
    if find_example(opened).settings == chosen:
        return {"example": opened}
    return {"example": opened, **(link or {"prompt": chosen.prompt})}


def full_address() -> str:
    """The whole address to copy."""
    return address.whole("Steer", parameters())


def read_link(given: Mapping[str, str]) -> tuple[Settings, str | None, list[str]]:
    """(settings, id of a saved example, notes) of query parameters."""
    start, example, notes = Settings(), None, []
    try:
        if "example" in given:
            found = find_example(given["example"])
            start, example = found.settings, found.id
        elif "preset" in given:
            start = find_preset(given["preset"]).settings
    except TillerError as error:
        notes.append(str(error))
    if any(key in Settings.model_fields for key in given):
        start, more = from_link(given)
        notes += more
    usable, more = fall_back(start)
    return usable, example, notes + more


def fall_back(chosen: Settings) -> tuple[Settings, list[str]]:
    """Settings of a link that name what exists: what does not falls back to its default, with a note."""
    notes = []
    try:
        spec = models.by_id(chosen.model)
        model, chosen = spec.id, chosen.model_copy(update={"model": exact(spec)})
    except TillerError as error:
        plain = Settings()
        unset = {"organism": plain.organism, "direction": None, "block": None, "last_block": None, "coefficient": None}
        return fall_back(chosen.model_copy(update={"model": plain.model, **unset}))[0], [str(error)]
    if chosen.organism:
        try:
            find_organism(model, chosen.organism)
        except TillerError as error:
            usual = Settings()
            named = chosen.organism != usual.organism
            notes += [str(error)] if named else []
            other = usual.organism if named and model == usual.model else None
            chosen = chosen.model_copy(update={"organism": other})
    try:
        complete(chosen)
    except TillerError as error:
        fields = ("direction", "block", "last_block", "coefficient")
        for dropped in (fields[:1], fields[1:3], fields[3:], fields):
            candidate = chosen.model_copy(update=dict.fromkeys(dropped))
            if candidate != chosen and _completes(candidate):
                return candidate, [*notes, str(error)]
    return chosen, notes


def _completes(chosen: Settings) -> bool:
    try:
        complete(chosen)
    except TillerError:
        return False
    return True
