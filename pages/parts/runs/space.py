"""How much of the disk is used, and for what."""

from __future__ import annotations

import streamlit as st

from core import disk, paths
from core.words import size
from pages.parts.literal import literal

MEANING = {
    "models": "weights",
    "downloads": "of models, not whole yet",
    "organisms": "adapters trained here",
    "runs": "checkpoints of training",
    "directions": "extracted or imported here",
    "studies": "saved results",
    "cells": "answers that studies share",
    "activations": "activations that maps are fitted on",
    "maps": "maps between models",
    "jobs": "logs and progress",
    "datasets": "imported here",
    "reports": "made by reproduce",
    "uploads": "files given to a page",
    "other": "all else",
}
NO_CACHE = (
    "The cache folder is not there and cannot be created, so nothing can be made or kept. Set TILLER_CACHE to a folder "
    "you can write to, and start again."
)


def show_space() -> None:
    """Each part of the cache that holds something, the sum, and what is free."""
    if not paths.cache().is_dir():
        st.html(f'<h2 class="run-h">Disk</h2><p class="run-note">{NO_CACHE}</p>')
        return
    used, free = _measured(str(paths.cache()))
    rows = "".join(
        f"<div><dt>{literal(part)} <span>{MEANING.get(part, '')}</span></dt><dd>{size(count)}</dd></div>"
        for part, count in used.items()
        if count
    )
    st.html(
        f'<h2 class="run-h">Disk: {size(sum(used.values()))} used, {size(free)} free</h2>'
        f'<dl class="run-disk">{rows}</dl>'
    )


@st.cache_data(ttl=10, show_spinner=False)
def _measured(cache: str) -> tuple[dict[str, int], int]:
    return disk.used(), disk.free()
