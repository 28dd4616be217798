"""Organisms: what a model is taught, teaching it, and how what came of it compares. No torch here."""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

from pages.parts.shell import bootstrap

bootstrap("Organisms", "Organisms")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts import address, widgets  # noqa: E402
from pages.parts import jobs as work  # noqa: E402
from pages.parts.literal import literal  # noqa: E402
from pages.parts.organisms import choice, compare, datasets, train  # noqa: E402

st.html(Path(__file__).parent / "parts" / "organisms" / "organisms.css")

now, notes = choice.shown()
with st.container(key="organisms-top", horizontal=True, vertical_alignment="center", gap="medium"):
    labels = {**choice.VIEWS, **({"train": "Train · running"} if work.live("train") else {})}
    widgets.bound(
        choice.PAGE, choice.choose, functools.partial(st.segmented_control, label_visibility="collapsed"), "View",
        "view", now.choice.view, list(choice.VIEWS), start="default", required=True, format_func=labels.get,
    )  # fmt: skip
    st.html(f"<p class='org-small'>{literal(choice.ABOUT[now.choice.view])}</p>", width="stretch")
for note in notes:
    st.html(f"<div class='org-note' role='status'>{literal(note)}</div>")

address.write(choice.PAGE, choice.parameters(now))  # before the view: that may take its time
if now.choice.view == "datasets":
    datasets.show_datasets(now)
elif now.choice.view == "train":
    train.show_train(now)
else:
    compare.show_compare(now)
