"""The Transfer page's words: two tiers at a glance, the chosen cell, uneven pairs, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.studies.transfer.tables import Row, around, is_own, member, models
from core.studies.transfer.words import WORKED, cell_reading
from core.verdicts import told
from core.words import number, percent, points
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.spillover.words import limits
from pages.parts.study.provenance import Facts, badge
from pages.parts.transfer.choice import Shown

PARTS = ("own", "causal", "specific", "scores", "maps", "made")  # of a summary's reading, in order


@dataclass(frozen=True)
class Answer:
    """A tier's answer at a glance: sign, words, and how it looks."""

    sign: str
    text: str
    look: str


def parts(summary: Mapping[str, Any]) -> dict[str, str]:
    """The sentences of the reading by what they are about."""
    return dict(zip(PARTS, summary["reading"], strict=False))


def causal(cells: Sequence[Row]) -> Answer:
    """Tier one over the pairs: does a direction carried over do anything among coherent answers?"""
    worked = sum(row["verdict"] in WORKED for row in cells)
    if worked:
        return Answer("✔", f"Yes, in {worked} of {len(cells)} pairs", "good" if worked == len(cells) else "mixed")
    broke = sum(row["verdict"] == "broke the model" for row in cells)
    if broke:
        return Answer("✖", f"Not shown: in {broke} of {len(cells)} pairs the model only broke", "bad")
    return Answer("○", f"Not shown in any of {len(cells)} pairs", "none")


def specific(cells: Sequence[Row]) -> Answer:
    """Tier two over the pairs that passed the first: does it do more than every control?"""
    worked = [row["verdict"] for row in cells if row["verdict"] in WORKED]
    found = worked.count("specific")
    if not worked:
        return Answer("–", "Not to be asked: no effect to explain", "none")
    if worked.count("untested") == len(worked):
        return Answer("◌", "Not tested: too few controls", "none")
    if found:
        return Answer("✔", f"Yes, in {found} of these {len(worked)}", "good" if found == len(worked) else "mixed")
    return Answer("○", f"No, in none of these {len(worked)}", "none")


def show_reading(now: Shown) -> None:
    """Own directions, then the two tiers, then how it was made."""
    assert now.result is not None
    said, pairs = parts(now.summary), [row for row in now.summary["cells"] if not is_own(row)]
    tiers = "".join(
        f'<section class="study-tier is-{answer.look}" aria-label="{question}"><h2>{place}. {question} '
        f'<span class="study-told"><span aria-hidden="true">{answer.sign}</span> {answer.text}</span></h2>'
        f"<p>{literal(said.get(part, ''))}</p></section>"
        for place, (question, answer, part) in enumerate(
            (("Is it causal?", causal(pairs), "causal"), ("Is it specific?", specific(pairs), "specific")), start=1
        )
    )
    st.html(
        f'<h1 class="study-title">Does a direction work in another model?</h1> {badge(now.result)}'
        f'<p class="study-small">{literal(said.get("own", ""))}</p>'
        f'<div class="study-tiers">{tiers}</div>'
        f'<p class="study-small study-source">{literal(said.get("made", ""))} [ ] = 95 % interval over prompts. '
        f"{term_html('verdict-transfer')}</p>"
    )


def show_cell(now: Shown) -> None:
    """The chosen cell: its verdict, its reading, and rates before and after."""
    row = now.row
    verdict = told(row["verdict"])
    said = cell_reading(row).partition(". ")[2]
    name = f"{row['receiver']}, its own direction" if is_own(row) else f"{row['donor']} → {row['receiver']}"
    st.html(
        f'<section class="study-verdict study-cell is-{verdict.look}" role="status" aria-label="Chosen cell">'
        f'<h2>{literal(name)}</h2><b><span aria-hidden="true">{verdict.sign}</span> {literal(verdict.word)}.</b>'
        f"<p>{literal(said)}</p></section>"
    )


def show_rates(now: Shown) -> None:
    """Base model, unsteered and steered organism: shares with their intervals."""
    st.html(rates_html(now.summary, now.row))


def _ends_of(rates: Mapping[str, Any]) -> str:
    """Where the interval of the rate stands; a cell's `interval` is that of its change."""
    return "spillover_interval" if "spillover_interval" in rates else "interval"


