"""The Separation page's controls. Each changes the session's choices; nothing is computed by them."""

from __future__ import annotations

import streamlit as st

from core.results import Result
from pages.parts.methods import term
from pages.parts.separation.choice import CONTRASTS, STATE, Shown
from pages.parts.study import bar

_bound = bar.bound(STATE)
CONTRAST_HELP = "\n\n".join(f"**{name}**: {about}" for name, about in CONTRASTS.items()) + f"\n\n{term('contrast')}"
BLOCK_HELP = (
    "Decoder block, 0-based; “at block i” is the raw residual stream leaving block i. Everything was measured at every "
    "block, so moving the slider computes nothing. A click on a point of the profile chooses its block too. "
    f"{term('block')}"
)


def show_bar(now: Shown) -> None:
    """Model where there is a choice, organism, contrast, block, measurement where there are several, and the link."""
    with st.container(key="separation-top", gap="xsmall"):
        naming, contrasting, sliding, typing, rest = st.columns([2.1, 3, 4.2, 1.2, 1.2], vertical_alignment="bottom")
        with naming:
            bar.show_organism(STATE, now.model, now.organisms, now.organism)
        with contrasting:
            names = {name: name for name in CONTRASTS}
            bar.show_switch(STATE, "Contrast", "contrast", now.choice.contrast, names, help=CONTRAST_HELP)
        if now.result is not None:
            last = len(now.summary["blocks"]) - 1
            _bound(sliding.slider, "Block", "block", now.block, 0, max(1, last), name="block_slide", help=BLOCK_HELP)
            _bound(typing.number_input, "block", "block", now.block, 0, last)
        with rest:
            bar.show_link(STATE, now, width="stretch")
        about = f"<b>{now.choice.contrast} contrast</b> · {CONTRASTS[now.choice.contrast]}"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(f'<div class="study-small">{about}</div>', width="content")
            bar.show_model(STATE, now.models, now.model, label_visibility="collapsed")
            bar.show_measurement(STATE, now, measurement, width=420, label_visibility="collapsed")


def measurement(result: Result) -> str:
    """What tells one result from another of the same contrast."""
    summary, settings = result.summary, result.summary["settings"]
    source = str(settings.get("prompts", "unknown")).rpartition("/")[2]
    return f"{bar.made(result)} · {source} prompts · {summary['pooling']} · seed {settings.get('seed', 'unknown')}"


def show_suite(now: Shown, there: list[str]) -> None:
    """Which prompts the rows are of."""
    names = {"": "all prompts", **{name: f"{name} prompts" for name in there}}
    bar.show_list(
        STATE, "Prompts", "suite", now.suite or "", names, width=170, convert=lambda name: name or None,
        label_visibility="collapsed",
    )  # fmt: skip


def show_switch(now: Shown, label: str) -> None:
    """Whether the arm that is in neither class is drawn."""
    _bound(st.toggle, label, "others", now.choice.others)


def show_metric(now: Shown, metrics: dict[str, str]) -> None:
    """Which number the profile shows."""
    bar.show_switch(STATE, "Number", "profile", now.choice.profile, metrics, label_visibility="collapsed")


def show_axes(now: Shown) -> None:
    """The two directions of the scatter."""
    names = {name: f"{name}: {about}" for name, about in now.summary["axes"].items()}
    for side, place, label in zip(st.columns(2, gap="small"), ("x", "y"), ("Across", "Up"), strict=True):
        with side:
            bar.show_list(STATE, label, place, getattr(now, place), names)
