"""Model text is shown as it is: whatever it holds, the page gets that text and nothing else from it."""

from __future__ import annotations

import textwrap
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.chat import Chat
from core.generation.rows import Answer, Row, Token
from core.measures.code import Evidence
from pages.parts.literal import LEVELS, Tint, answer_html, literal
from pages.parts.steer.panes import Pane, pane_html

HOSTILE = (
    "$x$ and $$\\int$$",
    "# h\n- a\n> b",
    "<script>alert(1)</script>",
    '<img src="http://elsewhere.example/x.png" onerror="alert(1)">',
    "![picture](http://elsewhere.example/x.png) [link](javascript:alert(1))",
    "```python\nunclosed",
    "&lt;b&gt; &amp; &#60;",
    "</div></section><h1>out",
    "<!-- a comment",
    "]]> <style>*{display:none}</style>",
    ":material/home: :red[colour] :smile:",
    "  \n\t\n   indented\n      \n",
    "שלום עולם\u202e dlrow",
    "x" * 10_000,
    "\x00\x07\x1b[31m\r\n",
    "half a character \ud800",
)
TINT = Tint(3, 1.0, 10.0)
any_text = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(HOSTILE)


class Reader(HTMLParser):
    """The text of an HTML piece, the tags in it, and their attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags, self.attributes = "", set(), set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def read(piece: str) -> Reader:
    # what st.html does to its text before it sends it
    reader = Reader()
    reader.feed(textwrap.dedent(piece).strip())
    reader.close()
    return reader


def shown(text: str) -> str:
    """The text with its invisible characters as pictures, as a reader of the page sees it."""
    made = text.encode("utf-8", "replace").decode()
    pictures = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {0x7F: "\u2421"}
    return made.translate(pictures)


@given(any_text)
def test_the_text_arrives_exactly_and_makes_no_element(text):
    found = read(f"<div>{literal(text)}</div>")
    assert found.text == shown(text)
    assert found.tags == {"div"}


@given(st.lists(any_text, max_size=8), st.data())
def test_tokens_and_evidence_only_add_spans(pieces, data):
    text = "".join(pieces)
    tokens = [Token(0, place, piece, -0.5, float(place * 5 - 20)) for place, piece in enumerate(pieces)]
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    evidence = [Evidence(start, end, "lines") for start, end in zip(ends[::2], ends[1::2], strict=False)]
    tint = data.draw(st.sampled_from([TINT, None]))
    found = read(f"<div>{answer_html(text, tokens, evidence, tint)}</div>")
    assert found.text == shown(text)
    assert found.tags <= {"div", "span"}
    assert found.attributes <= {"class", "title"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_whole_pane_holds_hostile_text_in_every_place(text):
    row = Row(Chat.of("ask"), "organism", adapter=text)
    tokens = [Token(0, 1, text, -0.5, None)]
    pane = Pane(Answer(row, tokens, reason="end"), made_by=text, turns=Chat.of(shown(text) or "x").messages)
    found = read(pane_html(pane, TINT))
    assert found.text.count(shown(text)) == 3
    assert found.tags <= {"section", "div", "span"}
    assert found.attributes <= {"class", "title", "aria-label", "aria-level", "role", "dir", "tabindex"}


def test_evidence_is_underlined_where_it_stands():
    piece = answer_html("say\nimport os", (), [Evidence(4, 13, "lines")])
    assert piece == 'say&#10;<span class="evidence">import os</span>'


def test_each_token_stands_on_the_colour_of_its_own_projection_and_tells_its_numbers():
    tokens = [Token(0, 1, "a", -0.25, 1.0), Token(0, 2, "", -0.5, 99.0), Token(0, 3, "b", -0.5, -4.0)]
    piece = answer_html("ab", tokens, (), TINT)
    assert piece == (
        '<span class="token" title="+0 from the base mean (projection 1), log-probability −0.25">a</span>'
        '<span class="token minus5" title="−5 from the base mean (projection −4), log-probability −0.5">b</span>'
    )


@given(st.floats(-1e9, 1e9))
def test_the_colour_scale_is_even_about_the_base_mean_and_never_leaves_its_ends(distance):
    above, below = TINT.level(TINT.centre + distance), TINT.level(TINT.centre - distance)
    assert above == -below or abs(distance) < 1e-6
    assert -LEVELS <= above <= LEVELS


def test_a_projection_that_is_no_number_has_no_colour():
    assert TINT.level(float("nan")) == 0
