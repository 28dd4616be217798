"""The Spillover page's controls. Each changes the session's choices; nothing is computed by them."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from core.figures.spillover_tables import RATES, doses, sites, unit
from core.models.catalog import CATALOG
from core.words import coefficient
from pages.parts import widgets
from pages.parts.choices import organism_names
from pages.parts.literal import literal
from pages.parts.methods import term
from pages.parts.spillover.choice import (
    MODES,
    PAGE,
    Shown,
    beside_name,
    choose,
    link,
    site_name,
)

bound = functools.partial(widgets.bound, PAGE, choose)
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
        names = list(dict.fromkeys([*now.organisms, *organism_names(now.model), now.organism]))
        bound(st.selectbox, "Organism", "organism", now.organism, names, start="index", width=170)
        if now.direction is not None:
            shown = {**now.directions, now.direction: now.directions.get(now.direction, now.direction)}
            bound(
                st.selectbox, "Direction", "direction", now.direction, list(shown), start="index", width=300,
                format_func=lambda name: shown.get(name, name),
            )  # fmt: skip
        bound(
            st.segmented_control, "Mode", "mode", now.mode, list(MODES), start="default", required=True, help=MODE_HELP,
            width="content",
        )  # fmt: skip
        if len(now.models) > 1:
            bound(
                st.selectbox, "Model", "model", now.model, list(now.models), start="index", width=260,
                format_func=lambda name: CATALOG[name].title if name in CATALOG else name,
            )  # fmt: skip
        if len(now.candidates) > 1 and now.result is not None:
            made = {item.key: measurement(item.summary, item.shipped) for item in now.candidates}
            bound(
                st.selectbox, "Measurement", "result", now.result.key, list(made), start="index", width=400,
                format_func=lambda key: made.get(key, key),
            )  # fmt: skip
        with st.popover("Link", icon=":material/link:"):
            st.caption("Restores exactly this, on any machine that has the result.")
            st.code(link(now), language=None, wrap_lines=True)


def measurement(summary: dict[str, Any], shipped: bool) -> str:
    """What tells one result from another of the same direction."""
    settings = summary["settings"]
    made = "precomputed" if shipped else f"measured {str(summary['provenance'].get('time', ''))[:10]}"
    where = ", ".join(site_name(site) for site in sites(summary))
    return (
        f"{made} · n = {summary['n']} · block {where}, {coefficient(summary['dose']['coefficient'])} · "
        f"{settings.get('max_tokens', 'unknown')} tokens · seed {settings.get('seed', 'unknown')}"
    )


def show_rate(now: Shown) -> None:
    """Which share the dose-response shows."""
    bound(
        st.segmented_control, "Share", "rate", now.choice.rate, list(RATES), start="default", required=True,
        format_func=lambda name: RATE_NAMES.get(name, name), help=RATE_HELP, label_visibility="collapsed",
        width="content",
    )  # fmt: skip


def show_site(now: Shown) -> None:
    """Which block, where several were measured."""
    names = [site_name(site) for site in sites(now.summary)]
    if len(names) > 1:
        bound(
            st.segmented_control, "Block", "block", site_name(now.site), names, start="default", required=True,
            format_func=lambda name: f"block {name}", label_visibility="collapsed", width="content",
        )  # fmt: skip


def show_dose(now: Shown) -> None:
    """The dose that is looked at; also by a click on a point of the dose-response."""
    there, chosen = doses(now.summary, now.site), now.summary["dose"]["coefficient"]
    bound(
        st.selectbox, unit(now.summary).capitalize(), "dose", now.dose, there, start="index", width=170,
        format_func=lambda dose: coefficient(dose) + (" (chosen)" if dose == chosen else ""),
    )  # fmt: skip


def show_beside(now: Shown) -> None:
    """The control of the last pane."""
    if now.besides:
        bound(
            st.selectbox, "Control", "beside", now.beside, list(now.besides), start="index", width=210,
            format_func=beside_name,
        )  # fmt: skip


def note_html(texts: list[str]) -> str:
    """Notes on a link, as one."""
    return f'<div class="spill-note" role="status">{literal(" ".join(texts))}</div>'
