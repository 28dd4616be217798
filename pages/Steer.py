"""Steer: base, organism and steered organism side by side, with the control beside the claim. No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import TillerError
from core.generation import saved
from core.models.catalog import resolve
from core.models.sources import is_ready
from pages.parts import compare, controls, links, live, strip
from pages.parts.literal import literal
from pages.parts.ready import show_fetch
from pages.parts.results import matching_example
from pages.parts.shell import bootstrap, show_error

bootstrap("Steer", "Steer")
st.html(Path(__file__).parent / "parts" / "steer.css")

notes = links.follow_link()
settings = links.settings()
plan, problem = controls.planned(settings)
try:
    spec = resolve(settings.model)
    ready = is_ready(spec)
except TillerError:
    spec, ready = None, False

identity = st.session_state.get(links.EXAMPLE)
example = saved.find_example(identity) if identity else None
fresh = live.job("panes") is None and not st.session_state.get("steer_begun")
if example is None and fresh:
    example = matching_example(plan) or (None if ready else next(iter(saved.examples()), None))
failed = None
try:
    compare.carry_out(plan, problem, example)
except TillerError as error:
    failed = error

with st.container(key="steer-top", gap="small"):
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="steer-bar"):
        controls.show_start(example.id if example and live.job("panes") is None else None)
        with st.popover(controls.setup_label(settings, plan), icon=":material/deployed_code:"):
            controls.show_setup(settings, plan)
        with st.popover(controls.writing_label(settings), icon=":material/edit_note:"):
            controls.show_writing(settings)
        controls.show_mode(settings)
        with st.popover("Link", icon=":material/link:"):
            st.caption("Restores these settings, and the saved example if one is shown, on any machine.")
            st.code(links.address(identity), language=None, wrap_lines=True)
    asking, steering = st.columns([5, 8], gap="medium")
    with asking:
        controls.show_prompt(settings)
        compare.show_buttons(spec, ready, plan)
    with steering:
        if plan is not None:
            controls.show_strength(plan)
            controls.show_block(plan)

for note in notes:
    st.html(f'<div class="note" role="status">{literal(note)}</div>')
if problem is not None or failed is not None:
    show_error(failed or problem)
if spec is not None and not ready:
    st.html(f'<div class="note">{literal(spec.title)} is not on this machine yet, so nothing can be generated.</div>')
    show_fetch(spec)

compare.show_panes(plan, settings, example)
compare.show_follow_up(ready, plan, example)
strip.show_strip(plan, settings, example, ready)
links.write_link(identity)
if spec is not None:
    live.warm(spec)
