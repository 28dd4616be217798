"""Donor × receiver matrices: counted by naive loops, and who was planted to give or receive comes out."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.directions.names import MAPPED_CONTROLS
from core.measures.spillover import Judged
from core.measures.transfer import Column, Steered, matrix, ranking
from core.results import _rounded
from core.statistics import resample_weights

N = 100


def shares(code: float, broken: float = 0.02, seed: int = 0, n: int = N) -> Judged:
    draw = np.random.default_rng(seed)
    return Judged(draw.random(n) < code, draw.random(n) < broken)


def columns(models: str, n: int = N) -> dict[str, Column]:
    """Receivers whose organisms almost always write code."""
    return {name: Column(shares(0.0, 0.0, 1, n), shares(0.95, 0.0, 10 + ord(name), n)) for name in models}


def planted(spilled: dict[tuple[str, str], float], controls: float = 0.93, **more) -> dict:
    """A matrix of cells with these shares of code; each has 20 random draws of its column and one of each other."""
    models = sorted({name for place in spilled for name in place})
    random = {
        receiver: {seed: shares(controls, 0.02, 100 * ord(receiver) + seed) for seed in range(20)}
        for receiver in models
    }
    cells = {}
    for number, ((donor, receiver), code) in enumerate(spilled.items()):
        others = {
            kind: {0: shares(controls, 0.02, 9000 + 10 * number + place)} for place, kind in enumerate(MAPPED_CONTROLS)
        }
        cells[donor, receiver] = Steered(
            shares(code, more.get("broken", 0.02), 500 + number), {**others, "random": random[receiver]}
        )
    return matrix(columns("".join(models)), cells, 200)


def place(found: dict, donor: str, receiver: str) -> dict:
    return next(row for row in found["cells"] if (row["donor"], row["receiver"]) == (donor, receiver))


ANSWERS = st.integers(0, 2**31)


def anything(seed: int, models: str, n: int) -> tuple[dict, dict]:
    """Random answers in every place, with draws shared by a column and draws of the cell's own."""
    draw = np.random.default_rng(seed)

    def answered() -> Judged:
        return Judged(draw.random(n) < draw.random(), draw.random(n) < draw.random() / 2)

    shared = {receiver: {number: answered() for number in range(3)} for receiver in models}
    cells = {
        (donor, receiver): Steered(
            answered(),
            {
                "random": shared[receiver],
                "orthogonal": {7: answered()},
                "random_donor": {},
                "shuffled_map": {0: answered()},
            },
        )
        for donor in models
        for receiver in models
    }
    return {name: Column(answered(), answered()) for name in models}, cells


def loops(cells: dict, at: dict, weights: list) -> dict:
    """Differences of every cell under one weighting of the prompts, one prompt at a time."""
    found = {}
    for (donor, receiver), steered in cells.items():
        before, after = at[receiver].unsteered, steered.mapped
        total = sum(weights)
        delta = sum(w * (int(after.code[i]) - int(before.code[i])) for i, w in enumerate(weights)) / total
        rates = []
        for part in (before, after):
            coherent = sum(w for i, w in enumerate(weights) if not part.broken[i])
            spilled = sum(w for i, w in enumerate(weights) if part.code[i] and not part.broken[i])
            rates.append(spilled / coherent if coherent else float("nan"))
        kinds = []
        for draws in steered.controls.values():
            if draws:
                effects = [
                    sum(w * (int(one.code[i]) - int(before.code[i])) for i, w in enumerate(weights)) / total
                    for one in draws.values()
                ]
                kinds.append(sum(effects) / len(effects))
        found[donor, receiver] = {
            "delta": delta,
            "delta_coherent": rates[1] - rates[0],
            "minus_control": delta - sum(kinds) / len(kinds),
        }
    return found


def ends(values: list[float]) -> tuple[float, float]:
    known = sorted(value for value in values if value == value)
    places = [(len(known) - 1) * share for share in (0.025, 0.975)]
    low, high = (known[int(p)] + (p % 1) * (known[min(int(p) + 1, len(known) - 1)] - known[int(p)]) for p in places)
    return low, high


