"""Measure it here: a form out of a study's settings, and the job that it starts until its result opens.

A field of the settings becomes the widget that suits its type; its description is the help. A study's page draws those
that matter most with labels of its own; the rest is under “More settings”.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from core import paths
from core.data.files import ENDINGS
from core.directions import library
from core.errors import TillerError
from core.generation.comparison import DEFAULT_MODEL
from core.models import sources
from core.models.catalog import CATALOG, ModelSpec
from core.studies import options
from core.studies.study import Study, arguments, find
from core.words import duration
from pages.parts import jobs as work
from pages.parts.choices import organism_names
from pages.parts.literal import literal
from pages.parts.models import by_id, on_command_line, take_typed
from pages.parts.ready import show_fetch
from pages.parts.shell import errors, show_error
from pages.parts.study.state import State
from pages.parts.uploads import save_prompts

MOST_MEGABYTES = 20  # of a file of prompts
PROMPT_FILES = ["txt", *ENDINGS]
UPLOAD = "my own prompts"
MODEL_HELP = "One that is on this machine, or type a folder on this computer or `owner/name` of the hub."
START_HELP = "Runs beside the app and takes turns with other long work. Saved results are shown at once."
CELL_SECONDS, CELL_PROMPTS, CELL_TOKENS = 30, 100, 64  # what the embedded model needs on two processor cores
MOST = 2**31 - 1
LIMITS = ("gt", "ge", "lt", "le")


@dataclass(frozen=True)
class Form:
    """A study's form.

    Attributes:
        draw: the fields that matter most, given what is looked at; False where there is nothing to measure yet.
        title: of the job.
        estimate: how much will be generated and how long that takes; raises what is wrong with the settings.
        needs: the models that must be on this machine; by default the one that was chosen.
    """

    study: Study[Any, Any]
    draw: Callable[[Fields, Any], bool]
    title: Callable[[Any], str]
    estimate: Callable[[Any], str] | None = None
    needs: Callable[[Fields], list[ModelSpec]] | None = None


class Fields:
    """What someone chooses in a form; `chosen` holds values, `typed` texts that are still to be read."""

    def __init__(self, page: str, study: Study[Any, Any]) -> None:
        self.page, self.study = page, study
        self.spec: ModelSpec | None = None
        self.chosen: dict[str, Any] = {}
        self.typed: dict[str, str] = {}
        self._upload: tuple[str, Any, str] | None = None

    def settings(self, save: bool = True) -> Any:
        """The study's settings.

        Args:
            save: keep an uploaded file where a job can read it; else the usual prompts stand for it.

        Raises:
            BadInput: one sentence and an action.
        """
        given = {name: text.strip() for name, text in self.typed.items() if text.strip()}
        chosen = {**self.chosen, **options.values(self.study.settings, given)}
        if self._upload and save:
            name, upload, instead = self._upload
            chosen[name] = save_prompts(upload, instead)
        return self.study.of(**chosen)

    def ask(self, name: str, label: str | None = None, about: str = "", key: str = "", **given: Any) -> Any:
        """The widget of a field.

        Args:
            label: by default the field's name.
            about: said instead of its description.
            key: more of the widget's key, for one that starts anew with another choice.
            given: options of the widget; `names` says what values of a choice are called.
        """
        field = self.study.settings.model_fields[name]
        label = label or name.replace("_", " ").capitalize()
        given = {"help": about or field.description, "key": f"{self.page}.form.{name}{key}", **given}
        usual = field.default
        if typing.get_origin(field.annotation) is typing.Literal:
            names, values = given.pop("names", {}), list(typing.get_args(field.annotation))
            first = values.index(given.pop("usual", usual))
            value = st.selectbox(label, values, first, format_func=lambda item: names.get(item, item), **given)
        elif options.is_switch(field):
            value = st.toggle(label, usual, **given)
        elif field.annotation in (int, float):
            low, high = _bounds(field)
            value = st.number_input(label, low, high, usual, **given)
        else:
            self.typed[name] = st.text_input(label, **{"placeholder": options.usual(field) or "as usual", **given})
            return self.typed[name]
        self.chosen[name] = value
        return value

    def model(self, usual: str) -> ModelSpec | None:
        """The chosen or typed model; None, with the error shown, where that is none."""
        known = list(dict.fromkeys([usual, *(spec.id for spec in CATALOG.values() if sources.is_ready(spec))]))
        key = f"{self.page}.form.model.{usual}"
        typed = st.selectbox("Model", known, key=key, accept_new_options=True, help=MODEL_HELP)
        try:
            if typed in (None, usual):
                self.chosen["model"], self.spec = on_command_line(usual), by_id(usual)
            else:
                self.chosen["model"], self.spec = typed, take_typed(typed)
        except TillerError as error:
            show_error(error)
        return self.spec

    def organism(self, usual: str) -> str | None:
        """Which organism of the model; None where it has none."""
        assert self.spec is not None
        names = organism_names(self.spec.id)
        place = names.index(usual) if usual in names else 0
        chosen = st.selectbox("Organism", names, place, key=f"{self.page}.form.organism.{self.spec.id}.{usual}")
        if chosen is None:
            st.caption(f"{literal(self.spec.title)} has no organism yet. Train one with `python -m core train`.")
        else:
            self.chosen["organism"] = chosen
        return chosen

    def direction(self) -> None:
        """A direction of the model; the usual one is the organism's own."""
        assert self.spec is not None
        cards = {card.id: card for card in library.cards(self.spec.id)}
        self.chosen["direction"] = st.selectbox(
            "Direction", [None, *cards], key=f"{self.page}.form.direction.{self.spec.id}",
            format_func=lambda key: cards[key].name if key in cards else "the organism’s own model contrast",
        )  # fmt: skip

    def subject(self, model: str, organism: str) -> bool:
        """Model, organism and direction; whether there is something to measure."""
        if self.model(model) is None:
            return False
        chosen = self.organism(organism)
        self.direction()
        return chosen is not None

    def prompts(self, instead: str, about: str, upload_about: str, name: str = "prompts") -> bool:
        """The study's own prompts, called `instead`, or a file; whether it is a file."""
        source = st.selectbox("Prompts", [instead, UPLOAD], key=f"{self.page}.form.source", help=about or None)
        if source != UPLOAD:
            return False
        upload = st.file_uploader(
            "Prompts to measure on", PROMPT_FILES, key=f"{self.page}.form.file", max_upload_size=MOST_MEGABYTES,
            help=upload_about, label_visibility="collapsed",
        )  # fmt: skip
        self._upload = name, upload, instead
        return True

    def rest(self, *but: str) -> None:
        """Every field that was not drawn, folded."""
        left = [name for name in self.study.settings.model_fields if name not in {*self.chosen, *self.typed, *but}]
        with st.popover("More settings", icon=":material/settings:"):
            for name in left:
                self.ask(name)


