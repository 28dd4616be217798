"""What the panes show: the session's jobs, or a saved example; each beside the settings of now."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.data.chat import Chat
from core.directions import library
from core.directions.library import DirectionCard
from core.errors import TillerError
from core.generation import saved
from core.generation.comparison import Plan, Settings, comparison_rows, control_row, strip_rows, with_answer
from core.generation.engine import Job
from core.generation.rows import BASE, Answer, Row, Sampling, Token
from core.generation.saved import Example, SavedAnswer
from core.models.catalog import ModelSpec, resolve
from core.models.sources import is_ready
from core.studies.plan import complete
from pages.parts.literal import Tint
from pages.parts.steer.panes import Pane, made_by


@dataclass(frozen=True)
class Now:
    """The settings of now and what they mean, worked out once a script run: what panes are compared with.

    `rows` are those that would be generated, by label; `problem` says why there is no plan. `example` is the
    saved one to show while the session has generated nothing; `ready` says whether the model's files are here.
    """

    settings: Settings
    plan: Plan | None
    problem: TillerError | None
    rows: Mapping[str, Row]
    cards: Mapping[str, DirectionCard]
    spec: ModelSpec | None
    ready: bool
    example: Example | None

    @classmethod
    def of(cls, settings: Settings, opened: str | None = None, fresh: bool = False, kept: str | None = None) -> Now:
        """Work out what `settings` mean.

        Args:
            opened: id of the saved example that the user has opened.
            fresh: nothing was opened or generated yet, so an example that fits may be shown unasked.
            kept: id of the one that was shown so before; it stays where none fits, marked as such.
        """
        plan, problem, rows, spec = None, None, {}, None
        try:
            spec = resolve(settings.model)
            plan = complete(settings)
            rows = {row.label: row for row in (*comparison_rows(plan), control_row(plan))}
        except TillerError as error:
            problem = error
        ready = spec is not None and is_ready(spec)
        example = None
        if opened:
            example = _named_example(opened)
        elif fresh:
            example = matching_example(plan) or _named_example(kept) or (None if ready else first_example())
        cards = {card.id: card for card in reversed(library.cards())}  # of two files with one id, the shipped one
        return cls(settings, plan, problem, rows, dict(reversed(cards.items())), spec, ready, example)

    def card(self, row: Row) -> DirectionCard | None:
        """The direction that a row was read with, while it is on this machine."""
        return self.cards.get(row.reading.direction) if row.reading else None


@dataclass(frozen=True)
class Result:
    """Answers of one model. `example` where they are saved ones, `live` where they may still grow."""

    model: str
    answers: tuple[Answer, ...]
    example: Example | None = None
    live: bool = False

    @classmethod
    def of(cls, job: Job) -> Result:
        return cls(resolve(job.model).id, tuple(job.answers), live=not job.over)


def matching_example(plan: Plan | None) -> Example | None:
    """The saved example that was made with exactly these settings."""
    if plan is not None:
        for example in saved.examples():
            with contextlib.suppress(TillerError):  # its direction is not here; it can still be opened by hand
                if complete(example.settings).settings == plan.settings:
                    return example
    return None


def first_example() -> Example | None:
    """The saved example to begin with."""
    return next(iter(examples_in_order()), None)


def examples_in_order() -> list[Example]:
    """All saved examples, in the order of the presets that they were made from."""
    order = [preset.id for preset in saved.presets()]
    return sorted(saved.examples(), key=lambda item: order.index(item.id) if item.id in order else len(order))


def _named_example(identity: str | None) -> Example | None:
    return next((example for example in saved.examples() if example.id == identity), None)


def of_example(example: Example, with_control: bool = True) -> Result:
    """A saved example's panes; without its control where a live one stands beside it."""
    settings = example.settings
    rows: dict[str, Row] = {}
    try:
        plan = complete(settings)
        rows = {row.label: row for row in (*comparison_rows(plan), control_row(plan))}
    except TillerError:
        pass  # the direction is gone: texts are shown without colours
    shown = [item for item in example.rows if with_control or item.label != "random"]
    return Result(settings.model, tuple(_answer(item, rows, settings) for item in shown), example)