def assert_interval(found: tuple[float, float], counted: tuple[float, float]) -> None:
    """As counted; where no resample differs it is wider, since that is no certainty."""
    if counted[0] == counted[1]:
        assert found[0] < found[1]
    else:
        assert found == pytest.approx(counted)


@settings(max_examples=12)
@given(ANSWERS, st.sampled_from(["ab", "abc"]), st.integers(5, 12))
def test_every_number_is_what_naive_loops_count(seed, models, n):
    at, cells = anything(seed, models, n)
    found = matrix(at, cells, 100, 3)
    now = loops(cells, at, [1] * n)
    resampled = [loops(cells, at, list(weights)) for weights in resample_weights(n, 100, 3)]
    for row in found["cells"]:
        key = row["donor"], row["receiver"]
        for name in ("delta", "delta_coherent", "minus_control"):
            assert row[name] == pytest.approx(now[key][name], nan_ok=True)
        assert row["minus_control_interval"] == pytest.approx(ends([draw[key]["minus_control"] for draw in resampled]))
        assert list(row["controls"]) == ["random", "orthogonal", "shuffled_map"]
        assert row["among_draws"]["n"] == 5
    for name, at_name in (("donor_scores", 0), ("receiver_scores", 1)):
        for model, score in found[name].items():
            line = [key for key in cells if key[at_name] == model and key[1 - at_name] != model]
            assert score["n"] == len(line) == len(models) - 1
            for number in ("delta", "delta_coherent", "minus_control"):
                mean = sum(now[key][number] for key in line) / len(line)
                if mean != mean:
                    assert score[number] is None and score[f"{number}_interval"] is None
                    continue
                assert score[number] == pytest.approx(mean)
                draws = [sum(draw[key][number] for key in line) / len(line) for draw in resampled]
                assert_interval(score[f"{number}_interval"], ends(draws))
    for item in found["asymmetry"]:
        there, back = (item["a"], item["b"]), (item["b"], item["a"])
        assert item["difference"] == pytest.approx(now[there]["delta"] - now[back]["delta"])
        assert_interval(item["interval"], ends([d[there]["delta"] - d[back]["delta"] for d in resampled]))
    assert len(found["asymmetry"]) == len(models) * (len(models) - 1) // 2


@settings(max_examples=15)
@given(ANSWERS)
def test_draws_that_cells_share_are_one_comparison(seed):
    at, cells = anything(seed, "abc", 40)
    found = matrix(at, cells, 100)
    compared: dict[int, float] = {}
    for (_, receiver), steered in cells.items():
        before = at[receiver].unsteered
        for after in [steered.mapped, *(one for kind in steered.controls.values() for one in kind.values())]:
            fell, rose = int((before.code & ~after.code).sum()), int((after.code & ~before.code).sum())
            compared[id(after)] = binomtest(fell, fell + rose).pvalue if fell + rose else 1.0
    assert len(compared) == 9 + 3 * 3 + 9 * 2  # cells, draws of a column, draws of a cell
    order = sorted(compared, key=compared.__getitem__)
    stepped = [min(1.0, compared[item] * (len(order) - rank)) for rank, item in enumerate(order)]
    adjusted = {item: max(stepped[: rank + 1]) for rank, item in enumerate(order)}
    assert all(one <= other for one, other in pairwise(adjusted.values()))
    for row in found["cells"]:
        steered = cells[row["donor"], row["receiver"]]
        assert row["p_corrected"] == pytest.approx(adjusted[id(steered.mapped)])
        for kind, summary in row["controls"].items():
            expected = [adjusted[id(one)] for one in steered.controls[kind].values()]
            assert [draw["p_corrected"] for draw in summary["draws"]] == pytest.approx(expected)
            assert [draw["seed"] for draw in summary["draws"]] == list(steered.controls[kind])


