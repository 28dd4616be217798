"""Directions in and out: a saved one as a file for other programs, and one of theirs for the Steer page."""

from __future__ import annotations

import functools

import streamlit as st

from core.directions import library
from core.directions.library import DirectionCard
from core.models import sources
from core.models.catalog import DEFAULT_ID, ModelSpec
from pages.parts import jobs as work
from pages.parts.literal import literal
from pages.parts.methods import term
from pages.parts.models import by_id
from pages.parts.separation.choice import Shown
from pages.parts.shell import errors, link_to
from pages.parts.steer.setup import describe
from pages.parts.study.form import attempt, show_trouble
from pages.parts.uploads import save_upload

SLOT, TROUBLE = "separation_import", "separation_import_trouble"
KINDS = ["gguf", "safetensors", "pt", "pth", "npy", "npz"]
MOST_MEGABYTES = 200
GGUF_HELP = (
    "A control vector for llama.cpp and repeng. It starts at block 1, so block 0 is dropped. Loads PyTorch first."
)
IMPORT_HELP = (
    "GGUF control vector, persona_vectors, a dict of tensors or one vector (.pt), safetensors, or NumPy. Nothing "
    f"unpickles. {term('imported-direction')}"
)
BLOCK_HELP = (
    "For a file that holds one vector: the block it is added at. Left empty, it is what the file or its name states; "
    "where neither does, you are asked."
)


def show_directions(now: Shown) -> None:
    """Folded: taking one out on the left, bringing one in on the right; open while one is being imported."""
    running = work.live("import")
    label = "Directions in and out" + (" · importing" if running else "")
    with st.expander(label, icon=":material/swap_vert:", expanded=bool(running)), errors():
        spec = by_id(now.model)
        going, coming = st.columns(2, gap="large")
        with going:
            _out(spec)
        with coming:
            st.fragment(_in)(spec)
            st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(spec, bool(running))


def steer_query(model: str, direction: str) -> dict[str, str]:
    """The Steer page's link to a direction."""
    return {**({} if model == DEFAULT_ID else {"model": model}), "direction": direction}


def gguf(card: DirectionCard, spec: ModelSpec) -> bytes:
    """The direction as a GGUF control vector (imports torch)."""
    from core.directions.direction import load_direction
    from core.directions.formats import gguf_bytes
    from core.directions.importing import model_type

    return gguf_bytes(load_direction(card.path), model_type(spec))


def _out(spec: ModelSpec) -> None:
    cards = {card.id: card for card in library.cards(spec.id)}
    st.html("<h2 class='study-h'>Out: as a file for other programs</h2>")
    if not cards:
        st.caption("This model has no saved direction yet. Extract one with `python -m core extract`.")
        return
    chosen = st.selectbox(
        "Direction", list(cards), format_func=lambda key: describe(cards[key]) if key in cards else key,
        key="separation.direction",
    )  # fmt: skip
    card = cards[chosen]
    stem = card.path.stem
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "GGUF", functools.partial(gguf, card, spec), f"{stem}.gguf", "application/octet-stream",
            on_click="ignore", help=GGUF_HELP, disabled=not sources.is_ready(spec), key="separation.gguf",
        )  # fmt: skip
        st.download_button(
            "safetensors", card.path.read_bytes, f"{stem}.safetensors", "application/octet-stream",
            on_click="ignore", help="Tiller’s own format, whole.", key="separation.safetensors",
        )  # fmt: skip
        link_to("Steer", ":primary[Steer with it]", steer_query(spec.id, card.id), ":material/tune:")
    if sources.is_ready(spec):
        st.caption("GGUF starts at block 1: block 0 is dropped.")
    else:
        st.caption(f"For GGUF, {spec.title} must be on this machine: its kind is part of the file.")


def _in(spec: ModelSpec) -> None:
    st.html("<h2 class='study-h'>In: from another program</h2>")
    upload = st.file_uploader(
        "A vector from another program", KINDS, key="separation.import.file", max_upload_size=MOST_MEGABYTES,
        help=IMPORT_HELP,
    )  # fmt: skip
    calling, placing = st.columns([3, 1])
    name = calling.text_input(
        "What to call it", key="separation.import.name", placeholder="as the file says", max_chars=100
    )
    block = placing.number_input(
        "Block", 0, None, None, 1, key="separation.import.block", placeholder="as stated", help=BLOCK_HELP
    )
    ready = sources.is_ready(spec)
    if not ready:
        st.caption(f"{spec.title} is not on this machine yet; what the file lacks is measured on it.")

    def start() -> None:
        assert upload is not None
        path = save_upload("directions", upload.name, upload.getvalue())
        chosen = ["--name", name.strip()] if name.strip() else []
        chosen += [] if block is None else ["--block", str(block)]
        work.begin(["import", str(path), "--model", spec.id, *chosen], f"Import {upload.name}", SLOT)

    if st.button("Import", icon=":material/upload:", key="separation.import", disabled=not ready or upload is None):
        attempt(TROUBLE, start)
    show_trouble(TROUBLE)


def _watch(spec: ModelSpec, polling: bool) -> None:
    running = work.live("import")
    for job in running:
        work.show_job(job)
    if polling and not running:
        st.rerun()
    mine = work.own(SLOT)
    if mine is None or mine.live:
        return
    work.show_end(mine)
    if mine.state == "done":
        with errors():
            found = mine.result()
            said = " ".join([f"{found['name']} is saved.", *found["notes"]])
            st.html(f'<div class="study-note" role="status">{literal(said)}</div>')
            query = steer_query(str(found.get("model", spec.id)), found["id"])
            link_to("Steer", ":primary[Steer with it]", query, ":material/tune:")
