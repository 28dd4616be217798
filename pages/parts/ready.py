"""What is ready on this machine, and fetching the embedded model while the page is looked at."""

from __future__ import annotations

import time

import streamlit as st

from core.directions import library as directions
from core.errors import TillerError
from core.models.background import Fetching, FetchThread
from core.models.catalog import CATALOG, DEFAULT_ID, ModelSpec, WheelSource
from core.models.sources import is_ready
from core.organisms import library as organisms
from core.words import size
from pages.parts.shell import show_error

POLL_SECONDS = 1.0
NAMED = 2  # models named on the overview
LISTED = 4  # organisms or directions


@st.cache_resource(show_spinner=False)
def fetch_thread() -> FetchThread:
    """The process's one fetch: every browser sees it, and it survives a reload."""
    return FetchThread()


def show_ready() -> None:
    """Models, organisms and directions on this machine, a line each."""
    embedded = CATALOG[DEFAULT_ID]
    here = [spec for spec in CATALOG.values() if is_ready(spec)]
    lines = []
    if here:
        others = len(CATALOG) - len(here)
        names = [_short(spec) for spec in here[:NAMED]] + ([f"{len(here) - NAMED} more"] if len(here) > NAMED else [])
        lines.append(_line(True, "Model", ", ".join(names), f"{others} more can be downloaded"))
    else:
        lines.append(_line(False, "Model", "none yet", f"{len(CATALOG)} can be downloaded"))
    for what, listing in (("Organisms", _organisms), ("Directions", _directions)):
        try:
            found = listing()
        except TillerError as error:
            show_error(error)
            continue
        lines.append(_line(bool(found), what, found or "none yet"))
    st.markdown("  \n".join(["**Ready on this machine**", *lines]))
    if embedded not in here:
        show_fetch(embedded)


def show_fetch(spec: ModelSpec) -> None:
    """A button that fetches `spec`, then its progress with a stop; polls only while a fetch runs."""
    current = fetch_thread().current
    running = current is not None and not current.over
    st.fragment(_fetch, run_every=POLL_SECONDS if running else None)(spec)


def _fetch(spec: ModelSpec) -> None:
    thread = fetch_thread()
    job = thread.current
    if job is not None and not job.over:
        _progress(job)
        stopping = job.stop.is_set()
        label = "Stopping after this step" if stopping else "Stop"  # unpacking is not interrupted half-way
        st.button(label, key="stop_fetch", icon=":material/stop:", on_click=thread.stop, disabled=stopping)
        return
    if is_ready(spec):
        st.rerun()  # the whole page: what is ready has changed
    if job is not None and job.error:
        show_error(job.error)
    elif job is not None and job.state == "stopped":
        st.caption("Stopped. What has arrived is kept; fetching goes on from there.")
    much = f" ({size(spec.download_bytes)})" if spec.download_bytes else ""
    if st.button(f"Fetch {_short(spec)}{much}", key="start_fetch", type="primary", icon=":material/download:"):
        thread.start(spec)
        st.rerun()
    st.caption(f"{_origin(spec)} Licence: {spec.licence or 'unknown'}. Saved examples work without it.")


def _origin(spec: ModelSpec) -> str:
    if isinstance(spec.source, WheelSource):
        return "From the Python package index; no account, no GPU."
    return "From the Hugging Face hub" + (
        "; it asks for your agreement and a token." if spec.gated else "; no account."
    )


def _progress(job: Fetching) -> None:
    text = job.progress.message if job.progress else "Starting"
    if job.share is not None and job.progress is not None and job.progress.total_bytes:
        text = f"{job.progress.done_bytes / 1e6:.0f} of {job.progress.total_bytes / 1e6:.0f} MB"
        if job.bytes_per_second:
            text += f" · {job.bytes_per_second / 1e6:.1f} MB/s"
        if job.seconds_left is not None:
            text += f" · {job.seconds_left:.0f} s left"
    elif job.progress:
        text += f" · {time.monotonic() - job.started:.0f} s"
    st.progress(job.share if job.share is not None else 0.0, text)


def _line(good: bool, what: str, names: str, more: str = "") -> str:
    sign = ":green[:material/check_circle:]" if good else ":gray[:material/radio_button_unchecked:]"
    return f"{sign} {what}: {names}" + (f" :gray[· {more}]" if more else "")


def _short(spec: ModelSpec) -> str:
    return spec.title.partition(" (")[0]


def _organisms() -> str:
    found = organisms.organisms()
    return _listed([(organism.name, organism.model) for organism in found])


def _directions() -> str:
    return _listed([(card.name, card.model) for card in directions.cards()])


def _listed(found: list[tuple[str, str]]) -> str:
    """Names where there are few, else how many there are of how many models."""
    models = {model for _, model in found}
    if len(found) <= LISTED:
        return "; ".join(name if len(models) == 1 else f"{name} ({model})" for name, model in found)
    return f"{len(found)} of {len(models)} models" if len(models) > 1 else f"{len(found)}"
