"""What a study's page shows: the session's choices, what they come to among the saved results, and the link to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import streamlit as st

from core import results
from core.errors import DamagedArtifact
from core.results import Place, Result
from pages.parts import address, choices
from pages.parts.study.reading import Reading

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Looked(Protocol):
    """What is looked at: of the results that fit the choices, one; None where nothing of that was measured here."""

    @property
    def choice(self) -> Any: ...

    @property
    def candidates(self) -> Sequence[Result]: ...

    @property
    def result(self) -> Result | None: ...

    @property
    def summary(self) -> dict[str, Any]: ...


Choice = TypeVar("Choice", bound="DataclassInstance")
Now = TypeVar("Now", bound=Looked)


@dataclass(frozen=True)
class Saved:
    """The results that there are, shipped ones first, then the newest, and a sentence for each that is damaged."""

    results: tuple[Result, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class State(Generic[Choice, Now]):
    """The choices of one page, kept in the session.

    Attributes:
        page: its title, which is its address.
        kind: of the results it shows.
        usual: the choices of someone who has not chosen yet.
        resolve: what choices come to among results; what does not exist falls back to the usual.
        read_link: (choices, notes) of query parameters; what a link gets wrong is left out, with a note.
        parameters: query parameters that restore what is shown; unless all are wanted, those that are not as usual.
        settle: what else changes with some choices, such as the result when another organism is chosen.
        named: which choices a result settles, for opening one.
    """

    page: str
    kind: str
    usual: Choice
    resolve: Callable[[Choice, Sequence[Result]], Now]
    read_link: Callable[[Mapping[str, str], Sequence[Result]], tuple[Choice, list[str]]]
    parameters: Callable[[Now, bool], dict[str, str]]
    settle: Callable[[dict[str, Any]], dict[str, Any]]
    named: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the keys of its widgets begin with."""
        return self.page.lower()

    @property
    def start(self) -> str:
        """The key of the button that measures: in the session while the page has not been left."""
        return f"{self.name}.measure"

    def shown(self) -> tuple[Now, Sequence[str]]:
        """What to show now, and notes on a link that was not understood, until the next choice."""
        there = self.saved().results
        notes = choices.follow(self.name, self.start in st.session_state, lambda given: self.read_link(given, there))
        return self.current(), notes

    def current(self) -> Now:
        """What to show by the session's choices, whatever the address says."""
        kept, _ = choices.session_keys(self.name)
        return self.resolve(st.session_state.setdefault(kept, self.usual), self.saved().results)

    def saved(self) -> Saved:
        """All results, read again only when one has come, gone or changed."""
        return _saved(tuple(place for place in results.places() if place.kind == self.kind))

    def choose(self, **values: Any) -> None:
        """Change some choices."""
        choices.change(self.name, self.usual, self.settle(values))

    def open_result(self, summary: Mapping[str, Any]) -> None:
        """Show a result, its answers from the first on."""
        anew = asdict(Reading()) if isinstance(self.usual, Reading) else {}
        self.choose(**anew, **{name: summary[name] for name in self.named}, result=summary["key"])

    def link(self, now: Now) -> str:
        """The whole address to copy."""
        return address.whole(self.page, self.parameters(now, True))

    def write_address(self) -> None:
        """Put what is shown into the address."""
        address.write(self.name, self.parameters(self.current(), False))


@functools.lru_cache(maxsize=16)
def _saved(places: tuple[Place, ...]) -> Saved:
    found, damaged = [], []
    for place in places:
        try:
            found.append(place.read())
        except DamagedArtifact as error:
            damaged.append(str(error))
        except FileNotFoundError:
            continue
    found.sort(key=lambda item: (item.shipped, str(item.summary["provenance"].get("time", ""))), reverse=True)
    once: dict[str, Result] = {}  # a shipped one stands for the same made here
    for item in found:
        once.setdefault(item.key, item)
    return Saved(tuple(once.values()), tuple(damaged))
