"""Colours stand out on both grounds and are told apart without full colour vision."""

from __future__ import annotations

import itertools
import tomllib

import pytest

from core import paths
from core.figures import palette
from tests.core.figures import color

THEME = tomllib.loads((paths.ROOT / ".streamlit" / "config.toml").read_text())["theme"]
GROUNDS = [THEME[name]["backgroundColor"] for name in ("light", "dark")]
SETS = {
    "figures": (palette.CATEGORICAL, GROUNDS),
    "light": (THEME["light"]["chartCategoricalColors"], GROUNDS[:1]),
    "dark": (THEME["dark"]["chartCategoricalColors"], GROUNDS[1:]),
}


@pytest.mark.parametrize("name", SETS)
def test_chart_colours_stand_out_from_their_ground(name):
    colors, grounds = SETS[name]
    for one, ground in itertools.product(colors, grounds):
        assert color.contrast(one, ground) >= 3, (one, ground)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("eye", ["full", *color.SEEN_BY])
def test_any_two_chart_colours_are_told_apart(name, eye):
    for pair in itertools.combinations(SETS[name][0], 2):
        one, other = (color.linear(item) if eye == "full" else color.seen_by(eye, item) for item in pair)
        assert color.difference(one, other) > 20, pair


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("role", ["textColor", "linkColor", "primaryColor", "codeTextColor", "grayTextColor"])
def test_text_has_contrast_on_both_surfaces(name, role):
    for surface in ("backgroundColor", "secondaryBackgroundColor"):
        assert color.contrast(THEME[name][role], THEME[name][surface]) >= 4.5


def test_suites_differ_in_more_than_colour():
    looks = palette.looks(["everyday", "technical", "other", "another"])
    assert len({look.hatch for look in looks.values()}) == 4
    assert len({look.symbol for look in looks.values()}) == 4
