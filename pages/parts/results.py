"""What the panes show: the session's jobs, or a saved example; each beside the settings of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.data.chat import Chat
from core.directions import library
from core.directions.library import DirectionCard
from core.errors import TillerError
from core.generation import saved
from core.generation.comparison import Plan, Settings, comparison_rows, complete, control_row, strip_rows, with_answer
from core.generation.engine import Job
from core.generation.rows import BASE, Answer, Row, Sampling, Token
from core.models.catalog import resolve
from core.generation.saved import Example, SavedAnswer
from pages.parts.literal import Tint
from pages.parts.panes import Pane, made_by


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
            try:
                if complete(example.settings).settings == plan.settings:
                    return example
            except TillerError:
                continue  # its direction is not here; it can still be opened by hand
    return None


def of_example(example: Example) -> Result:
    """A saved example's panes."""
    settings = example.settings
    rows: dict[str, Row] = {}
    try:
        plan = complete(settings)
        rows = {row.label: row for row in (*comparison_rows(plan), control_row(plan))}
    except TillerError:
        pass  # the direction is gone: texts are shown without colours
    return Result(settings.model, tuple(_answer(item, rows, settings) for item in example.rows), example)


def strip_of_example(example: Example) -> Result | None:
    """A saved example's strength strip, where it has one."""
    if not example.strip:
        return None
    settings = example.settings
    rows: dict[str, Row] = {}
    try:
        rows = {row.label: row for row in strip_rows(complete(settings), [float(item.label) for item in example.strip])}
    except (TillerError, ValueError):
        pass
    return Result(settings.model, tuple(_answer(item, rows, settings) for item in example.strip), example)


def _answer(item: SavedAnswer, rows: Mapping[str, Row], settings: Settings) -> Answer:
    adapter = BASE if item.label == "base" else settings.organism or BASE
    row = rows.get(item.label) or Row(Chat.of(settings.prompt or "—"), item.label, adapter, sampling=_sampling(settings))
    tokens = [Token(0, token.id, token.text, token.logprob, token.projection) for token in item.tokens]
    joined = "".join(token.text for token in tokens)
    if not item.text.startswith(joined):
        tokens, joined = [], ""
    return Answer(row, tokens, item.text[len(joined) :], item.reason, item.seconds)


def _sampling(settings: Settings) -> Sampling:
    return Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k, settings.seed)


def panes(results: Sequence[Result], plan: Plan | None, settings: Settings) -> list[Pane]:
    """Panes in order, each marked where the settings of now would make another text."""
    try:
        now = {row.label: row for row in (*comparison_rows(plan), control_row(plan))} if plan else {}
    except TillerError:
        now = {}
    return [_pane(result, answer, now, settings, plan) for result in results for answer in result.answers]


def strip_panes(result: Result, plan: Plan | None, settings: Settings) -> list[Pane]:
    """The cards of a strength strip."""
    try:
        labels = [float(answer.row.label) for answer in result.answers]
        now = {row.label: row for row in strip_rows(plan, labels)} if plan else {}
    except (TillerError, ValueError):
        now = {}
    return [_pane(result, answer, now, settings, plan) for answer in result.answers]


def _pane(
    result: Result, answer: Answer, now: Mapping[str, Row], settings: Settings, plan: Plan | None
) -> Pane:
    row = answer.row
    messages = row.chat.messages
    stale = plan is None or result.model != plan.card.model or _texts(now.get(row.label)) != _texts(row)
    turns = messages if len(messages) > 1 or messages[0].content != settings.prompt else ()
    return Pane(
        answer,
        made_by(result.model, row, card_of(row)),
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


def card_of(row: Row) -> DirectionCard | None:
    """The direction that a row was read (and steered) with, while it is on this machine."""
    if row.reading is None:
        return None
    identity = library.split_reference(row.reading.direction)[0]
    return next((card for card in library.cards() if card.id == identity), None)


def tint_of(results: Sequence[Result]) -> Tint | None:
    """One colour scale for all panes; none where they were read on different directions."""
    readings = {answer.row.reading for result in results for answer in result.answers}
    if len(readings) != 1:
        return None
    row = results[0].answers[0].row
    card = card_of(row)
    return Tint.of(card, row.reading.block) if card and row.reading and row.reading.block < card.blocks else None


def follow_up(results: Sequence[Result], message: str, plan: Plan, with_control: bool) -> tuple[Row, ...]:
    """Rows that continue each pane with its own history; a pane that was not there continues the steered one's."""
    answers = {answer.row.label: answer for result in results for answer in result.answers}
    chats = {label: with_answer(answer.row.chat, answer.text, message) for label, answer in answers.items()}
    spare = chats.get("steered") or next(iter(chats.values()))
    rows = comparison_rows(plan, {label: chats.get(label, spare) for label in ("base", "organism", "steered")})
    return (*rows, control_row(plan, chats.get("random", spare))) if with_control else rows
