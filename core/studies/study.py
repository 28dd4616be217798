"""What a study is: one value that says how it is asked for, what its numbers depend on, and how they are measured.

What all studies do alike is here, once: finding a saved result, measuring it under a lock, its key, where it came from,
and the command line of its settings. A new study is one more value in `core.studies.catalog`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from core import invalid, paths, provenance, results, store
from core.errors import BadInput
from core.models.catalog import ModelSpec
from core.studies import options
from core.studies.given import NOTHING, Given

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from core.figures.shown import Shown
    from core.models.loading import LoadedModel
    from core.results import Result

Settings = TypeVar("Settings", bound=BaseModel)
Inputs = TypeVar("Inputs")
Report = Callable[[str, int, int], None]
FROM_MEMORY = "made from Python, of things in its memory"  # in place of a command, which could not name them


def silent(stage: str, done: int, of: int) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True)
class Work:
    """Where and with what a study is measured; nothing of it changes the numbers beyond rounding.

    Attributes:
        device: as `core.models.loading.load` takes it.
        report: is told the stage, and how much of it is done.
        rows_a_batch: by default what suits the device.
        root: where things that a study saves beside its result go; by default the cache.
        given: what is in memory already and therefore not loaded.
    """

    device: str | None = None
    report: Report = silent
    rows_a_batch: int | None = None
    root: Path | None = None
    given: Given = NOTHING


@dataclass(frozen=True)
class Found:
    """What was measured: `summary` is plain data, `table` has one row an answer, `arrays` lie beside them."""

    summary: dict[str, Any]
    table: pd.DataFrame | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Study(Generic[Settings, Inputs]):
    """A kind of study.

    Attributes:
        kind: the folder of its results.
        verb: on the command line, where `about` explains it.
        example: options of a command that shows what it is for.
        method: counts up when the same answers would give other numbers.
        settings: a frozen pydantic model; the descriptions of its fields are what command line and forms say.
        inputs: names to things, without torch; raises `BadInput` for what does not fit together.
        depends: everything that the numbers depend on, never names or places.
        models: whose weights they depend on.
        recorded: the settings as they are recorded and shown, without any folder of this machine.
        measure: imports what it needs, torch among it, when it is called.
        words: a summary as text for a terminal.
        says: what was found, in a sentence or two with its numbers.
        figures: of a result, as its page shows them first; imports plotly when it is called.
        table: the list of records in a summary that holds its main numbers.
        page: the title of the page that shows it; None where none does.
        answers: what a report shows of a result's answers, by arm, in the order of the prompts.
    """

    kind: str
    verb: str
    about: str
    example: str
    method: int
    settings: type[Settings]
    inputs: Callable[[Settings, Given], Inputs]
    depends: Callable[[Inputs], Sequence[Any]]
    models: Callable[[Inputs], Sequence[ModelSpec]]
    recorded: Callable[[Inputs], Settings]
    measure: Callable[[Inputs, Work], Found]
    words: Callable[[dict[str, Any]], str]
    says: Callable[[dict[str, Any]], str]
    figures: Callable[[Result], Iterator[Shown]]
    table: str
    page: str | None = None
    answers: Callable[[Result], Mapping[str, pd.DataFrame]] = lambda _: {}

    def resolve(self, settings: Settings, given: Given = NOTHING) -> Inputs:
        """The settings with what they name, here or in memory."""
        return self.inputs(settings, given)

    def key(self, inputs: Inputs) -> str:
        """Hash of all that the numbers depend on."""
        return store.content_hash([self.kind, self.method, *self.depends(inputs)])[:24]

    def of(self, **chosen: Any) -> Settings:
        """Settings from a command line, a form or a call.

        Raises:
            BadInput: names the setting and the reason.
        """
        try:
            return self.settings(**chosen)
        except ValidationError as error:
            place, reason = invalid.reason(error)
            raise BadInput(f"{place or 'settings'}: {reason}. Choose another value.") from error


def find(study: Study[Settings, Inputs], settings: Settings, given: Given = NOTHING) -> Result | None:
    """The saved result of exactly these settings; None where there is none for the weights that are here."""
    return _find(study, study.resolve(settings, given), given)


def run(
    study: Study[Settings, Inputs],
    settings: Settings,
    work: Work | None = None,
    fresh: bool = False,
    shipped_as: str | None = None,
) -> Result:
    """The result from the store, else measured and saved. Of several processes that ask at once, one measures.

    Args:
        fresh: measure what is saved again; answers that are there are not generated again.
        shipped_as: save it among the shipped results under this name.

    Raises:
        BadInput: settings that do not fit together.
    """
    work = work or Work()
    inputs = study.resolve(settings, work.given)
    always = fresh or shipped_as is not None
    if not always and (saved := _find(study, inputs, work.given)):
        return saved
    key = study.key(inputs)
    with store.writer_lock(paths.cache() / "studies" / study.kind / key):
        if not always and (saved := _find(study, inputs, work.given)):  # another process has made it meanwhile
            return saved
        found = measured(study, inputs, work)
        return results.save_result(study.kind, key, found.summary, found.arrays, shipped_as, found.table)


def measured(study: Study[Settings, Inputs], inputs: Inputs, work: Work) -> Found:
    """What the study finds, measured now and not saved."""
    return described(study, inputs, study.measure(inputs, work), work.given)


def described(study: Study[Settings, Inputs], inputs: Inputs, found: Found, given: Given = NOTHING) -> Found:
    """What was found, with its settings and where it came from; what the study says of either itself stays."""
    asked = study.recorded(inputs)
    nameless = given.nameless(study.models(inputs))
    summary = {
        **found.summary,
        "settings": {**asked.model_dump(), **found.summary.get("settings", {})},
        "provenance": {
            "command": FROM_MEMORY if nameless else command_line(study, asked),
            **found.summary["provenance"],
            **provenance.now(),
        },
    }
    return Found(summary, found.table, found.arrays)


def made_with(loaded: LoadedModel) -> dict[str, str]:
    """The model's part of a result's provenance."""
    return {
        "fingerprint": loaded.fingerprint,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "device": loaded.device.type,
    }


def arguments(study: Study[Settings, Any], settings: Settings) -> list[str]:
    """The verb and options that ask for these settings; what is as usual is left out."""
    return [study.verb, *options.arguments(settings)]


def command_line(study: Study[Settings, Any], settings: Settings) -> str:
    """The command that asks for these settings, to paste into a terminal."""
    return options.quoted(["python", "-m", "core", *arguments(study, settings)])


def _find(study: Study[Settings, Inputs], inputs: Inputs, given: Given) -> Result | None:
    """A result counts for the weights that are here; of a model that is not, its id is all there is to compare."""
    prints = {spec.id: given.fingerprint(spec) for spec in study.models(inputs)}
    here = {name: fingerprint for name, fingerprint in prints.items() if fingerprint is not None}
    return results.find_result(study.kind, study.key(inputs), fits=lambda result: _is_of(result, here))


def _is_of(result: Result, weights: Mapping[str, str]) -> bool:
    made = result.summary["provenance"]
    several = made.get("models")
    known = {name: record["fingerprint"] for name, record in several.items()} if several else None
    return all((known.get(name) if known else made.get("fingerprint")) == value for name, value in weights.items())