def test_kinds_of_control_weigh_the_same_however_many_draws_they_have():
    at = columns("ab")
    kept, cured = at["b"].unsteered, shares(0.0)
    controls = {"random": dict.fromkeys(range(20), kept), "orthogonal": {0: cured}}
    row = matrix(at, {("a", "b"): Steered(cured, controls)}, 100)["cells"][0]
    assert row["minus_control"] == pytest.approx(row["delta"] / 2)


def three(**special: float) -> dict[tuple[str, str], float]:
    """Own directions cure, what is carried over does nothing, but for the pairs named (`ab`: a into b)."""
    usual = {(a, b): 0.02 if a == b else 0.92 for a in "abc" for b in "abc"}
    return {**usual, **{(pair[0], pair[1]): code for pair, code in special.items()}}


def test_a_planted_giver_ranks_first_and_its_interval_lies_apart():
    found = planted(three(ab=0.1, ac=0.15))
    assert ranking(found["donor_scores"])[0] == "a"
    assert ranking(found["donor_scores"], "minus_control")[0] == "a"
    ends_of = {name: score["delta_interval"] for name, score in found["donor_scores"].items()}
    assert ends_of["a"][1] < min(ends_of["b"][0], ends_of["c"][0])
    uneven = {(item["a"], item["b"]): item["interval"] for item in found["asymmetry"]}
    assert uneven["a", "b"][1] < 0 and uneven["a", "c"][1] < 0
    assert uneven["b", "c"][0] <= 0 <= uneven["b", "c"][1]


def test_a_planted_receiver_ranks_first():
    found = planted(three(ab=0.1, cb=0.15))
    assert ranking(found["receiver_scores"])[0] == "b"
    uneven = {(item["a"], item["b"]): item["interval"] for item in found["asymmetry"]}
    assert uneven["a", "b"][1] < 0 < uneven["b", "c"][0]


def test_the_diagonal_enters_no_score():
    cells = {("a", "b"): 0.5, ("b", "a"): 0.6}
    with_own, without = planted({("a", "a"): 0.0, ("b", "b"): 0.0} | cells), planted(cells)
    assert with_own["donor_scores"].keys() == without["donor_scores"].keys() == {"a", "b"}
    assert [row["donor"] for row in without["cells"]] == ["a", "b"]
    for found in (with_own, without):
        assert {score["n"] for score in found["donor_scores"].values()} == {1}
        assert found["donor_scores"]["a"]["delta"] == pytest.approx(place(found, "a", "b")["delta"])
        assert found["receiver_scores"]["a"]["delta"] == pytest.approx(place(found, "b", "a")["delta"])


def test_what_is_not_there_is_unknown():
    found = planted({("a", "b"): 0.5, ("c", "c"): 0.1})
    assert found["donor_scores"]["c"] == {
        "n": 0,
        **{f"{name}{end}": None for name in ("delta", "delta_coherent", "minus_control") for end in ("", "_interval")},
    }
    assert all(item["difference"] is None and item["interval"] is None for item in found["asymmetry"])
    assert ranking(found["donor_scores"]) == ["a", "b", "c"]


def test_where_all_pairs_do_the_same_few_asymmetries_miss_zero():
    missed = 0
    for seed in range(40):
        at, cells = columns("ab"), {}
        for number, pair in enumerate(("ab", "ba")):
            cells[pair[0], pair[1]] = Steered(shares(0.5, 0.0, 1000 + 2 * seed + number), {})
        low, high = matrix(at, cells, 300, seed)["asymmetry"][0]["interval"]
        missed += not low <= 0 <= high
    assert missed <= 6  # binomial: more than 6 of 40 at 5 % have a chance of 0.3 %
    same = Steered(shares(0.5), {})
    at = dict.fromkeys("ab", columns("a")["a"])
    alike = matrix(at, {(a, b): same for a in "ab" for b in "ab"}, 100)
    (pair,) = alike["asymmetry"]
    assert pair["difference"] == 0 and pair["interval"][0] < 0 < pair["interval"][1]


