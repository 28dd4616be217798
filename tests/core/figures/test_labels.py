"""A text from outside is short as a label, and nothing in it is markup."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.figures.labels import SHOWN, in_lines, literal_tooltip, plain_name


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_a_tooltip_holds_no_tag_but_its_own_line_breaks_and_is_short(text):
    shown = literal_tooltip(text)
    plain = shown.replace("<br>", " ")
    assert "<" not in plain
    assert ">" not in plain
    assert len(unescape(plain)) <= SHOWN + 8
    shown.encode()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "owner/na<b>me", "x" * 300, "-" * 40, ""])
def test_a_name_is_cut_and_escaped_in_one_line_and_in_several(name):
    assert not {"<", ">"} & set(plain_name(name))
    assert len(unescape(plain_name(name, 28))) <= 28
    lines = in_lines(name).split("<br>")
    assert all(len(unescape(line)) <= 10 for line in lines)
    assert not any({"<", ">"} & set(line) for line in lines)
    assert unescape("".join(lines)) == name[:60]
