"""What to do with an organism: extract its direction, and the pages that show it."""

from __future__ import annotations

import streamlit as st

from core.directions import library
from core.errors import TillerError
from core.models.catalog import DEFAULT_ID, FolderSource
from core.organisms.library import Organism, organisms
from pages.parts import jobs as work
from pages.parts.literal import literal
from pages.parts.models import by_id, on_command_line
from pages.parts.organisms.choice import reference
from pages.parts.shell import link_to, show_error

SLOT = "organisms_extract"
ICONS = {"Steer": ":material/tune:", "Separation": ":material/join_inner:", "Spillover": ":material/water_drop:"}


def show_next(organism: Organism) -> None:
    """Its direction where there is one, else a button that extracts it; then links to the pages about it."""
    name = reference(organism, organisms(organism.model))
    try:
        spec = by_id(organism.model)
        card = library.default_card(organism)
    except TillerError as error:
        show_error(error)
        return
    running = tuple(job.id for job in work.live("extract"))
    if card is not None:
        st.html(f"<p class='org-small'>Its direction is here: {literal(card.name)} ({card.id[:8]}).</p>")
    else:
        st.html(
            "<p class='org-small'>Next: extract its direction, the mean difference between what it and its base "
            "compute on 200 prompts. Then steer with it.</p>"
        )
        st.button(
            "Extract its direction", icon=":material/arrow_outward:", type="primary", disabled=bool(running),
            key=f"organisms.extract.{organism.sha256[:8]}", on_click=_extract, args=(organism.model, name),
        )  # fmt: skip
    st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(running)
    if isinstance(spec.source, FolderSource):
        st.caption("Its model is a folder on this computer: enter that folder’s path on the other pages.")
        return
    with st.container(horizontal=True, gap="medium"):
        for page, query in links(organism, name).items():
            link_to(page, f":primary[{page}]", query, ICONS[page])


def links(organism: Organism, name: str) -> dict[str, dict[str, str]]:
    """The query of each page about the organism; Separation and Spillover know it by its own name alone."""
    model = {} if organism.model == DEFAULT_ID else {"model": organism.model}
    pages = list(ICONS) if name == organism.name else ["Steer"]
    return {page: {**model, "organism": name} for page in pages}


def _extract(model: str, name: str) -> None:
    line = ["extract", "--model", on_command_line(model), "--organism", name, "--contrast", "model"]
    try:
        work.begin(line, f"Direction of {name} on {model}", SLOT)
    except TillerError as error:
        st.toast(str(error))


def _watch(known: tuple[str, ...]) -> None:
    running = work.live("extract")
    if tuple(job.id for job in running) != known:
        st.rerun()
    for job in running:
        work.show_job(job)
    mine = work.own(SLOT)
    if mine is not None and not mine.live:
        work.show_end(mine)
