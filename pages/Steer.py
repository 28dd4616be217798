"""Steer: base, organism and steered organism side by side, with the control beside the claim. No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.shell import bootstrap, show_error

bootstrap("Steer", "Steer")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from core import paths  # noqa: E402
from core.errors import TillerError  # noqa: E402
from pages.parts.literal import literal  # noqa: E402
from pages.parts.ready import show_fetch  # noqa: E402
from pages.parts.steer import compare, controls, links, setup, strip, table  # noqa: E402

st.html(Path(__file__).parent / "parts" / "steer" / "steer.css")

notes = links.follow_link()
now = compare.now_shown()
trouble: TillerError | None = now.problem
try:
    compare.carry_out(now)
except TillerError as error:
    trouble = error

with st.container(key="steer-top", gap="small"):
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="steer-bar"):
        controls.show_start(compare.shown_example(now))
        with st.popover(setup.setup_label(now), icon=":material/deployed_code:"):
            setup.show_setup(now)
        with st.popover(setup.writing_label(now.settings), icon=":material/edit_note:"):
            setup.show_writing(now.settings)
        controls.show_mode(now.settings)
        with st.popover("Link", icon=":material/link:"):
            st.caption("Restores these settings, and the saved example if one is open, on any machine.")
            st.code(links.full_address(), language=None, wrap_lines=True)
    asking, steering = st.columns([5, 8], gap="medium")
    with asking:
        controls.show_prompt(now.settings)
        compare.show_buttons(now)
    with steering:
        if now.plan is not None:
            controls.show_strength(now.plan)
            controls.show_block(now.plan)

for note in notes:
    st.html(f'<div class="note" role="status">{literal(paths.placeless(note))}</div>')
if trouble is not None:
    show_error(trouble)
if now.spec is not None and not now.ready:
    saying, fetching = st.columns([5, 8], gap="medium", vertical_alignment="center")
    missing = f"{now.spec.title} is not on this machine yet, so nothing can be generated with it."
    saying.html(f'<div class="note">{literal(missing)}</div>')
    with fetching:
        show_fetch(now.spec)

compare.show_panes(now)
compare.show_follow_up(now)
table.show_table(now)
strip.show_strip(now)
links.write_link()
