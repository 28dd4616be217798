"""How many chats of a dataset are nearly the same as another: counted once for everyone, while someone waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from core.data.datasets import Dataset
from core.data.duplicates import Tell, count_near_duplicates

MOST_COMPARED = 100_000  # chats; with requests and answers of 60 words they take about 20 seconds
UNSHOWN_SECONDS, TELL_SECONDS = 1.0, 0.25


def known_words(dataset: Dataset) -> str | None:
    """What can be said at once; None where `counted_words` has to count first."""
    if len(dataset.chats) > MOST_COMPARED:
        return f"not counted in more than {MOST_COMPARED:,} chats"
    return _counted().get(dataset.hash)


def counted_words(dataset: Dataset, show: Callable[[float, str], object]) -> str:
    """How many requests, and how many answers.

    Args:
        show: is told the share that is done, when it takes long; as a Streamlit element it raises what ends the run.
    """
    tell = _teller(show)
    requests, answers = texts_of(dataset)
    asked = count_near_duplicates(requests, lambda share: tell(share / 2))
    answered = count_near_duplicates(answers, lambda share: tell((1 + share) / 2))
    return _counted().setdefault(dataset.hash, f"{asked:,} requests, {answered:,} answers")


def texts_of(dataset: Dataset) -> tuple[list[str], list[str]]:
    """The first request of each chat, and its last answer."""
    requests = [next(turn.content for turn in chat.messages if turn.role == "user") for chat in dataset.chats]
    return requests, [chat.messages[-1].content for chat in dataset.chats]


@st.cache_resource(show_spinner=False)
def _counted() -> dict[str, str]:
    """What was counted, by the hash of the dataset. Not a cached function: those cannot show how far they are."""
    return {}


def _teller(show: Callable[[float, str], object]) -> Tell:
    """Passes a share on, but not at once and not as often as it comes."""
    due = time.monotonic() + UNSHOWN_SECONDS

    def tell(share: float) -> None:
        nonlocal due
        if time.monotonic() >= due:
            show(share, "Comparing each text with those like it")
            due = time.monotonic() + TELL_SECONDS

    return tell
