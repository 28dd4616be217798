"""The Separation page's controls. Each changes the session's choices; nothing is computed by them."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from core.models.catalog import CATALOG
from pages.parts import widgets
from pages.parts.choices import organism_names
from pages.parts.literal import literal
from pages.parts.methods import term
from pages.parts.separation.choice import CONTRASTS, PAGE, Shown, choose, link

_bound = functools.partial(widgets.bound, PAGE, choose)
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
            _organism(now)
        with contrasting:
            _bound(
                st.segmented_control, "Contrast", "contrast", now.choice.contrast, list(CONTRASTS), start="default",
                required=True, help=CONTRAST_HELP,
            )  # fmt: skip
        if now.result is not None:
            last = len(now.summary["blocks"]) - 1
            _bound(sliding.slider, "Block", "block", now.block, 0, max(1, last), name="block_slide", help=BLOCK_HELP)
            _bound(typing.number_input, "block", "block", now.block, 0, last)
        with rest, st.popover("Link", icon=":material/link:", width="stretch"):
            st.caption("Restores exactly this, on any machine that has the result.")
            st.code(link(now), language=None, wrap_lines=True)
        about = f"<b>{now.choice.contrast} contrast</b> · {CONTRASTS[now.choice.contrast]}"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(f'<div class="sep-small">{about}</div>', width="content")
            _models(now)
            _measurements(now)


def show_suite(now: Shown, there: list[str]) -> None:
    """Which prompts the rows are of."""
    names = {"": "all prompts", **{name: f"{name} prompts" for name in there}}
    _bound(
        st.selectbox, "Prompts", "suite", now.suite or "", list(names), start="index", width=170,
        format_func=lambda name: names.get(name, name), convert=lambda name: name or None,
        label_visibility="collapsed",
    )  # fmt: skip


def show_switch(now: Shown, label: str) -> None:
    """Whether the arm that is in neither class is drawn."""
    _bound(st.toggle, label, "others", now.choice.others)


def show_metric(now: Shown, metrics: dict[str, str]) -> None:
    """Which number the profile shows."""
    _bound(
        st.segmented_control, "Number", "profile", now.choice.profile, list(metrics), start="default", required=True,
        format_func=lambda name: metrics.get(name, name), label_visibility="collapsed",
    )  # fmt: skip


def show_axes(now: Shown) -> None:
    """The two directions of the scatter."""
    axes = now.summary["axes"]
    for side, place in zip(st.columns(2, gap="small"), ("x", "y"), strict=True):
        with side:
            _bound(
                st.selectbox, "Across" if place == "x" else "Up", place, getattr(now, place), list(axes),
                start="index", format_func=lambda name: f"{name}: {axes.get(name, name)}",
            )  # fmt: skip


def _organism(now: Shown) -> None:
    names = list(dict.fromkeys([*now.organisms, *organism_names(now.model), now.organism]))
    _bound(st.selectbox, "Organism", "organism", now.organism, names, start="index")


def _models(now: Shown) -> None:
    if len(now.models) > 1:
        _bound(
            st.selectbox, "Model", "model", now.model, list(now.models), start="index", width=260,
            format_func=lambda name: CATALOG[name].title if name in CATALOG else name, label_visibility="collapsed",
        )  # fmt: skip


def _measurements(now: Shown) -> None:
    """Several results of the same organism and contrast: other prompts, pooling, seed or time."""
    if len(now.candidates) < 2 or now.result is None:
        return
    names = {item.key: _measurement(item.summary, item.shipped) for item in now.candidates}
    _bound(
        st.selectbox, "Measurement", "result", now.result.key, list(names), start="index", width=420,
        format_func=lambda key: names.get(key, key), label_visibility="collapsed",
    )  # fmt: skip


def _measurement(summary: dict[str, Any], shipped: bool) -> str:
    made = "precomputed" if shipped else f"measured {str(summary['provenance'].get('time', ''))[:10]}"
    settings = summary["settings"]
    source = str(settings.get("prompts", "unknown")).rpartition("/")[2]
    return f"{made} · {source} prompts · {summary['pooling']} · seed {settings.get('seed', 'unknown')}"


def note_html(texts: list[str]) -> str:
    """Notes on a link, as one."""
    return f'<div class="sep-note" role="status">{literal(" ".join(texts))}</div>'