def slot(state: State[Any, Any]) -> str:
    """Where the session keeps its own job of a page's study."""
    return f"{state.name}_job"


def show_measuring(state: State[Any, Any], form: Form, now: Any) -> None:
    """The folded form, and what runs; open while something runs, or where there is nothing to show yet."""
    running = work.live(form.study.verb)
    label = "Measure it here" + (" · running" if running else "")
    with st.expander(label, icon=":material/straighten:", expanded=bool(running) or now.result is None):
        st.fragment(_form)(state, form, now)
        st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(state, form.study.verb, bool(running))


def open_or_begin(state: State[Any, Any], study: Study[Any, Any], settings: Any, title: str) -> None:
    """Show the saved result of these settings, else start measuring.

    Raises:
        TillerError: settings that do not fit together, or a job that cannot be started.
    """
    saved = find(study, settings)
    if saved is not None:
        state.open_result(saved.summary)
    else:
        work.begin(arguments(study, settings), title, slot(state))


def seconds_of(cells: int, prompts: int, tokens: int) -> float:
    """How long the embedded model takes on two processor cores for so many answers of settings × prompts."""
    return max(60.0, CELL_SECONDS * cells * prompts / CELL_PROMPTS * tokens / CELL_TOKENS)


def estimate(cells: int, prompts: int, tokens: int, spec: ModelSpec) -> str:
    """How much will be generated, and for the embedded model how long that takes."""
    said = f"{cells} settings × {prompts} prompts = {cells * prompts:,} answers of up to {tokens} tokens"
    if spec.id != DEFAULT_MODEL:
        return f"{said}. How long this model takes is seen once it runs."
    long = duration(seconds_of(cells, prompts, tokens))
    return f"{said}: about {long} on two processor cores. Answers that are there already are kept."