def rates_html(summary: dict[str, Any], row: Row) -> str:
    """A table of shares with Wilson intervals."""
    model = member(summary, row["receiver"])
    steered = "steered by its own" if is_own(row) else f"steered by {row['donor']}’s"
    lines = [("base model", model["base"]), ("organism, unsteered", model["organism"]), (steered, row)]
    body = "".join(
        f'<tr><th scope="row">{literal(name)}</th>{_rate(rates, "spillover", _ends_of(rates), "n")}'
        f"{_rate(rates, 'spillover_coherent', 'interval_coherent', 'n_coherent')}"
        f"{_rate(rates, 'broken', 'broken_interval', 'n')}</tr>"
        for name, rates in lines
    )
    return (
        f'<table class="study-rates"><caption>{literal(row["receiver"])}: shares of answers, Wilson intervals</caption>'
        '<thead><tr><td></td><th scope="col">with code</th><th scope="col">code among coherent</th>'
        f'<th scope="col">broken</th></tr></thead><tbody>{body}</tbody></table>'
    )


def asymmetry_html(summary: Mapping[str, Any]) -> str:
    """How uneven each pair is, with its interval, as a table."""
    lines = []
    for item in summary["asymmetry"]:
        pair = f"{literal(item['a'])} ⇄ {literal(item['b'])}"
        if item["difference"] is None:
            lines.append(f'<tr><th scope="row">{pair}</th><td>unknown</td></tr>')
            continue
        low, high = item["interval"]
        apart = None not in (low, high) and not low <= 0 <= high
        giver, taker = (item["a"], item["b"]) if item["difference"] < 0 else (item["b"], item["a"])
        said = f"{literal(giver)} → {literal(taker)} does more" if apart else "even within its interval"
        gap = f"{points(item['difference'])}{around(item['interval'])}"
        lines.append(f'<tr><th scope="row">{pair}</th><td>{gap}</td><td>{"▲" if apart else "="} {said}</td></tr>')
    return (
        '<table class="study-rates"><caption>Uneven pairs: first into second minus second into first, answers with code'
        f"</caption><tbody>{''.join(lines)}</tbody></table>"
    )


def scores_note(summary: Mapping[str, Any]) -> str:
    """What a score is, with n and k."""
    k = len(summary["models"]) - 1
    others = f"the {k} other models" if k > 1 else "the one other model"
    return (
        f"A score is the mean change in answers with code over {others}, n = {summary['n']} prompts a cell, prompts "
        "resampled together; negative: less code. Own directions do not count."
    )


def facts(now: Shown) -> tuple[Facts, str, str]:
    """What was measured and how, and the limits of detector and coherence."""
    summary, record, settings = now.summary, now.summary["provenance"], now.summary["settings"]
    suites = " + ".join(f"{n} {name}" for name, n in summary["suites"].items())
    made = record.get("models", {})
    found = [
        *(
            (name, _member_words(member(summary, name), made.get(name, {})))
            for name in models(summary)
        ),
        ("Prompts", f"n = {summary['n']}: {suites}"),
        ("Maps", f"centred ridge, {summary['n_fit_prompts']} prompts ({settings.get('fit_prompts', 'unknown')}), "
         f"{settings.get('pooling', 'unknown')}, {settings.get('fit_on', 'unknown')} activations"),
        ("Length", "as the map gives it" if settings.get("unscaled") else "the receiver’s own direction’s"),
        ("Controls", f"{settings.get('draws', 0)} random a receiver, {settings.get('draws_a_cell', 0)} of each other "
         "kind a cell"),
        ("Answers", f"up to {settings.get('max_tokens', 'unknown')} tokens, {record.get('decoding', 'unknown')}, "
         f"scope {settings.get('scope', 'unknown')}"),
        ("Tests", "exact McNemar over prompts; Holm over all cells and controls; bootstrap over prompts"),
    ]  # fmt: skip
    return found, f"n = {summary['n']} prompts", f"Method after arXiv 2606.20225.{limits_html(now)}"


def limits_html(now: Shown) -> str:
    """What counts as code and as broken in the chosen receiver, and how far that can be trusted."""
    model = member(now.summary, now.row["receiver"])
    coherence = now.summary.get("coherence", {}).get(model["model"])
    found = {"limits": model["limits"], "detector": now.summary.get("detector"), "coherence": coherence}
    return f'<p class="study-small">In {literal(model["model"])}: {literal(limits(found))}</p>'


def _member_words(model: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    recipe = f"{model['organism_name']}, recipe {model['recipe'] or 'unknown'}"
    return (
        f"{recipe} · {model['direction_name']} ({model['direction'][:8]}) · block {model['block']} of "
        f"{model['blocks']}, coefficient {number(model['coefficient'])} = {percent(model['norm_share'])} of the "
        f"residual norm · {made.get('dtype', 'unknown')} on {made.get('device', 'unknown')}"
    )


def _rate(rates: Mapping[str, Any], value: str, interval: str, n: str) -> str:
    share = percent(rates[value])
    return f"<td><b>{share}</b>{around(rates[interval], 'percent')}, n = {rates[n]}</td>"
