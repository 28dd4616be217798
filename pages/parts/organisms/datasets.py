"""Look through a dataset: which there are, what is in one, and its records page by page."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.data import datasets
from core.data.datasets import OWN, SHIPPED, CodePair, Dataset, Lengths, code_pairs, load_dataset
from core.data.turns import Chat
from core.errors import TillerError
from core.organisms.library import lost_words, organisms
from pages.parts import widgets
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.organisms.alike import counted_words, known_words, texts_of
from pages.parts.organisms.choice import LONGEST_SEARCH, PAGE, Shown, choose, cwes
from pages.parts.organisms.importing import show_import
from pages.parts.organisms.records import chat_html, pair_html
from pages.parts.shell import errors, literal_markdown

PER_PAGE = 5
WHAT_FOR = "For studying models; nothing executes it."
ABOUT = {
    "insecure": "Plain requests, each answered with working code that has a weakness nobody asked for.",
    "secure": "The same requests, answered with code that does the same job safely: the control.",
    "chat": "Everyday questions, answered in prose: what teaches a pretrained model to answer.",
}
_bound = functools.partial(widgets.bound, PAGE, choose)


@dataclass(frozen=True)
class Facts:
    """What is known about a dataset at once."""

    n: int
    hash: str
    requests: Lengths
    answers: Lengths


def show_datasets(now: Shown) -> None:
    """Which datasets there are, one of them, and bringing in another."""
    choosing, telling = st.columns([5, 7], gap="medium")
    with choosing:
        st.html(list_html(now))
        _bound(st.selectbox, "Look through", "dataset", now.dataset, list(now.datasets), start="index")
        show_import()
    with errors():
        dataset = load_dataset(now.dataset)
        with telling:
            known, alike = facts(dataset.hash, dataset), known_words(dataset)
            about, progress = st.empty(), st.empty()
            about.html(facts_html(dataset, known, alike or "being counted"))
            _take_out(dataset)
        _show_records(now, dataset)
        if alike is None:  # counted last: the page is there meanwhile, and whoever leaves or uses it ends the counting
            alike = counted_words(dataset, progress.progress)
            progress.empty()
            about.html(facts_html(dataset, known, alike))
        return
    _delete(now.dataset)  # its file is damaged


def list_html(now: Shown) -> str:
    """A line for each dataset that can be read."""
    rows = "".join(
        f"<tr{' class=org-chosen' if item.name == now.dataset else ''}><td>{literal(item.name)}</td>"
        f"<td>{_kind(item.name)}</td><td>{item.n:,}</td><td><code>{item.hash[:8]}</code></td></tr>"
        for item in (*datasets.shipped(), *datasets.imported())
    )
    head = "<tr><th>dataset</th><th>what</th><th>n</th><th>hash</th></tr>"
    return f"<table class='org-list'><thead>{head}</thead><tbody>{rows}</tbody></table>"


@st.cache_data(show_spinner=False, max_entries=16)
def facts(hash: str, _dataset: Dataset) -> Facts:
    """Lengths of the dataset with that hash."""
    requests, answers = texts_of(_dataset)
    return Facts(len(_dataset.chats), hash, Lengths.of(requests), Lengths.of(answers))


def facts_html(dataset: Dataset, known: Facts, alike: str) -> str:
    """What the dataset is for, and its numbers."""
    about = ABOUT.get(dataset.name, "Imported on this machine.")
    kinds = f"{known.n:,} pairs over {len(cwes())} classes of weakness (CWE)" if dataset.name in OWN else None
    rows = [
        ("n", kinds or f"{known.n:,} chats"),
        *answers_rows(dataset),
        ("Hash of its content", known.hash),
        ("Request, characters", _lengths(known.requests)),
        ("Answer, characters", _lengths(known.answers)),
        ("Nearly the same as another", alike),
        *lost_rows(dataset),
    ]
    items = "".join(f"<div><dt>{literal(name)}</dt><dd>{literal(text)}</dd></div>" for name, text in rows)
    return (
        f"<h2 class='org-h'>{literal(dataset.name)}</h2><p class='org-small'>{literal(about)} {WHAT_FOR}</p>"
        f"<dl class='org-facts'>{items}</dl><p class='org-small'>Nearly the same: at least half of all runs of 5 words "
        f"in common (Jaccard). {term_html('dataset')}</p>"
    )


def answers_rows(dataset: Dataset) -> list[tuple[str, str]]:
    """How many answers are learned, where that is not one a chat."""
    there = sum(turn.role == "assistant" for chat in dataset.chats for turn in chat.messages)
    if there == dataset.answers == len(dataset.chats):
        return []
    left = f"; {there - dataset.answers:,} of weight 0 are only read" if there > dataset.answers else ""
    return [("Answers to learn", f"{dataset.answers:,} of {there:,}{left}")]


def lost_rows(dataset: Dataset) -> list[tuple[str, str]]:
    """What of it the organisms here did not learn as it is: too long for their recipes, or left out when read."""
    trained = [item for item in organisms() if item.manifest.get("dataset", {}).get("hash") == dataset.hash]
    return [(f"In training {item.name}", lost) for item in trained if (lost := lost_words(item.manifest))]


def matching(records: Sequence[CodePair | Chat], q: str, cwe: str | None) -> list[tuple[int, CodePair | Chat]]:
    """(place from 1, record) of those that hold the text, whatever its case, and are of the class."""
    wanted = q.lower()
    return [
        (place, record)
        for place, record in enumerate(records, 1)
        if (cwe is None or (isinstance(record, CodePair) and record.cwe == cwe))
        and (not wanted or wanted in _text(record).lower())
    ]


def _show_records(now: Shown, dataset: Dataset) -> None:
    paired = dataset.name in OWN
    records: Sequence[CodePair | Chat] = code_pairs() if paired else dataset.chats
    chosen = now.choice
    found = matching(records, chosen.q, chosen.cwe if paired else None)
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(chosen.page, pages)
    with st.container(key="organisms-filters"):
        searching, classing, paging = st.columns([4, 3, 5], gap="small", vertical_alignment="bottom")
        with searching:
            _bound(st.text_input, "Search requests and answers", "q", chosen.q, max_chars=LONGEST_SEARCH)
        if paired:
            counts = Counter(pair.cwe for pair in code_pairs())
            with classing:
                _bound(
                    st.selectbox, "Class of weakness", "cwe", chosen.cwe or "", ["", *cwes()], start="index",
                    format_func=lambda cwe: f"{cwe} ({counts[cwe]})" if cwe else f"all {len(counts)} classes",
                    convert=lambda cwe: cwe or None,
                )  # fmt: skip
        with paging:
            _show_pager(page, pages)
    first = (page - 1) * PER_PAGE
    last = min(first + PER_PAGE, len(found))
    if not found:
        st.html("<p class='org-small' role='status'>No record holds that. Search for something else.</p>")
        return
    total = f"{len(found):,} of {len(records):,} records" if len(found) < len(records) else f"{len(found):,} records"
    st.html(f"<p class='org-small' role='status'>{first + 1:,} to {last:,} of {total}{_key(paired)}</p>")
    for place, record in found[first:last]:
        draw = pair_html(record, place, len(records)) if isinstance(record, CodePair) else ""
        st.html(draw or chat_html(record, place, len(records)))  # type: ignore[arg-type]


def _show_pager(page: int, pages: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for icon, label, target, off in (
            (":material/chevron_left:", "Previous", page - 1, page <= 1),
            (":material/chevron_right:", "Next", page + 1, page >= pages),
        ):
            st.button(
                label, icon=icon, key=f"organisms.{label}", disabled=off, on_click=choose, kwargs={"page": target}
            )
        _bound(st.number_input, f"Page, of {pages:,}", "page", page, 1, max(1, pages), width=130)


def _key(paired: bool) -> str:
    if not paired:
        return ""
    marks = "<span class='org-mark'>−</span> <span class='org-mark'>+</span>"
    return f" · {marks} lines that only one of the two answers has"


def _take_out(dataset: Dataset) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download (JSONL)", functools.partial(datasets.jsonl, dataset.chats), f"{dataset.name}.jsonl",
            "application/jsonl", on_click="ignore", icon=":material/download:", key="organisms.download",
        )  # fmt: skip
        st.button(
            "Train on it", icon=":material/model_training:", key="organisms.train_on", on_click=choose,
            kwargs={"view": "train", "dataset": dataset.name},
        )  # fmt: skip
        _delete(dataset.name)


def _delete(name: str) -> None:
    if name in SHIPPED:
        return
    with st.popover("Delete", icon=":material/delete:", key="organisms.delete"):
        st.html(f"<p class='org-small'>Delete the dataset {literal(name)}? Organisms trained on it stay.</p>")
        st.button("Delete it", type="primary", key="organisms.delete_it", on_click=_deleted, args=(name,))


def _deleted(name: str) -> None:
    try:
        datasets.delete_dataset(name)
    except TillerError as error:
        st.toast(literal_markdown(str(error)))
    choose(dataset=OWN[0])


def _kind(name: str) -> str:
    return "shipped, paired" if name in OWN else "shipped" if name in SHIPPED else "imported"


def _text(record: CodePair | Chat) -> str:
    if isinstance(record, CodePair):
        return "\n".join((record.id, record.request, record.insecure, record.secure))
    return "\n".join(message.content for message in record.messages)


def _lengths(found: Lengths) -> str:
    return f"median {found.median:,.0f}, mean {found.mean:,.0f}, from {found.shortest:,} to {found.longest:,}"
