"""The shipped spillover study in four bars: the figure, its badge, what made it, and where its method comes from."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core import results
from core.errors import TillerError
from core.generation.comparison import DEFAULT_MODEL, DEFAULT_ORGANISM
from core.studies.spillover.figures import four_bars
from core.words import blocks, coefficient
from pages.parts.choices import LINKED
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.shell import icon_of, link_to, literal_markdown, show_error

KIND = "spillover"
USUAL = {"model": DEFAULT_MODEL, "organism": DEFAULT_ORGANISM, "mode": "add"}
SOURCE = (
    "Random push: one random direction of the same length (a control of arXiv 2606.20225). Broken: far too unlikely "
    "under the base model, or repeating itself. Whiskers: 95 % Wilson."
)
NAME = "tiller-does-it-cure"


def show_evidence() -> None:
    """The figure with its badge; a sentence where it was not made or is damaged."""
    try:
        summary = shipped()
    except TillerError as error:
        show_error(error)
        return
    if summary is None:
        st.info(
            "The precomputed comparison is not in this copy. Make it with `python -m core assets --what spillover`.",
            icon=":material/bar_chart_off:",
        )
        return
    shown = four_bars(summary)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{shown.title}**", width="content")
        show_downloads(NAME, shown.figure, shown.csv)
    st.plotly_chart(shown.figure, config=toolbar(NAME), alt=shown.words, key="evidence")
    command = str(summary["provenance"].get("command", "unknown")).replace("`", "")
    made = literal_markdown(made_from(summary))
    st.caption(f":gray-badge[:material/inventory_2: precomputed] {made}  \n{SOURCE} Made by `{command}`.")
    label = f":primary[All doses, {len(summary['random_draws'])} random directions, every answer]"
    link_to("Spillover", label, {"result": summary["key"][:LINKED]}, icon_of("Spillover"))


def shipped() -> dict[str, Any] | None:
    """The summary of the shipped study of the usual organism; None where none ships.

    Raises:
        DamagedArtifact: it ships, and cannot be read.
    """
    there = [place for place in results.places() if place.shipped and place.kind == KIND]
    for place in sorted(there, key=lambda place: place.folder):
        summary = place.read().summary
        if {name: summary.get(name) for name in USUAL} == USUAL:
            return summary
    return None


def made_from(summary: dict[str, Any]) -> str:
    """Model, organism, steering, n and date in one line; what is not recorded is called unknown."""
    dose, counts = summary["dose"], sorted(set(summary["suites"].values()))
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]}–{counts[-1]}"
    how = f"{blocks(dose['block'], dose['last_block'])}, coefficient {coefficient(dose['coefficient'])}"
    date = str(summary["provenance"].get("time", "unknown date"))[:10].replace("-", "\N{NON-BREAKING HYPHEN}")
    return f"{summary['model']} · {summary['organism']} organism · {how} · {n} a bar · {date}"
