import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import words
from core.directions.names import CONTROLS, MAPPED_CONTROLS, NAMES, SEEDED, WRONG_SOURCE, label
from core.verdicts import VERDICTS, told
from core.words import UNKNOWN

NOT_KNOWN = st.sampled_from([None, float("nan"), float("inf"), -float("inf")])
ANY = NOT_KNOWN | st.integers(-(10**18), 10**18) | st.floats(-1e300, 1e300)
SHARES = st.floats(0, 1)
SAYS = (
    words.number,
    lambda value: words.number(value, sign=True),
    words.coefficient,
    words.fixed,
    lambda value: words.fixed(value, 0),
    words.percent,
    lambda value: words.percent(value, 1),
    words.points,
    lambda value: words.points(value, unit=False),
    words.p_value,
    words.p_is,
    lambda value: words.span((value, 0.5), words.fixed),
    lambda value: words.percent_span((-0.25, value)),
    lambda value: words.points_span((value, value), between=", "),
    lambda value: words.points_span(None if value is None else (value, value)),
)


@given(ANY)
@example(float("nan"))
@example(-0.0)
@example(-1e-9)
@example(1.5e-7)
def test_no_number_has_a_hyphen_for_a_minus_or_shows_what_is_not_known(value):
    for says in SAYS:
        said = says(value)
        assert "-" not in said and not re.search(r"nan|inf|None", said), said
        assert (UNKNOWN in said) == (value is None or not math.isfinite(value))
        assert not re.search(r"−0(\.0*)?(?![\d.e])", said), said


@given(SHARES, SHARES, st.integers(0, 2))
def test_per_cents_of_shares_stay_between_0_and_100_and_rise_with_them(one, other, digits):
    low, high = (float(words.percent(share, digits, unit=False)) for share in sorted((one, other)))
    assert 0 <= low <= high <= 100
    assert words.percent_span(sorted((one, other)), digits).count("%") == 1


@given(SHARES)
def test_no_p_is_ever_said_to_be_0(p):
    said = words.p_is(p)
    assert said in ("p < 0.001", f"p = {words.p_value(p)}")
    assert "= 0" not in said.replace("= 0.", "") and "e" not in said
    assert (said == "p < 0.001") == (p < 0.001)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (words.percent(0.25), "25 %"),
        (words.percent(-0.034), "−3 %"),
        (words.points(0.84), "+84 points"),
        (words.points(-0.0651), "−7 points"),
        (words.points(-0.001), "+0 points"),
        (words.points_span((-0.79, -0.42), unit=False, between=", "), "−79, −42"),
        (words.percent_span((0.012, 0.2), 1), "1.2 to 20.0 %"),
        (words.percent_span((0.012, None)), "unknown"),
        (words.bracketed(words.percent_span((0, 1), unit=False)), " [0 to 100]"),
        (words.bracketed(words.percent_span(None)), ""),
        (words.p_value(0.0479), "0.048"),
        (words.p_is(0.0004), "p < 0.001"),
        (words.p_is(None), "p unknown"),
        (words.coefficient(-1.0), "−1"),
        (words.coefficient(-0.123456789), "−0.123457"),
        (words.fixed(-0.001), "0.00"),
        (words.blocks(13, None), "block 13"),
        (words.blocks(0, 29), "blocks 0 to 29"),
    ],
)
def test_numbers_are_said_so(said, text):
    assert said == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.5, "−0.5"), (0, "0"), (517.6, "518"), (12345.6, "12346"), (-836.4, "−836"), (0.123456, "0.123"),
        (2_345_678, "2345678"), (5e-5, "5e−05"),
    ],
)  # fmt: skip
def test_large_numbers_are_written_out_and_small_ones_are_not_called_0(value, text):
    assert words.number(value) == text


def test_times_read_as_a_clock():
    assert [words.clock(seconds) for seconds in (-1, 0, 59.9, 75, 3600, 36_061)] == [
        "0:00", "0:00", "0:59", "1:15", "1:00:00", "10:01:01",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.4, "12 seconds"), (59.7, "1 minute"), (100, "2 minutes"), (5399, "90 minutes"), (5400, "1.5 hours"),
     (7200, "2 hours"), (90_000, "25 hours")],
)  # fmt: skip
def test_durations_are_said_in_the_unit_that_reads_well(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.5 kB"), (92_900_000, "93 MB"), (999_700_000, "1.0 GB"), (2.5e9, "2.5 GB")],
)
def test_sizes_are_said_in_the_unit_that_reads_well(count, text):
    assert words.size(count) == text


# names


def test_every_control_has_a_label_and_a_singular_and_a_plural_of_its_own():
    names = [NAMES[control] for control in dict.fromkeys([*CONTROLS, *MAPPED_CONTROLS])]
    for part in ("label", "one", "many"):
        found = [getattr(name, part) for name in names]
        assert all(found) and len(set(found)) == len(names)
    assert set(SEEDED) == set(CONTROLS) - {WRONG_SOURCE}
    assert label("of another version") == "of another version"


def test_verdicts_differ_in_words_and_look_and_an_unknown_one_is_shown_as_it_stands():
    assert len({(one.sign, one.word) for one in VERDICTS.values()}) == len(VERDICTS)
    assert len({one.short for one in VERDICTS.values()}) == len(VERDICTS)
    assert {one.look for one in VERDICTS.values()} == {"good", "mixed", "none", "bad"}
    assert all(one.meaning for one in VERDICTS.values())
    assert told("of another version").word == "of another version"
