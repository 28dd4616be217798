"""Saved results of every study: what they are, opening them, taking them out as files, deleting those made here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import disk, exporting, results
from core.errors import TillerError
from core.results import Place, Result
from core.words import size
from pages.parts.literal import literal
from pages.parts.runs import targets, view, words
from pages.parts.runs.rows import row, show_confirmation, show_fold, show_link, unfolded
from pages.parts.runs.view import ALL, View
from pages.parts.shell import literal_markdown

# what a study counts, by the name its summary gives it
COUNTS = {"n": "prompts", "n_prompts": "prompts", "n_held_out": "held-out prompts"}
FILES: tuple[tuple[str, str, str, Callable[[Result], bytes]], ...] = (
    ("Tables (CSV)", "csv.zip", "application/zip", exporting.csv_zip),
    ("Tables (Parquet)", "parquet.zip", "application/zip", exporting.parquet_zip),
    ("One page (HTML)", "html", "text/html", lambda result: exporting.html(result).encode()),
)

AS_TEXT = "Text is left as it is: in a spreadsheet, import it as text."


@dataclass(frozen=True)
class Card:
    """What the list shows of a result."""

    title: str
    stem: str
    key: str
    counted: str
    time: str
    size: int
    page: str
    query: Mapping[str, str]


@functools.lru_cache(maxsize=4096)
def card(place: Place) -> Card:
    """Read once as long as it does not change. Raises what `Place.read` does."""
    result = place.read()
    summary: dict[str, Any] = result.summary
    counted = next((f"n = {summary[name]} {what}" for name, what in COUNTS.items() if name in summary), "")
    page, query = targets.of_result(result.kind, summary)
    return Card(
        exporting.title_of(result), exporting.file_stem(result), result.key, counted,
        str(summary["provenance"].get("time", "unknown time")), disk.size(result.folder), page, query,
    )  # fmt: skip


def show_saved(now: View) -> None:
    """The list with its filter; made here first, then shipped, each the newest first."""
    there = results.places()
    st.html('<h2 class="run-h">Saved results</h2>')
    if not there:
        st.html('<p class="run-small">No study has been saved on this machine, and none came with Tiller.</p>')
        return
    found, damaged = [], 0
    for place in there:
        if now.kind in (ALL, place.kind):
            try:
                found.append((place, card(place)))
            except (TillerError, OSError):
                damaged += 1
    found.sort(key=lambda item: (not item[0].shipped, item[1].time), reverse=True)
    view.show_filter("Study", "kind", sorted({place.kind for place in there}), now)
    if damaged:
        st.html(f'<p class="run-note">{damaged} damaged and left out. Measuring again makes them anew.</p>')
    for place, shown in found[: now.results]:
        _row(place, shown)
    view.show_more("results", len(found), now)


def _row(place: Place, shown: Card) -> None:
    name = f"{place.kind}-{place.folder.name}"
    with st.container(border=True, gap="xsmall", key=f"run-result-{name}"):
        with row(name) as (said, actions):
            with said:
                badge = "came with Tiller" if place.shipped else "made here"
                facts = [shown.counted, words.moment_of(shown.time), size(shown.size), f"result {shown.key[:8]}"]
                st.html(
                    f'<div class="run-head"><b>{literal(shown.title)}</b> <span class="run-state">{badge}</span></div>'
                    + words.facts(*facts)
                )
            with actions:
                show_link((shown.page, dict(shown.query)))
                show_fold(name, "download", "Download", "Hide downloads")
                if not place.shipped:
                    show_fold(name, "delete", "Delete", "Keep")
        if unfolded(name) == "download":
            _downloads(name, place, shown)
        elif unfolded(name) == "delete":
            warning = "It can only be had again by measuring again."
            show_confirmation(name, warning, "Delete this result", functools.partial(_delete, place))


def _downloads(name: str, place: Place, shown: Card) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for label, ending, mime, write in FILES:
            st.download_button(
                label, functools.partial(_written, place, write), f"tiller-{shown.stem}.{ending}", mime,
                on_click="ignore", key=f"download-{name}-{ending}",
            )  # fmt: skip
        st.html(f'<p class="run-small">{AS_TEXT}</p>', width="content")


def _written(place: Place, write: Callable[[Result], bytes]) -> bytes:
    return write(place.read())


def _delete(place: Place) -> None:
    try:
        results.delete_result(place.read())
    except FileNotFoundError:
        pass  # another browser was faster
    except TillerError as error:
        st.toast(literal_markdown(str(error)))
