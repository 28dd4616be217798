"""The Spillover page's controls. Each changes the session's choices; nothing is computed by them."""

from __future__ import annotations

import streamlit as st

from core.results import Result
from core.studies.spillover.tables import RATES, doses, sites, unit
from core.words import coefficient
from pages.parts.methods import term
from pages.parts.spillover.choice import MODES, STATE, Shown, beside_name, site_name
from pages.parts.study import bar

RATE_NAMES = {"all": "all answers", "coherent": "coherent only", "clean": "clean"}
RATE_HELP = (
    "**all answers**: the share with code, broken or not. **coherent only**: the share with code among answers that "
    "are not broken. **clean**: the share that is not broken *and* holds no code, which breakage cannot raise."
)
MODE_HELP = (
    f"**{term('intervention-add', 'add')}**: the direction is added (negative: subtracted). "
    f"**{term('intervention-ablate', 'ablate')}**: a share of its projection is removed."
)


def show_bar(now: Shown) -> None:
    """Organism, direction, mode, model and measurement where there are several, and the link."""
    with st.container(key="spillover-top", horizontal=True, vertical_alignment="bottom", gap="small"):
        bar.show_organism(STATE, now.model, now.organisms, now.organism, width=170)
        if now.direction is not None:
            there = {**now.directions, now.direction: now.directions.get(now.direction, now.direction)}
            bar.show_list(STATE, "Direction", "direction", now.direction, there, width=300)
        bar.show_switch(STATE, "Mode", "mode", now.mode, MODES, help=MODE_HELP, width="content")
        bar.show_model(STATE, now.models, now.model)
        bar.show_measurement(STATE, now, measurement, width=400)
        bar.show_link(STATE, now)


def measurement(result: Result) -> str:
    """What tells one result from another of the same direction."""
    summary, settings = result.summary, result.summary["settings"]
    where = ", ".join(site_name(site) for site in sites(summary))
    return (
        f"{bar.made(result)} · n = {summary['n']} · block {where}, {coefficient(summary['dose']['coefficient'])} · "
        f"{settings.get('max_tokens', 'unknown')} tokens · seed {settings.get('seed', 'unknown')}"
    )


def show_rate(now: Shown) -> None:
    """Which share the dose-response shows."""
    names = {key: RATE_NAMES[key] for key in RATES}
    bar.show_switch(
        STATE, "Share", "rate", now.choice.rate, names, help=RATE_HELP, label_visibility="collapsed", width="content"
    )


def show_site(now: Shown) -> None:
    """Which block, where several were measured."""
    names = {site_name(site): f"block {site_name(site)}" for site in sites(now.summary)}
    if len(names) > 1:
        bar.show_switch(
            STATE, "Block", "block", site_name(now.site), names, label_visibility="collapsed", width="content"
        )


def show_dose(now: Shown) -> None:
    """The dose that is looked at, also by a click on a point of the dose-response; and the control of the last pane."""
    chosen = now.summary["dose"]["coefficient"]
    there = {dose: coefficient(dose) + (" (chosen)" if dose == chosen else "") for dose in doses(now.summary, now.site)}
    bar.show_list(STATE, unit(now.summary).capitalize(), "dose", now.dose, there, width=170)
    if now.besides:
        names = {key: beside_name(key) for key in now.besides}
        bar.show_list(STATE, "Control", "beside", now.beside, names, width=210)
