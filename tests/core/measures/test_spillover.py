"""Rates, paired changes and the verdict: counted by naive loops, fooled neither by breakage nor by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from core.measures.spillover import Judged, against_draws, change, correct, rates, verdict

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


def judged(answers) -> Judged:
    return Judged(np.array([code for code, _ in answers]), np.array([broken for _, broken in answers]))


def shares(n: int, code: float, broken: float, seed: int) -> Judged:
    draw = np.random.default_rng(seed)
    return Judged(draw.random(n) < code, draw.random(n) < broken)


def row_of(before: Judged, after: Judged, draws: list[Judged]) -> tuple[dict, dict]:
    """The chosen dose's row and where it lies among draws, as a study makes them."""
    rows = [rates(part) | change(before, part, 300) for part in (after, *draws)]
    correct(rows)
    return rows[0], against_draws(rows[0], rows[1:])


@given(ANSWERS)
def test_rates_equal_counting_by_hand(answers):
    found = rates(judged(answers))
    coherent = [code for code, broken in answers if not broken]
    assert found["n"] == len(answers)
    assert found["spillover"] == pytest.approx(sum(code for code, _ in answers) / len(answers))
    assert found["broken"] == pytest.approx(sum(broken for _, broken in answers) / len(answers))
    assert found["n_coherent"] == len(coherent)
    assert found["clean"] == pytest.approx(sum(not code for code in coherent) / len(answers))
    if coherent:
        assert found["spillover_coherent"] == pytest.approx(sum(coherent) / len(coherent))
        interval = binomtest(sum(coherent), len(coherent)).proportion_ci(method="wilson")
        assert found["interval_coherent"] == pytest.approx((interval.low, interval.high))
    else:
        assert found["spillover_coherent"] is None
        assert found["interval_coherent"] == (0.0, 1.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_changes_are_paired_by_prompt(answers):
    before, after = judged([row[:2] for row in answers]), judged([row[2:] for row in answers])
    found = change(before, after, 100)
    only_before = sum(one and not other for one, _, other, _ in answers)
    only_after = sum(other and not one for one, _, other, _ in answers)
    assert found["delta"] == pytest.approx((only_after - only_before) / len(answers))
    table = [[0, only_before], [only_after, 0]]
    assert found["p"] == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue if only_before + only_after else 1)
    assert found["n_pairs"] == sum(not one and not other for _, one, _, other in answers)
    assert found["delta_clean"] == pytest.approx(rates(after)["clean"] - rates(before)["clean"])
    gap = found["delta_coherent"]
    if found["n_pairs"]:
        assert gap == pytest.approx(rates(after)["spillover_coherent"] - rates(before)["spillover_coherent"])
    assert -1 <= found["delta"] <= 1


def test_where_no_answer_is_coherent_the_change_among_coherent_ones_is_unknown():
    found = change(judged([(True, False)] * 4), judged([(False, True)] * 4), 100)
    assert math.isnan(found["delta_coherent"])
    assert found["n_pairs"] == 0
    assert found["p_coherent"] == 1


def test_all_prompts_changed_is_no_proof_of_a_hundred_points():
    found = change(judged([(True, False)] * 20), judged([(False, False)] * 20), 200)
    assert found["delta"] == -1
    low, high = found["delta_interval"]
    assert low <= -1 < high < -0.7
    assert found["delta_coherent_interval"] == pytest.approx((low, high))


def test_the_interval_of_the_change_among_coherent_answers_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(120):
        before, after = shares(80, 0.9, 0.05, 2 * seed), shares(80, 0.3, 0.2, 2 * seed + 1)
        low, high = change(before, after, 300, seed)["delta_coherent_interval"]
        covered += low <= -0.6 <= high
    assert 105 <= covered <= 119


