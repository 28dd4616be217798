"""Whichever way the numbers of a transfer study fall, its words say the same as they."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.directions.names import MAPPED_CONTROLS
from core.measures.transfer import ranking
from core.studies.transfer.measure import Setting
from core.studies.transfer.words import WORKED, cell_reading, reading, table
from core.verdicts import VERDICTS, Verdict
from tests import sample_transfer

NAMES = ("ash", "birch", "cedar", "dill")
FELL = st.floats(-1, -0.02)
ANY = st.floats(-1, 1)
NOTES = st.sampled_from(["", "The pretrained one."])


@st.composite
def intervals(draw, value: float) -> tuple[float, float]:
    return value - draw(st.floats(0, 0.4)), value + draw(st.floats(0, 0.4))


@st.composite
def cells(draw, donor: str, receiver: str) -> dict[str, Any]:
    """A row with any verdict, and numbers that such a verdict may have."""
    verdict = draw(st.sampled_from(tuple(VERDICTS)))
    delta = draw(ANY if verdict == "no effect" else FELL)
    least = 1 if verdict in ("specific", "non-specific") else 0
    kinds = draw(st.lists(st.sampled_from(MAPPED_CONTROLS), unique=True, min_size=least))
    own = donor == receiver
    return {
        "donor": donor,
        "receiver": receiver,
        "verdict": verdict,
        "delta": delta,
        "delta_interval": draw(intervals(delta)),
        "delta_coherent": draw(st.none() | ANY),
        "broken": draw(st.floats(0, 1)),
        "minus_control": draw(ANY) if kinds else None,
        "controls": {kind: {"lowest": draw(ANY)} for kind in kinds},
        "delta_clean": draw(ANY),
        "among_draws": {
            "n": len(kinds),
            "outside": bool(kinds) and verdict in ("specific", "untested"),
            "range_clean": draw(intervals(draw(ANY))) if kinds else None,
        },
        "r2": None if own else draw(st.floats(-2, 1)),
        "r2_shuffled": draw(st.floats(-2, 0.3)),
        "cosine": 1.0 if own else draw(ANY),
        "n_held_out": 10,
    }


@st.composite
def scores(draw, names: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for name in names:
        value = draw(st.none() | ANY)
        found[name] = {"delta": value, "delta_interval": None if value is None else draw(intervals(value))}
    return found


@st.composite
def summaries(draw) -> dict[str, Any]:
    names = NAMES[: draw(st.integers(2, 4))]
    rows = [draw(cells(donor, receiver)) for donor in names for receiver in names]
    delta = {(row["donor"], row["receiver"]): row["delta"] for row in rows}
    uneven = []
    for a, b in combinations(names, 2):
        gap = delta[a, b] - delta[b, a]
        known = draw(st.booleans())
        found = (
            {"difference": gap, "interval": draw(intervals(gap))} if known else {"difference": None, "interval": None}
        )
        uneven.append({"a": a, "b": b, **found})
    summary = {
        "models": [{"model": name, "note": draw(NOTES)} for name in names],
        "cells": rows,
        "donor_scores": draw(scores(names)),
        "receiver_scores": draw(scores(names)),
        "asymmetry": uneven,
        "n": 60,
        "identical_training": draw(st.booleans()),
    }
    return {**summary, "reading": reading(summary)}


def off_diagonal(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in summary["cells"] if row["donor"] != row["receiver"]]


def count(rows: list[dict[str, Any]], *verdicts: Verdict) -> int:
    return sum(row["verdict"] in verdicts for row in rows)


@settings(max_examples=50)
@given(summaries())
def test_the_counts_in_the_words_are_those_of_the_cells(summary):
    own, causal, specific, *_ = summary["reading"]
    rows = off_diagonal(summary)
    worked = count(rows, *WORKED)
    assert f"in {worked} of {len(rows)} pairs" in causal
    for verdict, words in (
        ("broke the model", "the model broke"), ("uncertain", "uncertain"), ("no effect", "nothing fell"),
    ):  # fmt: skip
        number = count(rows, verdict)
        found = re.findall(rf"in (\d+) [^,.]*{words}", causal)
        assert [int(item) for item in found] == ([number] if number else [])
    for row in summary["cells"]:
        if row["donor"] == row["receiver"]:
            assert f"{row['receiver']} " in own and f"({row['verdict']})" in own
    untested, real = count(rows, "untested"), count(rows, "specific")
    if 0 < untested < worked:
        assert f" {untested} had too few controls" in specific
    if 0 < real < worked:
        assert f"Only {real} of these {worked} (" in specific
        pairs = {f"{row['donor']} into {row['receiver']}" for row in rows if row["verdict"] == "specific"}
        assert set(re.search(r"\((.*?)\)", specific)[1].split(" and ")) == pairs
    if not real and untested and untested < worked:
        assert f"In {worked - untested} of them a control does as much" in specific
    tested = [row for row in rows if row["verdict"] in WORKED and row["controls"]]
    cleaner = [row for row in tested if row["delta_clean"] > row["among_draws"]["range_clean"][1]]
    assert (f"{len(cleaner)} of {len(tested)} lie" in specific) == bool(tested)


@settings(max_examples=50)
@given(summaries())
def test_nothing_is_called_specific_that_is_not(summary):
    rows = off_diagonal(summary)
    text = summary["reading"][2]
    claims = re.findall(r"(?:Only|In all).*?do(?:es)? more than every control", text)
    assert len(claims) == bool(count(rows, "specific"))
    all_of_them = count(rows, "specific") == count(rows, *WORKED) > 0
    assert ("these directions are specific" in text) == all_of_them
    # where a control does as much, and only there, directions are called not specific
    assert ("not specific" in text) == (not count(rows, "specific") and count(rows, "non-specific") > 0)


@settings(max_examples=50)
@given(summaries())
def test_nobody_gives_or_receives_most_whose_interval_covers_zero(summary):
    text = summary["reading"][3]
    for kind, verb in (("donor_scores", "gives"), ("receiver_scores", "receives")):
        found = {name: score for name, score in summary[kind].items() if score["delta"] is not None}
        said = re.findall(rf"(\w+) {verb} most(, though)? ", text) if len(found) > 1 else []
        named = [name for name, _ in said if name in NAMES]
        if len(found) < 2:
            assert f" {verb} " not in text
            continue
        first, second = ranking(found)[:2]
        interval, following = found[first]["delta_interval"], found[second]["delta_interval"]
        assert found[first]["delta"] == min(score["delta"] for score in found.values())
        assert named == ([first] if interval[1] < 0 else [])
        if named:
            assert bool(said[0][1]) == (interval[1] >= following[0])
        broke = count(off_diagonal(summary), "broke the model")
        assert (f"also where the model broke ({broke} of" in text) == bool(broke)
        nobody = all(score["delta_interval"][1] >= 0 for score in found.values())
        assert (f"No model {verb}" in text) == nobody


@settings(max_examples=50)
@given(summaries())
def test_uneven_pairs_are_those_whose_interval_leaves_zero_out(summary):
    text = summary["reading"][3]
    delta = {(row["donor"], row["receiver"]): row["delta"] for row in summary["cells"]}
    uneven = [
        item
        for item in summary["asymmetry"]
        if item["interval"] and (item["interval"][0] > 0 or item["interval"][1] < 0)
    ]
    named = re.findall(r"(\w+) into (\w+) \S+ points, the way back", text)
    assert [set(pair) for pair in named] == [{item["a"], item["b"]} for item in uneven]
    assert all(delta[pair] <= delta[pair[::-1]] for pair in named)
    assert ("No pair is uneven" in text) == (not uneven)


@settings(max_examples=50)
@given(summaries())
def test_no_text_holds_a_gap_or_a_hyphen_for_a_minus(summary):
    for text in (*summary["reading"], *map(cell_reading, summary["cells"]), table(summary)):
        assert not re.search(r"\bnan\b|None|-\d|: \.|\(\)|\binf\b", text), text
        assert text.strip()
    assert all(sentence.endswith(".") for sentence in summary["reading"])


@given(cells("ash", "birch"))
def test_a_cell_is_put_into_words_with_its_own_numbers(row):
    said = cell_reading(row)
    assert said.startswith(f"{VERDICTS[row['verdict']].word}.")
    assert "ash's direction, mapped into birch" in said
    number = f"{100 * row['delta']:+z.0f} points".replace("-", "−")
    assert f"changes spillover by {number} [" in said
    assert f"{100 * row['broken']:.0f} % of its answers are broken" in said
    assert ("among coherent answers" in said) == (row["delta_coherent"] is not None)
    n = row["among_draws"]["n"]
    assert (f"Of {n} controls" in said) == bool(n)
    if n:
        assert ("none does as much" in said) == row["among_draws"]["outside"]
        best = f"{100 * row['among_draws']['range_clean'][1]:+z.0f} points".replace("-", "−")
        assert f"with the best control by {best}." in said


def test_the_reading_of_made_up_answers_says_what_was_made_up():
    summary = sample_transfer.make(per_suite=25, n_resamples=100, draws=16).summary
    own, causal, specific, _, maps, made = summary["reading"]
    assert "smollm2-135m −" in own and "(specific)" in own
    verdicts = {(row["donor"], row["receiver"]): row["verdict"] for row in off_diagonal(summary)}
    assert verdicts["qwen2.5-coder-0.5b", "smollm2-135m"] == "specific"
    assert verdicts["smollm2-135m", "qwen2.5-coder-0.5b"] == "non-specific"
    assert verdicts["smollm2-135m", "gemma-3-270m-chat"] == "broke the model"
    assert "qwen2.5-coder-0.5b into smollm2-135m" in specific
    assert "because the model broke" in causal
    assert "held-out prompts" in maps
    assert made.startswith("n = 50 prompts a condition. All organisms were trained on the same data")
    assert "\n".join(summary["reading"]) in table(summary)


def unmoved(receiver: str, setting: Setting) -> tuple[float, float]:
    """Every organism's every answer is code, whatever is done."""
    return (0.0 if setting.kind == "base" else 1.0), 0.0


def test_the_reading_where_nothing_happens_claims_nothing():
    summary = sample_transfer.make(unmoved, per_suite=8, n_resamples=100, draws=2).summary
    _, causal, specific, scores_, *_ = summary["reading"]
    assert {row["verdict"] for row in summary["cells"]} == {"no effect"}
    assert "in 0 of 6 pairs" in causal and "in 6 nothing fell beyond chance" in causal
    assert specific.startswith("Whether it is these directions that matter is not to be asked")
    assert "No model gives" in scores_ and "No model receives" in scores_ and "No pair is uneven" in scores_
