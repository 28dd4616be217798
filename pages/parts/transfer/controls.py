"""The Transfer page's controls. Each changes the session's choices; nothing is computed by them."""

from __future__ import annotations

import streamlit as st

from core.results import Result
from core.studies.transfer.tables import MEASURES, Row, is_own, models
from core.verdicts import told
from pages.parts.methods import term
from pages.parts.study import bar
from pages.parts.transfer.choice import STATE, Shown, control_name

MATRIX_HELP = (
    "**Δ spillover**: change in the share of answers with code. **Δ coherent**: the same among answers that are not "
    "broken. **Δ − control**: what is left beyond the mean of the controls. **broken**: answers that fell apart. "
    "**corrected p**: Holm over everything compared. "
    f"**{term('transfer-map', 'R²')}**: variance of the receiver’s activations that the map explains on prompts it was "
    f"not fitted on. **cosine**: of the mapped and the receiver’s own direction. {term('matrix')}"
)


def show_bar(now: Shown) -> None:
    """Which study, and the link."""
    if now.result is None:
        return
    with st.container(key="transfer-top", horizontal=True, vertical_alignment="bottom", gap="small"):
        made = {item.key: study_name(item) for item in now.candidates}
        bar.show_list(STATE, "Study", "result", now.result.key, made, width=620)
        bar.show_link(STATE, now)


def study_name(result: Result) -> str:
    """What tells one study from another: models, n, date."""
    return f"{', '.join(models(result.summary))} · n = {result.summary['n']} · {bar.made(result)}"


def show_matrix_choice(now: Shown) -> None:
    """Which matrix is drawn."""
    names = {key: measure.short for key, measure in MEASURES.items()}
    bar.show_switch(STATE, "Matrix", "matrix", now.choice.matrix, names, help=MATRIX_HELP, width="content")


def show_cell_choice(now: Shown) -> None:
    """The cell, for the keyboard; also by a click on the matrix."""
    names = {(row["donor"], row["receiver"]): cell_name(row) for row in now.summary["cells"]}
    bar.show_list(STATE, "Cell (or click one)", "cell", now.cell, names)


def show_control_choice(now: Shown) -> None:
    """The control of the last pane."""
    if now.controls:
        names = {key: control_name(key, now.controls) for key in now.controls}
        bar.show_list(STATE, "Control", "control", now.control, names, width=270)


def cell_name(row: Row) -> str:
    """A cell in a list: `qwen → smollm2 · ✔ specific`."""
    what = f"{row['receiver']}, own direction" if is_own(row) else f"{row['donor']} → {row['receiver']}"
    verdict = told(row["verdict"])
    return f"{what} · {verdict.sign} {verdict.short}"
