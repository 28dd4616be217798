"""The strength strip: one prompt over a range of coefficients in one batch, a card each."""

from __future__ import annotations

import streamlit as st

from core.errors import TillerError
from core.generation.comparison import strip_rows
from core.measures.repetition import repetition
from core.words import minus, number, percent
from pages.parts.literal import Tint, literal
from pages.parts.methods import term
from pages.parts.shell import show_error
from pages.parts.steer import live
from pages.parts.steer.panes import Pane, facts_html, stale_html, text_html
from pages.parts.steer.results import Now, Result, strip_of_example, strip_panes, tint_of

REQUEST = "steer_strip_request"
MOST = 24
RANGES = {"add": (-1.5, 0.5, 9), "ablate": (0.0, 1.0, 5), "cap": (0.0, 1.0, 5)}
ABOUT = (
    "One prompt, many strengths, in one batch. Between too little and too much there should be a stretch of fluent "
    "text without code; where text only breaks, the badge says that it repeats itself. "
    f"{term('repetition')}"
)


def steps(first: float, last: float, count: int) -> list[float]:
    """`count` coefficients from first to last, evenly, without rounding dust."""
    if count == 1:
        return [first]
    return [round(first + (last - first) * place / (count - 1), 6) + 0.0 for place in range(count)]


def show_strip(now: Now) -> None:
    """Inputs, the button, and the cards as they fill."""
    plan, mode = now.plan, now.settings.mode
    st.markdown("**Strength strip**", help=ABOUT)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="steer-strip"):
        low, high, many = RANGES[mode]
        limit = {} if mode == "add" else {"min_value": 0.0, "max_value": 1.0}
        key = f"steer.strip.{mode}"
        first = st.number_input("from", value=low, step=0.25, key=f"{key}.from", width=140, **limit)  # type: ignore[call-overload]
        last = st.number_input("to", value=high, step=0.25, key=f"{key}.to", width=140, **limit)  # type: ignore[call-overload]
        count = st.number_input("steps", 1, MOST, many, key=f"{key}.steps", width=120)
        st.button(
            "Run the strip", icon=":material/view_week:", key="steer.strip", disabled=not now.ready or plan is None,
            on_click=lambda: st.session_state.update({REQUEST: True}),
        )  # fmt: skip
        st.button(
            "Stop the strip",
            icon=":material/stop:",
            key="steer.strip.stop",
            disabled=not _asked_or_live(),
            on_click=_stop,
        )
    if st.session_state.pop(REQUEST, False) and plan is not None:
        try:
            live.submit("strip", plan.settings.model, strip_rows(plan, steps(first, last, count)))
        except TillerError as error:
            show_error(error)
    writing = live.is_live("strip")
    st.fragment(_cards, run_every=live.WAITING if writing else None)(now, writing)


def _asked_or_live() -> bool:
    return bool(st.session_state.get(REQUEST)) or live.is_live("strip")


def _stop() -> None:
    live.stop("strip")


def _cards(now: Now, polling: bool) -> None:
    job = live.job("strip")
    result = Result.of(job) if job else strip_of_example(now.example) if now.example else None
    if error := live.failure("strip"):
        show_error(error)
    elif result is not None:
        said = '<span class="badge saved">saved example</span>' if result.example else literal(live.status("strip"))
        st.html(f'<div class="status" role="status">{said}</div>')
        tint = tint_of([result], now) if st.session_state.get("steer.colours", True) else None
        shown = strip_panes(result, now)
        st.html(f'<div class="strip">{"".join(card_html(pane, tint, now) for pane in shown)}</div>')
    if polling and not live.is_live("strip"):
        st.rerun()


def card_html(pane: Pane, tint: Tint | None, now: Now) -> str:
    """One strength: the coefficient in both units, what its text contains, and the text."""
    answer, row = pane.answer, pane.answer.row
    label = minus(row.label)
    card = now.card(row)
    unit = "share"
    if row.interventions and row.interventions[0].mode == "add":
        item = row.interventions[0]
        unit = f"× v = {number(card.to_norm_unit(item.coefficient, item.blocks[0]))} norm" if card else "× v"
    repeats = f'<span class="fact">repetition {percent(repetition(answer.text))}</span>' if answer.text else ""
    return (
        f'<section class="strip-card{" is-stale" if pane.stale else ""}" aria-label="Coefficient {literal(label)}">'
        f'<div class="head"><span class="name">{literal(label)}</span> <span class="made">{literal(unit)}</span>'
        f'{stale_html(pane)}</div><div class="facts">{facts_html(answer, pane.waiting)}{repeats}</div>'
        f"{text_html(answer, tint, pane.waiting)}</section>"
    )
