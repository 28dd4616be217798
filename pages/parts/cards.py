"""Cards that are two clicks from a result: saved examples, and the presets that make them live."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.generation import saved
from core.generation.comparison import Settings
from pages.parts.shell import link_to

PER_ROW = 3


@dataclass(frozen=True)
class Card:
    """An example, a preset, or both where they share an id."""

    id: str
    title: str
    about: str
    settings: Settings
    has_example: bool
    has_preset: bool


def cards(presets: saved.Shelf[saved.Preset], examples: saved.Shelf[saved.Example]) -> list[Card]:
    """One card an id, presets first."""
    shown = {example.id: example for example in examples}
    made_live = [
        Card(preset.id, preset.title, preset.about, preset.settings, preset.id in shown, True) for preset in presets
    ]
    live = {card.id for card in made_live}
    rest = [item for item in examples if item.id not in live]
    return made_live + [Card(item.id, item.title, item.about, item.settings, True, False) for item in rest]


def show_cards() -> None:
    """All cards, in rows; a sentence where there are none, or where a file is damaged."""
    presets, examples = saved.presets(), saved.examples()
    found = cards(presets, examples)
    if not found:
        st.caption("No saved examples or presets are in this copy. Make them with `python -m core assets`.")
    for first in range(0, len(found), PER_ROW):
        for place, card in zip(st.columns(PER_ROW, gap="small"), found[first : first + PER_ROW], strict=False):
            with place, st.container(border=True, height="stretch", key=f"card-{card.id}", gap="xsmall"):
                _show(card)
    for sentence in (*presets.damaged, *examples.damaged):
        st.warning(sentence, icon=":material/warning:")


def _show(card: Card) -> None:
    st.markdown(f"**{card.title}**")
    if card.about:
        st.caption(card.about)
    with st.container(horizontal=True, gap="small"):
        if card.has_example:
            link_to(
                "Steer", ":primary[Saved answers]", {"example": card.id}, ":material/bolt:", "At once, without a model"
            )
        if card.has_preset:
            link_to(
                "Steer",
                ":primary[Run live]",
                {"preset": card.id},
                ":material/play_arrow:",
                "With the model, here and now",
            )
