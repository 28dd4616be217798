"""Take an adapter that was trained elsewhere with PEFT as an organism, as a job of its own."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import BadInput
from core.models import sources
from pages.parts import jobs as work
from pages.parts.models import by_id, on_command_line
from pages.parts.organisms.choice import Shown
from pages.parts.study.form import attempt, show_trouble

SLOT, TROUBLE = "organisms_adopt", "organisms_adopt_trouble"
FOLDER_HELP = "A folder on this computer with adapter_config.json and adapter_model.safetensors, as PEFT saves it."
SAME_HELP = "Only where you know it: the adapter names its base model otherwise, and the weights are the same."


def show_adopting(now: Shown) -> None:
    """The folded form, and what runs."""
    running = work.live("adopt")
    label = "Take an adapter trained elsewhere" + (" · running" if running else "")
    with st.expander(label, icon=":material/input:", expanded=bool(running)):
        st.fragment(_form)(now)
        st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(bool(running))


def arguments(model: str, folder: str, name: str, same_base: bool) -> list[str]:
    """The command line that adopts.

    Raises:
        BadInput: no folder was named.
    """
    if not folder.strip():
        raise BadInput("Name the folder that holds adapter_config.json.")
    named = ["--name", name.strip()] if name.strip() else []
    same = ["--same-base"] if same_base else []
    return ["adopt", str(Path(folder.strip()).expanduser()), "--model", on_command_line(model), *named, *same]


def _form(now: Shown) -> None:
    where, called = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    folder = where.text_input("Folder of the adapter", key="organisms.adopt.folder", help=FOLDER_HELP)
    name = called.text_input("What to call it", key="organisms.adopt.name", placeholder="as the folder", max_chars=80)
    same = st.checkbox("Its base model is this one under another name", key="organisms.adopt.same", help=SAME_HELP)
    ready = sources.is_ready(by_id(now.model))
    st.caption(f"It becomes an organism of {now.model} and is computed as PEFT does, or refused with the reason.")

    def start() -> None:
        line = arguments(now.model, folder, name, same)
        work.begin(line, f"Taking the adapter {Path(line[1]).name} for {now.model}", SLOT)

    if st.button("Take it", icon=":material/input:", key="organisms.adopt", disabled=not ready):
        attempt(TROUBLE, start)
    show_trouble(TROUBLE)


def _watch(polling: bool) -> None:
    running = work.live("adopt")
    for job in running:
        work.show_job(job)
    if polling and not running:
        st.rerun()
    mine = work.own(SLOT)
    if mine is not None and not mine.live:
        work.show_end(mine)
