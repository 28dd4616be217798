"""An answer as a pane: text exactly as written, the detector's evidence marked, what it counts as and why; as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.measures.code import Evidence
from core.words import UNKNOWN, is_known, number, percent
from pages.parts.literal import literal
from pages.parts.study.answers import Judged, Prompt

ENDINGS = {"end": "ended by itself", "length": "length limit", "stopped": "stopped"}


def pane_html(name: str, made_by: str, answer: Judged, limits: Mapping[str, float]) -> str:
    """A whole pane."""
    text = marked(answer.text, answer.evidence)
    if not answer.text.strip():
        text += '<span class="study-made">(an empty answer)</span>'
    return (
        f'<section class="study-pane is-{answer.state}" aria-label="{literal(name)}">'
        f'<h3>{literal(name)}</h3><div class="study-made">{literal(made_by)}</div>'
        f'<div class="study-tags">{tags(answer, limits)}</div>'
        f'<div class="study-answer" dir="auto" tabindex="0" role="group" aria-label="Answer">{text}</div>'
        f'<div class="study-made">{literal(facts(answer))}</div></section>'
    )


def prompt_html(prompt: Prompt, tier: bool) -> str:
    """The prompt, with its tier where there are several."""
    named = f'<span class="study-badge">{literal(prompt.suite)}</span> ' if tier else ""
    return f'<div class="study-prompt" dir="auto">{named}{literal(prompt.text)}</div>'


def tags(answer: Judged, limits: Mapping[str, float]) -> str:
    """Code with the rules that found it, broken with the reason, or clean."""
    found = []
    if answer.code:
        rules = ", ".join(dict.fromkeys(item.rule for item in answer.evidence)) or "unknown rule"
        found.append(f'<span class="study-tag is-code">code: {literal(rules)}</span>')
    if answer.broken:
        why = "; ".join(answer.faults(limits))
        found.append(f'<span class="study-tag is-broken">broken: {literal(why)}</span>')
    return "".join(found) or '<span class="study-tag is-clean">clean</span>'


def facts(answer: Judged) -> str:
    """Likelihood, repetition, tokens and how it ended."""
    likelihood = f"{number(answer.likelihood)} nats a token" if is_known(answer.likelihood) else UNKNOWN
    ended = ENDINGS.get(answer.reason, answer.reason)
    return f"likelihood {likelihood} · {percent(answer.repetition)} repeated · {answer.tokens} tokens, {ended}"


def marked(text: str, evidence: Sequence[Evidence]) -> str:
    """The text with each stretch of evidence as a mark that names its rule."""
    pieces, place = [], 0
    for item in sorted(evidence, key=lambda item: item.start):
        start, end = max(place, item.start), min(len(text), item.end)
        if start < end:
            rule = literal(item.rule)
            shown = literal(text[start:end])
            pieces += [
                literal(text[place:start]),
                f'<mark class="study-evidence" data-rule="{rule}" title="code: rule {rule}">{shown}</mark>',
            ]
            place = end
    return "".join([*pieces, literal(text[place:])])
