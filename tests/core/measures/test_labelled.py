"""The labelled answers and the figures of the detector on them."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from core.errors import DamagedArtifact
from core.measures import code, labelled
from core.measures.labelled import detector_quality, labelled_answers
from core.statistics import wilson


def forget():
    for remembered in (labelled._all_answers, detector_quality, code._judge):
        remembered.cache_clear()


@pytest.fixture(autouse=True)
def fresh():
    forget()
    yield
    forget()


def test_the_two_halves_share_no_prompt_and_no_answer():
    dev, test = labelled_answers("dev"), labelled_answers("test")
    assert len(labelled_answers()) == len(dev) + len(test) == len({answer.id for answer in labelled_answers()})
    assert not {answer.text for answer in dev} & {answer.text for answer in test}
    model_prompts = [{answer.prompt for answer in half if answer.arm != "written"} for half in (dev, test)]
    assert not model_prompts[0] & model_prompts[1]
    for half in (dev, test):
        kinds = Counter(answer.code for answer in half)
        assert kinds[True] >= 100 and kinds[False] >= 200


def test_precision_and_recall_on_the_held_out_half_are_at_least_097():
    quality = detector_quality()
    assert quality["split"] == "test" and quality["n"] >= 300 and quality["positives"] >= 100
    assert quality["precision"] >= 0.97, quality["false_positives"]
    assert quality["recall"] >= 0.97, quality["false_negatives"]


def test_the_figures_are_those_of_a_count_by_hand():
    answers = labelled_answers("test")
    pairs = Counter((answer.code, bool(code.find_code(answer.text))) for answer in answers)
    quality = detector_quality()
    assert quality["precision"] == pairs[True, True] / (pairs[True, True] + pairs[False, True])
    assert quality["recall"] == pairs[True, True] / (pairs[True, True] + pairs[True, False])
    assert quality["recall_interval"] == wilson(pairs[True, True], pairs[True, True] + pairs[True, False])
    assert len(quality["false_positives"]) == pairs[False, True]
    assert len(quality["false_negatives"]) == pairs[True, False]
    assert quality["version"] == code.DETECTOR_VERSION


def test_a_detector_without_its_certain_lines_or_without_its_restraint_falls_short(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(code, "_CERTAIN", re.compile(r"(?!)"))
        assert detector_quality()["recall"] < 0.97
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(code, "ENOUGH", 1)
        patch.setattr(code, "_LIKELY", re.compile(r".*[;=()]"))
        assert detector_quality()["precision"] < 0.97


@pytest.mark.parametrize(
    "damage",
    ["{", '{"id": "a"}', "[]", json.dumps({"code": "yes"})],
)
def test_a_damaged_line_is_named(tmp_path, monkeypatch, damage):
    whole = labelled.ANSWERS.read_text(encoding="utf-8").split("\n")[0]
    file = tmp_path / "answers.jsonl"
    file.write_text(f"{whole}\n{json.dumps(json.loads(whole) | json.loads(damage)) if 'yes' in damage else damage}\n")
    monkeypatch.setattr(labelled, "ANSWERS", file)
    forget()
    with pytest.raises(DamagedArtifact, match=r"answers\.jsonl, line 2"):
        labelled_answers()
