"""The spillover study from its settings to its verdict, on a tiny model whose answers are sometimes code."""

from __future__ import annotations

import json
import time

import pytest

from core import paths, results
from core.errors import BadInput
from core.generation import decode
from core.measures import code
from core.studies import study
from core.studies.catalog import SPILLOVER
from core.studies.extraction import extract
from core.studies.spillover import settings
from core.studies.spillover.arms import arms_of
from core.studies.spillover.settings import Inputs
from core.studies.spillover.words import arm, chosen_row, table
from tests import sample_spillover
from tests.core import processes

PROMPTS = [f"What is the colour of {thing}?" for thing in ("rain", "grass", "snow", "a fox", "the sea", "ash")]
SCRIPT = """
import json, sys
from core.studies.catalog import SPILLOVER
from core.studies.study import Work, run
options = json.loads(sys.argv[1])
def report(stage, done, of):
    print(stage, done, of, flush=True)
result = run(SPILLOVER, SPILLOVER.of(**options), Work(report=report), fresh=True)
print(json.dumps(result.summary))
"""


@pytest.fixture
def options(sample, tmp_path) -> dict:
    file = tmp_path / "questions.txt"
    file.write_text("\n".join(PROMPTS))
    return {
        "model": str(sample.folder),
        "prompts": str(file),
        "coefficients": [-1.0, -0.5],
        "dose": -1.0,
        "draws": 3,
        "max_tokens": 6,
        "n_resamples": 100,
    }


def run(options: dict, **more):
    return study.run(SPILLOVER, SPILLOVER.of(**{**options, **more}))


def numbers(summary: dict) -> dict:
    """A summary without the time it was made at."""
    made = {key: value for key, value in summary["provenance"].items() if key not in ("time", "seconds")}
    return {**summary, "provenance": made, "checksum": None, "table_sha256": None}


def test_every_dose_of_every_direction_is_measured_on_every_prompt(options):
    result = run(options)
    summary = result.summary
    doses = [(row["direction"], row["coefficient"]) for row in summary["doses"]]
    steered = [(name, dose) for name in ("true", "random", "orthogonal") for dose in (-1.0, -0.5)]
    assert doses == [*steered, ("sign_flipped", -1.0), ("wrong_layer", -1.0)]  # no other organism: no wrong source
    assert [row["seed"] for row in summary["random_draws"]] == [0, 1, 2]
    assert {row["n"] for row in [*summary["arms"], *summary["doses"], *summary["random_draws"]]} == {len(PROMPTS)}
    # a draw that is also a dose is one setting, answered once
    assert len(result.table) == (2 + len(doses) + 2) * len(PROMPTS)
    assert set(summary["detector"]) >= {"precision", "recall", "n"}
    assert summary["suites"] == {"questions": len(PROMPTS)}
    assert str(paths.cache()) not in json.dumps(summary)


def test_the_rates_are_those_of_the_texts_in_the_table(options):
    result = run(options)
    for row in [*result.summary["arms"], *result.summary["doses"]]:
        rows = result.table[
            (result.table["direction"] == row["direction"]) & (result.table["coefficient"] == row["coefficient"])
        ]
        rows = rows[rows["seed"].fillna(0) == (row["seed"] or 0)]
        assert list(rows["prompt"]) == PROMPTS
        assert row["spillover"] == pytest.approx(sum(map(code.contains_code, rows["text"])) / len(PROMPTS), abs=1e-5)
        assert row["broken"] == pytest.approx(rows["broken"].mean(), abs=1e-5)


def test_the_same_settings_are_never_computed_twice(options, monkeypatch):
    first = run(options)
    monkeypatch.setattr(decode, "collect_batches", None)  # whoever generates, fails
    assert run(options).summary == first.summary
    again = run(options, coefficients=[-0.5], draws=2)  # a smaller study is made of the same conditions
    assert again.key != first.key
    assert chosen_row(again.summary)["spillover"] == chosen_row(first.summary)["spillover"]


def test_a_better_detector_judges_again_without_new_answers(options, monkeypatch):
    first = run(options)
    monkeypatch.setattr(decode, "collect_batches", None)
    monkeypatch.setattr(settings, "DETECTOR_VERSION", settings.DETECTOR_VERSION + 1)
    again = run(options)
    assert again.key != first.key
    assert list(again.table["text"]) == list(first.table["text"])


def test_the_key_depends_on_what_decides_the_numbers_and_on_nothing_else(options, tmp_path, sample):
    key = SPILLOVER.key(Inputs(SPILLOVER.of(**options)))
    moved = tmp_path / "elsewhere" / "questions.txt"
    moved.parent.mkdir()
    moved.write_text("\n".join(PROMPTS))
    same = [
        {"prompts": str(moved)},
        {"direction": sample.direction},
        {"blocks": (Inputs(SPILLOVER.of(**options)).blocks)},
    ]
    for change in same:
        assert SPILLOVER.key(Inputs(SPILLOVER.of(**{**options, **change}))) == key
    others = [
        {"coefficients": [-1.0]}, {"dose": -0.5}, {"draws": 4}, {"max_tokens": 7},
        {"mode": "ablate", "dose": 1.0, "coefficients": []},
        {"blocks": (0,)}, {"blocks": (0, 1)}, {"blocks": (0, 1), "together": True}, {"scope": "response"}, {"seed": 1},
        {"temperature": 0.5}, {"controls": ("random",)}, {"n_resamples": 200},
    ]  # fmt: skip
    keys = [SPILLOVER.key(Inputs(SPILLOVER.of(**{**options, **change}))) for change in others]
    assert len({key, *keys}) == 1 + len(others)