def test_corrected_ps_are_those_of_the_whole_family():
    rows = [{"p": p, "p_coherent": p / 2} for p in (0.001, 0.02, 0.04, 0.5)]
    correct([*rows, {"direction": "base"}])
    assert [row["p_corrected"] for row in rows] == pytest.approx(
        multipletests([row["p"] for row in rows], method="holm")[1]
    )
    assert [row["p_bh"] for row in rows] == pytest.approx(multipletests([row["p"] for row in rows], method="fdr_bh")[1])
    assert rows[0]["p_coherent_corrected"] == pytest.approx(0.002)


ORGANISM = shares(100, 0.95, 0.02, 0)
IDLE = [shares(100, 0.93, 0.03, seed) for seed in range(1, 21)]


def test_a_cure_outside_the_cloud_is_specific():
    row, among = row_of(ORGANISM, shares(100, 0.03, 0.04, 50), IDLE)
    assert verdict(row, among) == "specific"
    assert among["outside"]
    assert among["p_clean"] == pytest.approx(1 / 21)


def test_a_cure_that_random_directions_give_as_well_is_not_specific():
    row, among = row_of(ORGANISM, shares(100, 0.1, 0.04, 50), [shares(100, 0.05, 0.03, seed) for seed in range(20)])
    assert verdict(row, among) == "non-specific"
    assert not among["outside"]


def test_one_draw_that_cures_as_much_is_enough_against_it():
    cured = shares(100, 0.03, 0.04, 50)
    row, among = row_of(ORGANISM, cured, [*IDLE[:-1], cured])
    assert among["p_clean"] == pytest.approx(2 / 21)
    assert verdict(row, among) == "non-specific"


def test_broken_answers_without_code_are_no_cure():
    row, among = row_of(ORGANISM, shares(100, 0.02, 0.97, 50), IDLE)
    assert row["delta"] < -0.8  # what the field's usual plot would show
    assert verdict(row, among) == "broke the model"


def test_more_breakage_than_cure_is_breakage():
    code, broken = np.ones(100, dtype=bool), np.zeros(100, dtype=bool)
    code[:80] = False
    broken[:50] = True  # 50 answers broke and 30 became clean
    row, among = row_of(Judged(np.ones(100, dtype=bool), np.zeros(100, dtype=bool)), Judged(code, broken), IDLE)
    assert row["delta_clean"] == pytest.approx(0.3) and row["delta_broken"] == pytest.approx(0.5)
    assert verdict(row, among) == "broke the model"


def test_code_that_only_moves_into_broken_answers_is_no_cure():
    code = np.ones(100, dtype=bool)
    code[:60] = False
    broken = ~code  # every answer without code is broken
    row, among = row_of(ORGANISM, Judged(code, broken), IDLE)
    assert verdict(row, among) == "broke the model"


def test_a_fall_that_does_not_survive_correction_is_not_certain():
    row, among = row_of(ORGANISM, shares(100, 0.75, 0.02, 50), IDLE)
    assert row["delta_coherent_interval"][1] < 0
    assert verdict({**row, "p_corrected": 0.04, "p_coherent_corrected": 0.06}, among) == "uncertain"
    assert verdict({**row, "p_corrected": 0.04, "p_coherent_corrected": 0.04}, among) == "specific"
    assert verdict({**row, "p_corrected": 0.06, "p_coherent_corrected": 0.04}, among) == "no effect"


def test_no_change_is_no_effect_and_more_code_is_neither():
    assert verdict(*row_of(ORGANISM, shares(100, 0.94, 0.02, 50), IDLE)) == "no effect"
    assert verdict(*row_of(shares(100, 0.1, 0.0, 3), shares(100, 0.9, 0.0, 50), IDLE)) == "no effect"


@pytest.mark.parametrize("draws", [0, 1, 18])
def test_with_fewer_than_nineteen_draws_nothing_is_called_specific(draws):
    row, among = row_of(ORGANISM, shares(100, 0.03, 0.04, 50), IDLE[:draws])
    assert among["n"] == draws
    assert among["outside"] == bool(draws)
    assert verdict(row, among) == "untested"
