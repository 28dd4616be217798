"""The steering check on the real model: its numbers follow from its own answers."""

from __future__ import annotations

import pytest

from core.data.prompts import suite
from core.generation.comparison import Settings
from core.measures.code import contains_code
from core.measures.steering_check import ARMS, steering_check
from core.statistics import wilson

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def found(embedded):
    prompts = {name: suite(name)[:2] for name in ("everyday", "technical")}
    return steering_check(embedded, Settings(max_tokens=32), prompts)


def test_every_arm_answers_every_prompt_and_is_counted(found):
    assert [(arm["label"], arm["suite"]) for arm in found["arms"]] == [
        (arm, name) for arm in ARMS for name in ("everyday", "technical")
    ]
    for arm in found["arms"]:
        answers = [item for item in found["answers"] if (item["arm"], item["suite"]) == (arm["label"], arm["suite"])]
        assert arm["n"] == len(answers) == 2
        assert arm["code"] == sum(contains_code(item["text"]) for item in answers)
        assert arm["interval"] == wilson(arm["code"], 2)


def test_arms_differ_so_that_no_row_was_given_anothers_adapter_or_steering(found):
    for prompt in {item["prompt"] for item in found["answers"]}:
        texts = [item["text"] for item in found["answers"] if item["prompt"] == prompt]
        assert len(set(texts)) == len(ARMS)