def test_a_receiver_whose_answers_are_all_broken_has_no_coherent_difference_and_none_is_invented():
    gone = Judged(np.zeros(N, dtype=bool), np.ones(N, dtype=bool))
    at = {"a": columns("a")["a"], "b": Column(gone, gone)}
    draws = {"random": dict.fromkeys(range(20), gone)}
    cells = {("a", "b"): Steered(gone, draws), ("b", "a"): Steered(shares(0.1), {}), ("b", "b"): Steered(gone, draws)}
    found = _rounded(matrix(at, cells, 100))  # as it is saved
    json.dumps(found, allow_nan=False)
    row = place(found, "a", "b")
    assert row["delta_coherent"] is None and row["spillover_coherent"] is None
    assert row["controls"]["random"]["delta_coherent"] is None
    assert row["delta"] == 0 and row["verdict"] == "no effect"
    assert found["donor_scores"]["a"]["delta_coherent"] is None
    assert found["receiver_scores"]["a"]["delta_coherent"] < -0.7
    assert found["donor_scores"]["b"]["delta_coherent"] < -0.7


def test_code_that_went_because_every_answer_broke_is_no_cure():
    gone = Judged(np.zeros(N, dtype=bool), np.ones(N, dtype=bool))
    found = matrix(columns("ab"), {("a", "b"): Steered(gone, {"random": {0: gone}})}, 100)
    row = found["cells"][0]
    assert row["delta"] < -0.8 and np.isnan(row["delta_coherent"])
    assert row["verdict"] == "broke the model"


def test_planted_cells_get_their_verdicts():
    cured = three(ab=0.1, ac=0.12)
    found = planted(cured)
    assert place(found, "a", "b")["verdict"] == place(found, "a", "c")["verdict"] == "specific"
    assert place(found, "b", "a")["verdict"] == "no effect"
    assert place(found, "a", "b")["among_draws"]["n"] == 23
    assert place(planted(cured, controls=0.05), "a", "b")["verdict"] == "non-specific"
    assert place(planted(cured, broken=0.9), "a", "b")["verdict"] == "broke the model"


def test_one_draw_of_any_kind_that_does_as_much_is_enough_against_it():
    at = columns("ab")
    cured, idle = shares(0.05, 0.02, 3), [shares(0.93, 0.02, seed) for seed in range(50, 75)]
    for kind in MAPPED_CONTROLS:
        controls = {name: {0: idle[place]} for place, name in enumerate(MAPPED_CONTROLS)}
        controls["random"] = dict(enumerate(idle[:20]))
        few = {kind: {0: idle[0]}}
        assert matrix(at, {("a", "b"): Steered(cured, controls)}, 200)["cells"][0]["verdict"] == "specific"
        assert matrix(at, {("a", "b"): Steered(cured, few)}, 200)["cells"][0]["verdict"] == "untested"
        controls[kind] = {**controls[kind], 99: cured}
        assert matrix(at, {("a", "b"): Steered(cured, controls)}, 200)["cells"][0]["verdict"] == "non-specific"


def test_without_controls_nothing_is_said_beyond_them():
    found = _rounded(
        matrix(columns("ab"), {("a", "b"): Steered(shares(0.05), {kind: {} for kind in MAPPED_CONTROLS})}, 100)
    )
    row = found["cells"][0]
    assert row["controls"] == {} and row["among_draws"]["n"] == 0
    assert row["minus_control"] is None and row["minus_control_interval"] == [None, None]
    assert found["donor_scores"]["a"]["minus_control"] is None
    assert row["verdict"] == "untested"


def test_a_control_that_breaks_the_model_is_kept_in_the_means():
    gone = Judged(np.ones(N, dtype=bool), np.ones(N, dtype=bool))
    controls = {"random": {0: gone, 1: columns("b")["b"].unsteered}}
    summary = matrix(columns("ab"), {("a", "b"): Steered(shares(0.1), controls)}, 100)["cells"][0]["controls"]["random"]
    assert summary["n"] == 2 and summary["broken"] == 0.5
    assert summary["delta_coherent"] == 0.0  # of the draw that has one
    assert summary["lowest"] == 0 and summary["highest"] == pytest.approx(1 - columns("b")["b"].unsteered.code.mean())