def attempt(trouble: str, action: Callable[[], None]) -> None:
    """Do it and draw the page again; what was wrong is kept in the session under `trouble`."""
    st.session_state[trouble] = None
    try:
        with paths.writable_errors():
            action()
    except TillerError as error:
        st.session_state[trouble] = str(error)
    st.rerun()


def show_trouble(trouble: str) -> None:
    """What was wrong when it was last tried."""
    if st.session_state.get(trouble):
        show_error(st.session_state[trouble])


def _form(state: State[Any, Any], form: Form, now: Any) -> None:
    fields = Fields(state.name, form.study)
    trouble = f"{state.name}_trouble"
    able = False
    with errors():
        able = form.draw(fields, now)
    if able and form.estimate:
        able = _promise(form, fields)
    needed = form.needs(fields) if form.needs else [fields.spec] if fields.spec else []
    absent = [spec for spec in needed if not sources.is_ready(spec)]
    if absent:
        names = "; ".join(f"{spec.title}{_cost(spec)}" for spec in absent)
        said = f"Not on this machine yet: {names}. Fetch to measure; saved results still show."
        st.html(f'<div class="study-note">{literal(said)}</div>')
        show_fetch(absent[0])  # one after the other

    def start() -> None:
        settings = fields.settings()
        open_or_begin(state, form.study, settings, form.title(settings))

    ready = able and bool(needed) and not absent
    if st.button(
        "Measure", type="primary", icon=":material/play_arrow:", key=state.start, disabled=not ready, help=START_HELP
    ):
        attempt(trouble, start)
    show_trouble(trouble)


def _promise(form: Form, fields: Fields) -> bool:
    """Say what will be generated, or what is wrong; whether it can be."""
    assert form.estimate is not None
    try:
        said, able = form.estimate(form.study.resolve(fields.settings(save=False))), True
    except TillerError as error:
        said, able = paths.placeless(str(error)), False
    st.html(f'<p class="study-small" role="status">{literal(said)}</p>')
    return able


def _cost(spec: ModelSpec) -> str:
    from core.words import size

    much = size(spec.download_bytes) if spec.download_bytes else "size unknown"
    return f" ({much}, licence: {spec.licence or 'unknown'})"


def _bounds(field: FieldInfo) -> tuple[Any, Any]:
    """The least and the most that a number may be, of its own type."""
    kind: type[int] | type[float] = int if field.annotation is int else float
    step = 1 if kind is int else 1e-6
    found = {name: getattr(item, name) for item in field.metadata for name in LIMITS if hasattr(item, name)}
    low = found["gt"] + step if "gt" in found else found.get("ge", -MOST)
    high = found["lt"] - step if "lt" in found else found.get("le", MOST)
    return kind(max(-MOST, low)), kind(min(MOST, high))


def _watch(state: State[Any, Any], verb: str, polling: bool) -> None:
    running = work.live(verb)
    for job in running:
        work.show_job(job)
    mine = work.own(slot(state))
    if mine is not None and mine.state == "done":
        st.session_state.pop(slot(state))
        with errors():
            state.open_result(mine.result())
        st.rerun()
    if polling and not running:
        st.rerun()
    if mine is not None and not mine.live:
        work.show_end(mine)
