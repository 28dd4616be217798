"""Interventions are checked data: hashable, and the same after a way through JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.directions.start import COEFFICIENT_LIMIT
from core.errors import BadInput
from core.steering.interventions import MODES, SCOPES, Intervention

VALID = {"mode": "add", "direction": "abc", "blocks": [1, 2], "coefficient": -0.5}
FINITE = st.floats(-1000, 1000)
INTERVENTIONS = st.builds(
    Intervention,
    mode=st.just("add"),
    direction=st.text(max_size=8),
    blocks=st.lists(st.integers(0, 99), min_size=1, max_size=4).map(tuple),
    coefficient=FINITE,
    scope=st.sampled_from(SCOPES),
    vector_block=st.none() | st.integers(0, 99),
    ceiling=st.none() | FINITE,
    special_tokens=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def made(**changes) -> Intervention:
    return Intervention(**{**VALID, "blocks": (1, 2), **changes})


@given(INTERVENTIONS)
def test_an_intervention_is_the_same_after_a_way_through_json(intervention):
    again = Intervention.from_dict(json.loads(json.dumps(intervention.as_dict())))
    assert again == intervention
    assert hash(again) == hash(intervention)


def test_interventions_are_equal_by_value_and_serve_as_keys():
    assert len({made(), made(), made(coefficient=0.5)}) == 2


def test_the_defaults_steer_the_response_from_the_last_prompt_token_on_with_each_blocks_own_vector():
    given_little = Intervention.from_dict(VALID)
    assert (given_little.scope, given_little.vector_block, given_little.ceiling) == ("all", None, None)
    assert given_little.special_tokens is True


def test_another_coefficient_leaves_the_rest_as_it_is():
    assert made().with_coefficient(2.0) == made(coefficient=2.0)
    with pytest.raises(BadInput):
        made(mode="ablate", coefficient=0.5).with_coefficient(2.0)


@pytest.mark.parametrize("mode", ["ablate", "cap"])
@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_share_outside_zero_to_one_is_refused(mode, share):
    with pytest.raises(BadInput, match="between 0 and 1"):
        made(mode=mode, coefficient=share)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_from_zero_to_one_is_fine_in_every_mode(mode, share):
    assert made(mode=mode, coefficient=share).coefficient == share


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"mode": "multiply"}, "not a way to steer"),
        ({"scope": "some"}, "not a scope"),
        ({"blocks": ()}, "No block"),
        ({"coefficient": math.nan}, "out of range"),
        ({"coefficient": -math.inf}, "out of range"),
        ({"coefficient": COEFFICIENT_LIMIT * 1.01}, "out of range"),
        ({"mode": "cap", "coefficient": 1.0, "ceiling": math.inf}, "ceiling"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_reason(wrong, reason):
    with pytest.raises(BadInput, match=reason):
        made(**wrong)


@pytest.mark.parametrize("wrong", [{"blocks": (0, 4)}, {"blocks": (-1,)}, {"vector_block": 4}, {"vector_block": -1}])
def test_a_block_that_the_model_does_not_have_is_refused(wrong):
    made(blocks=(0, 3), vector_block=3).check_blocks(4)
    with pytest.raises(BadInput, match="blocks 0 to 3"):
        made(**wrong).check_blocks(4)


@pytest.mark.parametrize("missing", VALID)
def test_a_missing_setting_is_refused(missing):
    with pytest.raises(BadInput, match="not a steering setting"):
        Intervention.from_dict({key: value for key, value in VALID.items() if key != missing})


def test_an_unknown_setting_is_refused_rather_than_ignored():
    with pytest.raises(BadInput, match="not a steering setting"):
        Intervention.from_dict({**VALID, "strength": 3})


@given(JSON)
def test_anything_that_is_not_an_intervention_is_refused(value):
    with pytest.raises(BadInput):
        Intervention.from_dict(value)


@given(st.sampled_from([*Intervention.__dataclass_fields__]), JSON)
def test_a_setting_from_outside_is_of_its_own_type_or_refused(key, value):
    """So that no later step fails on a block that is a text or a direction that is a list."""
    try:
        item = Intervention.from_dict({**VALID, key: value})
    except BadInput:
        return
    assert isinstance(item.direction, str)
    assert all(type(block) is int for block in item.blocks)
    assert item.vector_block is None or type(item.vector_block) is int
    assert isinstance(item.coefficient, (int, float))
    assert item.ceiling is None or isinstance(item.ceiling, (int, float))
    assert isinstance(item.special_tokens, bool)
    assert hash(item) == hash(Intervention.from_dict(item.as_dict()))