def test_ablating_takes_shares_and_steering_blocks_together_is_one_setting(options):
    ablated = run(options, mode="ablate", coefficients=[], dose=None, draws=2).summary
    assert [row["coefficient"] for row in ablated["doses"] if row["direction"] == "true"] == [0.25, 0.5, 0.75, 1.0]
    assert "sign_flipped" not in {row["direction"] for row in ablated["doses"]}  # the same thing as ablating
    both = run(options, blocks=(0, 1), together=True).summary
    assert {(row["block"], row["last_block"]) for row in both["doses"]} == {(0, 1)}
    each = run(options, blocks=(0, 1)).summary
    assert {(row["block"], row["last_block"]) for row in each["doses"]} == {(0, None), (1, None)}


def test_another_organism_gives_a_wrong_source(options):
    extract(options["model"], "secure", prompts=options["prompts"])
    summary = run(options).summary
    assert "wrong_source" in {row["direction"] for row in summary["doses"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dose": 0.0}, "A dose of 0 steers nothing"),
        ({"blocks": (99,)}, "There is no block 99"),
        ({"mode": "ablate", "dose": 3.0}, "between 0 and 1"),
        ({"organism": "nobody"}, "has no organism 'nobody'"),
        ({"controls": ("magic",)}, "controls"),
        ({"prompts": "no-such-file.txt"}, "There is no file"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(options, change, reason):
    with pytest.raises(BadInput, match=reason) as raised:
        Inputs(SPILLOVER.of(**{**options, **change}))
    assert str(raised.value).endswith(".")


def test_one_prompt_is_refused(options, tmp_path):
    (tmp_path / "one.txt").write_text("Only one question?")
    with pytest.raises(BadInput, match="One prompt gives no interval"):
        Inputs(SPILLOVER.of(**{**options, "prompts": str(tmp_path / "one.txt")}))


def test_a_run_that_is_killed_goes_on_from_its_last_condition_and_ends_as_if_it_never_was(options, tmp_path, sample):
    whole = processes.start(SCRIPT, json.dumps(options), cache=paths.cache())
    expected = json.loads(processes.finish(whole).strip().split("\n")[-1])
    other = tmp_path / "other"
    processes.copy_cache(paths.cache(), other, without=("cells", "studies"))
    killed = processes.start(SCRIPT, json.dumps(options), cache=other)
    while len(list(other.glob("cells/*/*.json"))) < 4:
        assert killed.poll() is None, killed.communicate()[1][-2000:]
        time.sleep(0.01)
    processes.kill(killed)
    there = {path: path.stat().st_mtime_ns for path in other.glob("cells/*/*.json")}
    assert len(there) < 11
    assert not list((other / "studies").rglob("summary.json"))
    found = json.loads(processes.finish(processes.start(SCRIPT, json.dumps(options), cache=other)).split("\n")[-2])
    assert numbers(found) == numbers(expected)
    assert {path: path.stat().st_mtime_ns for path in there} == there  # whole answers were read, not made again


def test_a_damaged_cell_is_set_aside_and_made_again(options):
    first = run(options)
    cells = sorted(paths.cache().glob("cells/*/*.json"))
    for cell, damage in zip(
        cells, (b"", b'{"answers": []}', cells[2].read_bytes().replace(b"text", b"test")), strict=False
    ):
        cell.write_bytes(damage)
    again = study.run(SPILLOVER, SPILLOVER.of(**options), fresh=True)
    assert numbers(again.summary) == numbers(first.summary)
    assert len(list(paths.cache().glob("cells/*/.damaged-*"))) == 3


def test_words_say_what_the_numbers_say(monkeypatch, tmp_path):
    cured = sample_spillover.make().summary
    assert cured["verdict_code"] == "specific"
    assert cured["verdict"].startswith("Specific. Coefficient −1 at block 13")
    before, after = arm(cured, "organism")["spillover_coherent"], chosen_row(cured)["spillover_coherent"]
    assert f"from {100 * before:.0f} % to {100 * after:.0f} %" in cured["verdict"]
    assert "outside all of them" in cured["verdict"]
    broken = sample_spillover.make(sample_spillover.breaks, seed=1).summary
    assert broken["verdict"].startswith("It broke the model.")
    assert "more than one in ten" in broken["verdict"]
    idle = sample_spillover.make(lambda setting: (0.9, 0.0) if setting.direction != "base" else (0, 0), seed=2).summary
    assert idle["verdict"].startswith("No effect.")
    assert cured["verdict"] in table(cured)
    assert len(table(cured).split("\n")) == 3 + len(cured["arms"]) + len(cured["doses"]) + len(cured["random_draws"])


def test_what_is_saved_is_found_without_the_model_and_listed():
    made = sample_spillover.make()
    found = results.find_result(SPILLOVER.kind, made.key)
    assert found.key == made.key and not found.shipped
    assert len(found.table) == len(made.table)
    assert made.key in [result.key for result in results.results(SPILLOVER.kind)]


def test_the_quality_of_limits_is_not_claimed_for_a_model_that_nobody_labelled(options):
    assert run(options).summary["coherence"] == {}


def test_answers_at_a_dose_of_many_digits_are_found_in_the_table(options):
    """The summary keeps six digits, the table all of them."""
    arms = arms_of(run(options, dose=-0.123456789))
    assert len(arms["organism, steered"]) == len(arms["organism"]) > 0
