"""Panes: an answer with what made it, what it contains, and its tokens coloured by projection; as HTML."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.chat import Message
from core.directions.library import DirectionCard, split_reference
from core.directions.names import NAMES
from core.errors import BadInput
from core.generation.rows import BASE, Answer, Row
from core.measures.code import Evidence, find_code
from core.measures.repetition import repetition
from core.steering.interventions import Intervention
from core.words import fixed, number, percent
from pages.parts.literal import LEVELS, Tint, answer_html, literal

REPEATING = 0.3
ENDINGS = {"end": "ended by itself", "length": "length limit", "stopped": "unfinished"}


@dataclass(frozen=True)
class Pane:
    """One answer, live or saved. `waiting`: it may still grow; `turns`: what was said before it."""

    answer: Answer
    made_by: str
    stale: bool = False
    saved: bool = False
    waiting: bool = False
    turns: tuple[Message, ...] = ()


def title(row: Row) -> str:
    """What a pane is called."""
    if row.label == "base":
        return "Base model"
    if row.label == "organism":
        return "Organism"
    steered = "Base model" if row.adapter == BASE else "Organism"
    return f"{steered} + random direction" if row.label == "random" else f"{steered}, steered"


def made_by(model: str, row: Row, card: DirectionCard | None) -> str:
    """Exactly what made an answer, in one line."""
    parts = [f"{model}, no organism" if row.adapter == BASE else f"{model} + {row.adapter}"]
    for item in row.interventions:
        parts += [strength(item, card), _blocks(item.blocks), _direction(item, card)]
        parts.append(f"scope {item.scope}" + ("" if item.special_tokens else " without special tokens"))
    if not row.interventions:
        parts.append("not steered")
    sampling = row.sampling
    how = "greedy" if sampling.temperature == 0 else f"temperature {number(sampling.temperature)}"
    return " · ".join([*parts, how, f"seed {sampling.seed}"])


def strength(item: Intervention, card: DirectionCard | None) -> str:
    """A coefficient in both units, or a share."""
    if item.mode == "ablate":
        return f"ablate {number(item.coefficient)} of the projection"
    if item.mode == "cap":
        return f"cap {number(item.coefficient)} of what exceeds the base mean"
    norm = f" = {number(card.to_norm_unit(item.coefficient, item.blocks[0]))} of the norm" if card else ""
    return f"add {number(item.coefficient, 4)} × v{norm}"


def pane_html(pane: Pane, tint: Tint | None) -> str:
    """A whole pane."""
    row = pane.answer.row
    name = title(row)
    marks = (_badge("saved example", "saved") if pane.saved else "") + stale_html(pane)
    turns = "".join(f'<div class="turn {turn.role}" dir="auto">{literal(turn.content)}</div>' for turn in pane.turns)
    return (
        f'<section class="pane{" is-stale" if pane.stale else ""}" aria-label="{literal(name)}">'
        f'<div class="head"><span role="heading" aria-level="3" class="name">{literal(name)}</span>{marks}</div>'
        f'<div class="made">{literal(pane.made_by)}</div>'
        f'<div class="facts">{facts_html(pane.answer, pane.waiting)}</div>'
        f"{turns}{text_html(pane.answer, tint, pane.waiting)}</section>"
    )


def stale_html(pane: Pane) -> str:
    """The mark of a text that the settings of now would not make."""
    if not pane.stale:
        return ""
    return _badge("other settings than above" if pane.saved else "settings changed since", "stale")


def text_html(answer: Answer, tint: Tint | None, waiting: bool) -> str:
    """The answer's text; focusable, because a very long one scrolls."""
    text = answer.text
    shown = answer_html(text, answer.tokens, evidence_of(text), tint) if text else ""
    if waiting and answer.reason is None:
        shown += '<span class="cursor" aria-hidden="true">▍</span>'
    elif not text:
        shown = f'<span class="made">{"(an empty answer)" if answer.reason else "Nothing written yet."}</span>'
    return f'<div class="answer" dir="auto" tabindex="0" role="group" aria-label="Answer">{shown}</div>'


def facts_html(answer: Answer, waiting: bool) -> str:
    """Badges and numbers of an answer: code, repetition, tokens, how it ended, mean log-probability."""
    if not answer.tokens and not answer.text:
        return _fact("waiting" if waiting else "—")
    text = answer.text
    badges = _badge("contains code", "code") if evidence_of(text) else _badge("no code", "plain")
    share = repetition(text)
    if share > REPEATING:
        badges += _badge(f"repeats itself: {percent(share)}", "warn")
    if answer.reason == "stopped":
        badges += _badge("stopped", "warn")
    numbers = [f"{len(answer.tokens)} tokens"] if answer.tokens else []
    ending = ENDINGS.get(answer.reason or "", "writing" if waiting else "unfinished")
    numbers.append(ending)
    if answer.tokens:
        mean = sum(token.logprob for token in answer.tokens) / len(answer.tokens)
        numbers.append(f"mean log-prob {fixed(mean)}")
    return badges + _fact(" · ".join(numbers))


@functools.lru_cache(maxsize=256)
def evidence_of(text: str) -> tuple[Evidence, ...]:
    """Where an answer contains code; a text is shown many times and looked through once."""
    return tuple(find_code(text))


def legend_html(tint: Tint) -> str:
    """The colour scale with its numbers."""
    ends = (number(-tint.scale, sign=True), number(tint.scale, sign=True))
    steps = [f"minus{level}" for level in range(LEVELS, 0, -2)] + [f"plus{level}" for level in range(2, LEVELS + 1, 2)]
    bar = "".join(f'<span class="token {step}">&nbsp;</span>' for step in steps)
    about = (
        f"Projection of the state that chose each token on the direction at block {tint.block}, after steering. "
        f"0 is the base model's mean at the last prompt token ({number(tint.centre)}); the ends are the direction's "
        "own length. A bar below a token: near the upper end; above it: near the lower end."
    )
    return (
        f'<span class="legend" title="{literal(about)}"><span class="low">{ends[0]}</span>'
        f'<span class="scale" aria-hidden="true">{bar}</span><span>{ends[1]}</span>'
        f'<span class="made">projection at block {tint.block}, 0 = base mean</span></span>'
    )


def _direction(item: Intervention, card: DirectionCard | None) -> str:
    try:
        identity, control, argument = split_reference(item.direction)
    except BadInput:
        return item.direction
    name = card.name if card else identity
    return f"{NAMES[control].one} {argument} of the length of {name}" if control else name


def _blocks(blocks: Sequence[int]) -> str:
    return f"block {blocks[0]}" if len(blocks) == 1 else f"blocks {blocks[0]}–{blocks[-1]}"


def _badge(text: str, kind: str) -> str:
    return f'<span class="badge {kind}">{literal(text)}</span>'


def _fact(text: str) -> str:
    return f'<span class="fact">{literal(text)}</span>'
