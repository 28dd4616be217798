"""The Transfer page's controls. Each changes the session's choices; nothing is computed by them."""

from __future__ import annotations

import functools

import streamlit as st

from core.figures.transfer_tables import MEASURES, Row, is_own, models
from core.results import Result
from core.verdicts import told
from pages.parts import widgets
from pages.parts.methods import term
from pages.parts.transfer.choice import PAGE, Shown, choose, control_name, link

bound = functools.partial(widgets.bound, PAGE, choose)
MATRIX_HELP = (
    "**Δ spillover**: change in the share of answers with code. **Δ coherent**: the same among answers that are not "
    "broken. **Δ − control**: what is left beyond the mean of the controls. **broken**: answers that fell apart. "
    "**corrected p**: Holm over everything compared. "
    f"**{term('transfer-map', 'R²')}**: variance of the receiver’s activations that the map explains on prompts it was "
    f"not fitted on. **cosine**: of the mapped and the receiver’s own direction. {term('matrix')}"
)


def show_bar(now: Shown) -> None:
    """Which study, and the link."""
    with st.container(key="transfer-top", horizontal=True, vertical_alignment="bottom", gap="small"):
        made = {item.key: study_name(item) for item in now.there}
        bound(
            st.selectbox, "Study", "result", now.result.key, list(made), start="index", width=620,
            format_func=lambda key: made.get(key, key),
        )  # fmt: skip
        with st.popover("Link", icon=":material/link:"):
            st.caption("Restores exactly this, on any machine that has the result.")
            st.code(link(now), language=None, wrap_lines=True)


def study_name(result: Result) -> str:
    """What tells one study from another: models, n, date."""
    summary = result.summary
    date = str(summary["provenance"].get("time", "unknown date"))[:10]
    made = "precomputed" if result.shipped else "measured here"
    return f"{', '.join(models(summary))} · n = {summary['n']} · {date} · {made}"


def show_matrix_choice(now: Shown) -> None:
    """Which matrix is drawn."""
    bound(
        st.segmented_control, "Matrix", "matrix", now.choice.matrix, list(MEASURES), start="default", required=True,
        format_func=lambda key: MEASURES[key].short if key in MEASURES else key, help=MATRIX_HELP, width="content",
    )  # fmt: skip


def show_cell_choice(now: Shown) -> None:
    """The cell, for the keyboard; also by a click on the matrix."""
    names = {(row["donor"], row["receiver"]): cell_name(row) for row in now.summary["cells"]}
    bound(
        st.selectbox, "Cell (or click one)", "cell", now.cell, list(names), start="index",
        format_func=lambda cell: names.get(tuple(cell), str(cell)),
    )  # fmt: skip


def show_control_choice(now: Shown) -> None:
    """The control of the last pane."""
    if now.controls:
        bound(
            st.selectbox, "Control", "control", now.control, list(now.controls), start="index", width=270,
            format_func=lambda key: control_name(key, now.controls),
        )  # fmt: skip


def cell_name(row: Row) -> str:
    """A cell in a list: `qwen → smollm2 · ✔ specific`."""
    what = f"{row['receiver']}, own direction" if is_own(row) else f"{row['donor']} → {row['receiver']}"
    verdict = told(row["verdict"])
    return f"{what} · {verdict.sign} {verdict.short}"
