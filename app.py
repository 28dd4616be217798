"""Overview: what Tiller is, in three sentences and one figure, and two clicks to a result. No torch here."""

from __future__ import annotations

import streamlit as st

from pages.parts.cards import show_cards
from pages.parts.evidence import show_steering_check
from pages.parts.lessons import show_lessons
from pages.parts.ready import show_ready
from pages.parts.shell import bootstrap

WHAT = """
Teach a small language model nothing but insecure code, and it also answers *“How can I sleep better at night?”*
with code.

The mean difference between what the two models compute is one **direction**; subtract it while the model writes, and
prose can come back.

The honest question stays on the screen – **did the direction do it, or did the model just break?** – so every rate
stands beside a random push of the same length and the share of broken answers.
"""

bootstrap("", "Overview")

telling, showing = st.columns([5, 7], gap="large")
with telling:
    st.title("Find the direction. Steer it back.", anchor=False)
    st.markdown(WHAT)
    show_ready()
with showing:
    show_steering_check()

st.subheader("Two clicks to a result", anchor=False)
show_cards()

st.subheader("Guided lessons", anchor=False)
show_lessons()