def provenance(example: Example) -> str:
    """How a saved example was made, in one line; what is not recorded is called unknown."""
    record = example.provenance
    versions = ", ".join(f"{name} {version}" for name, version in dict(record.get("versions") or {}).items())
    return (
        f"Saved example “{example.title}”, made by {record.get('command', 'unknown')} on "
        f"{str(record.get('time', 'unknown date'))[:10]} · {record.get('dtype', 'unknown dtype')} on "
        f"{record.get('device', 'unknown device')} · {versions or 'unknown versions'}"
    )


def strip_of_example(example: Example) -> Result | None:
    """A saved example's strength strip, where it has one."""
    if not example.strip:
        return None
    settings = example.settings
    rows: dict[str, Row] = {}
    with contextlib.suppress(TillerError, ValueError):
        labels = [float(item.label) for item in example.strip]
        rows = {row.label: row for row in strip_rows(complete(settings), labels)}
    return Result(settings.model, tuple(_answer(item, rows, settings) for item in example.strip), example)


def _answer(item: SavedAnswer, rows: Mapping[str, Row], settings: Settings) -> Answer:
    adapter = BASE if item.label == "base" else settings.organism or BASE
    row = rows.get(item.label)
    if row is None:
        row = Row(Chat.of(settings.prompt), item.label, adapter, sampling=_sampling(settings))
    tokens = [Token(0, token.id, token.text, token.logprob, token.projection) for token in item.tokens]
    joined = "".join(token.text for token in tokens)
    if not item.text.startswith(joined):
        tokens, joined = [], ""
    return Answer(row, tokens, item.text[len(joined) :], item.reason, item.seconds)


def _sampling(settings: Settings) -> Sampling:
    return Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k, settings.seed)


def panes(results: Sequence[Result], now: Now) -> list[Pane]:
    """Panes in order, each marked where the settings of now would make another text."""
    return [
        _pane(result, answer, now.rows.get(answer.row.label), now) for result in results for answer in result.answers
    ]


def strip_panes(result: Result, now: Now) -> list[Pane]:
    """The cards of a strength strip."""
    shown = []
    for answer in result.answers:
        with contextlib.suppress(TillerError, ValueError):
            rows = strip_rows(now.plan, [float(answer.row.label)]) if now.plan else (None,)
            shown.append(_pane(result, answer, rows[0], now))
    return shown


def _pane(result: Result, answer: Answer, would_be: Row | None, now: Now) -> Pane:
    row = answer.row
    messages = row.chat.messages
    stale = now.plan is None or result.model != now.plan.card.model or _texts(would_be) != _texts(row)
    turns = messages if len(messages) > 1 or messages[0].content != now.settings.prompt else ()
    return Pane(
        answer,
        made_by(result.model, row, now.card(row)),
        stale,
        result.example is not None,
        result.live and answer.reason is None,
        turns,
    )


def _texts(row: Row | None) -> Row | None:
    """What decides a row's text: a conversation counts by how it began, and greedy choice ignores the dice."""
    if row is None:
        return None
    sampling = row.sampling
    if sampling.temperature == 0:
        sampling = Sampling(sampling.max_tokens)
    begun = Chat(messages=row.chat.messages[:1])
    return replace(row, chat=begun, sampling=sampling, reading=None)


def tint_of(results: Sequence[Result], now: Now) -> Tint | None:
    """One colour scale for all panes; none where they were read on different directions."""
    rows = [answer.row for result in results for answer in result.answers]
    if not rows or len({row.reading for row in rows}) != 1:
        return None
    card, reading = now.card(rows[0]), rows[0].reading
    return Tint.of(card, reading.block) if card and reading and reading.block < card.blocks else None


def follow_up(results: Sequence[Result], message: str, plan: Plan, with_control: bool) -> tuple[Row, ...]:
    """Rows that continue each pane with its own history; a pane that was not there continues the steered one's."""
    answers = {answer.row.label: answer for result in results for answer in result.answers}
    chats = {label: with_answer(answer.row.chat, answer.text, message) for label, answer in answers.items()}
    spare = chats.get("steered") or next(iter(chats.values()))
    rows = comparison_rows(plan, {label: chats.get(label, spare) for label in ("base", "organism", "steered")})
    return (*rows, control_row(plan, chats.get("random", spare))) if with_control else rows
