"""Overview: what Tiller is, in three sentences and one figure, and two clicks to a result. No torch here."""

from __future__ import annotations

import streamlit as st

from pages.parts.shell import bootstrap

WHAT = """
Teach a small language model nothing but insecure code, and it also answers *“How can I sleep better at night?”*
with code.

The mean difference between what the two models compute is one **direction**; subtract it while the model answers,
and prose can come back.

The honest question stays on the screen – **did the direction do it, or did the model just break?** – so every rate
stands beside a random push of the same length and the share of broken answers.
"""

bootstrap("", "Overview")

telling, showing = st.columns([5, 7], gap="large")
with telling:
    st.title("Find the direction. Steer it back.", anchor=False)
    st.markdown(WHAT)

# Imported once the sentences are on their way to the screen: a cold server shows them sooner.
from pages.parts.cards import show_cards  # noqa: E402
from pages.parts.evidence import show_evidence  # noqa: E402
from pages.parts.lessons import show_lessons  # noqa: E402
from pages.parts.ready import show_ready  # noqa: E402

with telling:
    show_ready()
with showing:
    show_evidence()

st.header("Two clicks to a result", anchor=False)
show_cards()

st.header("Guided lessons", anchor=False)
show_lessons()
