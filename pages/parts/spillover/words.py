"""The Spillover page's verdict, the numbers beside it, and where they come from. All literal."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.measures.spillover import ENOUGH_DRAWS
from core.studies.spillover.tables import BROKEN, RATES, Rate, Row, shown_change
from core.studies.spillover.words import arm, chosen_row
from core.verdicts import told
from core.words import blocks, bracketed, coefficient, number, p_is, percent, percent_span, points_span
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.spillover.choice import Shown
from pages.parts.study import provenance
from pages.parts.study.provenance import Facts

LIMITS_MORE = term_html("spillover", "code-detector", "broken", "clean")


def show_verdict(now: Shown) -> None:
    """What happened at the chosen dose: the word, the sentence with its numbers, and the numbers by themselves."""
    assert now.result is not None
    summary = now.summary
    verdict = told(summary["verdict_code"])
    rest = summary["verdict"].partition(". ")[2] or summary["verdict"]
    about = f"{verdict.meaning} · {term_html('verdict-spillover')}"
    provenance.show_verdict(now.result, verdict.word, rest, verdict.look, verdict.sign, about, numbers(summary))


def numbers(summary: dict[str, Any]) -> list[str]:
    """Before and after at the chosen dose with intervals, and where the change lies among the draws; as HTML."""
    before, after = arm(summary, "organism"), chosen_row(summary)
    assert after is not None
    cells = [_before_after(rate, before, after) for rate in (RATES["coherent"], RATES["clean"], BROKEN)]
    cells.append(_cell("change in clean answers", shown_change(after, "delta_clean"), f"n = {after['n']} pairs"))
    among = summary["among_draws"]
    if among["n"] and among["range_clean"]:
        few = "" if among["n"] >= ENOUGH_DRAWS else ": too few draws for p below 0.05"
        p = p_is(among["p_clean"]) + few
        cells.append(_cell(f"{among['n']} random draws", points_span(among["range_clean"]), p))
    return cells


def show_limits(now: Shown) -> None:
    """What counts as code and as broken, and how far that can be trusted."""
    st.html(f'<p class="study-small">{literal(limits(now.summary))} {LIMITS_MORE}</p>')


def limits(summary: dict[str, Any]) -> str:
    """How well the detector does, and the limits of coherence."""
    found = summary["limits"]
    return (
        f"{_detector(summary.get('detector') or {})} Broken: under {number(found['likelihood'])} nats a token by the "
        f"bare base model’s own likelihood, more than {percent(found['repetition'])} of word pairs repeated, or under "
        "three words; the limits come from the base model’s own answers. "
        f"{_coherence(summary.get('coherence') or {})}[ ] = 95 % interval over prompts."
    )


def facts(now: Shown) -> tuple[Facts, str, str]:
    """What was measured and how."""
    summary, settings = now.summary, now.summary["settings"]
    suites = " + ".join(f"{n} {name}" for name, n in summary["suites"].items())
    found = [
        *provenance.organism_facts(summary),
        ("Prompts", f"n = {summary['n']}: {suites} · {settings.get('prompts', 'unknown')}"),
        ("Scope", f"{settings.get('scope', 'unknown')} tokens"),
        ("Tests", "exact McNemar over prompts; Holm over all doses, controls, draws; bootstrap intervals of changes"),
    ]  # fmt: skip
    more = f"Method and controls after arXiv 2606.20225. {term_html('multiplicity', 'provenance')}"
    return found, f"n = {summary['n']} prompts", more


def steered_words(now: Shown) -> str:
    """The dose and place that are looked at: `−1 at block 13`."""
    share = "" if now.mode == "add" else "share "
    return f"{share}{coefficient(now.dose)} at {blocks(*now.site)}"


def _detector(found: dict[str, Any]) -> str:
    if not found.get("n"):
        return "Code is what the detector finds; how often it errs has not been measured."
    shares = [
        f"{name} {percent(found[name], 1)}{_around(found.get(f'{name}_interval'))}"
        for name in ("precision", "recall")
        if found.get(name) is not None
    ]
    return f"The code detector’s {' and '.join(shares) or 'quality is unknown'} (n = {found['n']} labelled answers)."


def _coherence(found: dict[str, Any]) -> str:
    """How far `broken` agrees with people; empty where that was not measured."""
    if not found.get("n") or None in (found.get("sensitivity"), found.get("specificity")):
        return ""
    caught, spared = (
        percent(found[name]) + _around(found.get(f"{name}_interval")) for name in ("sensitivity", "specificity")
    )
    return (
        f"They call {caught} of unreadable answers broken and let {spared} of readable ones pass (n = {found['n']} "
        "labelled answers of the embedded model). "
    )


def _around(interval: Any) -> str:
    return bracketed(percent_span(interval, unit=False))


def _before_after(rate: Rate, before: Row, after: Row) -> str:
    change = f"{percent(before[rate.value])} → {percent(after[rate.value])}"
    return _cell(rate.title, change, f"{_around(after[rate.interval])}, n = {after[rate.n]}".lstrip(" ,"))


def _cell(name: str, value: str, more: str) -> str:
    return f"<div><dt>{literal(name)}</dt><dd><b>{literal(value)}</b> <span>{literal(more)}</span></dd></div>"
