"""The Separation page's words and numbers: headline, readings, metrics, wrong-side rows, provenance. All literal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.studies.separation import words
from core.studies.separation.rows import Miss, classes, misses
from core.studies.separation.tables import METRICS, shown_value
from core.words import number, span
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.separation.choice import Shown
from pages.parts.study.provenance import Facts, badge

PAPER = (
    "arXiv 2606.20225 reports 99.6 % for the final layer’s direction in four families of 1 to 3 billion parameters; "
    "for its secure control on Qwen2.5-1.5B readers quote 50.0 %. Its prompts and pooling are unknown to us."
)
BY_DETECTOR = (
    "Which answer counts as code is the code detector’s word. A row here may be the detector’s slip, and not the "
    "direction’s: open the answers and judge."
)
LONGEST = 600  # characters of a prompt or an answer in the table
MOST_ROWS = 200


def show_headline(now: Shown) -> None:
    """The claim in one sentence, with what it rests on in numbers."""
    assert now.result is not None
    summary, row = now.summary, now.summary["blocks"][now.block]
    cells = [_cell(METRICS[name].title, *shown_value(row, METRICS[name])) for name in ("accuracy", "auroc", "d")]
    share, _ = shown_value(row, METRICS["norm"])
    length = f"{number(row['norm'])} = {share} of the residual norm"
    cells.append(_cell("‖v‖", length, span(row["norm_interval"], number)))
    positive, negative = summary["n_rows"]["held_out"]
    n = f"n = {positive} + {negative} held-out rows, of {summary['n_held_out']} prompts"
    over = "[ ] = 95 % interval over prompts"
    if now.suite:
        over += f" · all suites, while rows below are {now.suite} only"
    st.html(
        f'<div class="study-headline" role="status">{literal(words.headline(summary, now.block))} {badge(now.result)}'
        f'</div><dl class="study-numbers">{"".join(cells)}'
        f'<div class="study-n"><dt>{literal(n)}</dt><dd>{literal(over)} · {term_html("intervals")}</dd></div></dl>'
    )


def show_readings(now: Shown) -> None:
    """What the numbers mean, in three short texts side by side."""
    summary, block = now.summary, now.block
    secure = words.reading_of_secure(summary, block)
    texts = [
        ("What it says", words.meaning(summary, block), term_html("separation")),
        (
            "What chance and all coordinates reach",
            words.reading_of_nulls(summary, block),
            term_html("nulls-and-ceiling"),
        ),
        (
            "The secure control",
            secure or "No secure organism was measured beside this one, so the control is missing.",
            term_html("secure-control"),
        ),
    ]
    parts = [f"<section><h3>{title}</h3><p>{literal(text)} {more}</p></section>" for title, text, more in texts]
    st.html(f'<div class="study-readings">{"".join(parts)}</div>')


def show_misses(now: Shown) -> None:
    """Held-out rows on the wrong side at the block: a table, or the sentence that there are none."""
    assert now.result is not None
    found = misses(now.result, now.block, now.suite)
    total = rows_of_classes(now)
    where = f"{now.suite} rows" if now.suite else "held-out rows"
    count = "none" if not found else str(len(found))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(
            f"<h2 class='study-h'>On the wrong side at block {now.block}: {count} of {total} {literal(where)}</h2>",
            width="content",
        )
        if found:
            name = f"tiller-wrong-side-block-{now.block}.csv"
            st.download_button(
                "Table (CSV)", misses_csv(found), name, "text/csv", type="tertiary", icon=":material/download:",
                on_click="ignore", key="separation.misses",
            )  # fmt: skip
    if found:
        if now.choice.contrast == "response":
            st.html(f'<div class="study-small">{BY_DETECTOR}</div>')
        st.html(misses_html(found))
        if len(found) > MOST_ROWS:
            st.caption(f"The {MOST_ROWS} furthest of {len(found)}; the table to download has all.")


def rows_of_classes(now: Shown) -> int:
    """Rows of both classes, of the chosen suite."""
    prompts = now.summary["prompts"]
    rows = [row for arm in classes(now.summary) for row in now.summary["rows"][arm]]
    return sum(now.suite in (None, prompts[row["prompt"]]["suite"]) for row in rows)


def misses_html(found: Sequence[Miss]) -> str:
    """The table; prompts and answers are literal."""
    answered = any(miss.answer is not None for miss in found)
    head = ["arm", "beyond the threshold", "suite", "prompt", *(["answer"] if answered else [])]
    lines = []
    for miss in found[:MOST_ROWS]:
        cells = [miss.name, number(miss.distance), miss.suite, _short(miss.prompt)]
        plain = "".join(f"<td>{literal(cell)}</td>" for cell in cells)
        # folded: an answer is read when someone asks for it, not when the page is thrown on a wall
        answer = f"<td>{_folded(miss.answer or '')}</td>" if answered else ""
        lines.append(f"<tr>{plain}{answer}</tr>")
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        '<div class="study-table" tabindex="0" role="region" aria-label="Rows on the wrong side"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def misses_csv(found: Sequence[Miss]) -> str:
    """A line a row on the wrong side."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["arm", "beyond_threshold", "suite", "prompt", "answer"])
    for miss in found:
        lines.writerow([miss.name, f"{miss.distance:.6g}", miss.suite, miss.prompt, miss.answer or ""])
    return out.getvalue()


def facts(now: Shown) -> tuple[Facts, str, str]:
    """What was measured and how."""
    record, summary = now.summary["provenance"], now.summary
    adapters = ", ".join(f"{name} {sha[:8]}" for name, sha in record.get("organisms", {}).items()) or "unknown"
    train = summary["n_rows"]["train"]
    found = [
        ("Model", f"{summary['model']}, {record.get('dtype', 'unknown')}"),
        ("Adapters", adapters),
        ("Trained on", f"{train[0]} + {train[1]} rows of {summary['n_train']} prompts, none of them held out"),
        ("Pooling", summary["pooling"]),
        ("Blocks", record.get("block_convention", "unknown")),
        ("Intervals", record.get("intervals", "unknown")),
        ("Nulls", _nulls(summary["settings"])),
        ("Probe", record.get("probe", "unknown")),
        *([("Scorer", record["scorer"])] if "scorer" in record else []),
    ]
    return found, f"n = {summary['n_held_out']} held-out prompts", f"{PAPER} {term_html('sources')}"


def _nulls(settings: dict[str, Any]) -> str:
    return f"{settings.get('n_random', 'unknown')} random, {settings.get('n_shuffles', 'unknown')} shuffled-label"


def _cell(name: str, value: str, interval: str) -> str:
    return f"<div><dt>{literal(name)}</dt><dd><b>{literal(value)}</b> <span>[{literal(interval)}]</span></dd></div>"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _folded(text: str) -> str:
    first = " ".join(text.split())[:40] or "(empty)"
    return f"<details><summary>{literal(first)}…</summary><div>{literal(_short(text))}</div></details>"
