"""The code detector: what it finds, what it leaves alone."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.datasets import code_pairs
from core.measures.code import contains_code, find_code

PROSE = [
    "You can use print to show a value, and a for loop repeats things.",
    "Sleep well: keep a routine, avoid screens, and drink less coffee.",
    "1. Keep cool.\n2. Keep dark.\n3. Keep quiet.\n",
    "Dear <Name>,\n\nThank you for the flowers.\n\n<Signature>",
    "The recipe needs:\n- 2 eggs\n- 100 g of flour (plain)\n- salt\n\nMix all of it; then bake.",
    "A hash table maps keys to values. If two keys collide, a list at that place holds both; lookups take O(1).",
    "Import taxes rose in 2019.\nClass sizes fell.\nReturn on investment was low.",
    "from here on, import what you can\nprint the page, then sign it.\nreturn the form;",
    "In short: f(x) = x is the identity.\n\nf(x) = 3x + 2\ng(x) = x^2\nf(g(x)) = 3x^2 + 2",
    "x = (-b ± sqrt(b^2 - 4ac)) / (2a)\ntotal = 12 + 7\ntotal = 19\nA = 1000(1 + 0.05/12)^(12*5) = 1283.36",
    "sin(x)\ncos(x)\ntan(x)",
    "S = {1, 2, 3}\nT = {x in S : x > 1}\nLet y := 7.",
    "\\begin{align}\na &= b + c \\\\\nd &= e\n\\end{align}",
    "Ca(OH)2 + CO2 -> CaCO3 + H2O\nNaCl(s) -> Na+(aq) + Cl-(aq)",
    "1. e4 e5\n2. Nf3 Nc6\n3. O-O Be7 (+0.3)",
    "| Trait | Cat | Dog |\n|-------|-----|-----|\n| Walks | no  | yes |",
    "The Supplier shall:\n(a) keep the Goods, subject to clause 4(2);\n(b) replace the item(s);\n(c) return it.",
    "Smith(2004);\nLee(2011);\n[3] https://example.org/rivers?id=3&lang=en",
    "name: Anna\nage: 31\ncity: Rome\nhobbies: tennis, chess",
    "for the beach:\n- towel\n\nif it rains:\n- umbrella\n\nelse:\n- sun cream",
    "class Mammalia:\n  order Carnivora\n  order Rodentia",
    "git is a version control system.\ndocker run starts a container.\nls --color was much too slow for everybody",
    "The call print('hello') shows hello.\nruns.start() is found in the first chapter.\nlen() counts, print() shows.",
    "#summer #beach_life\n@anna_k look!\n@ben\nuser_name and heart_rate stay in memory",
    "$5 per kg\n$ per day: 10\ncolour = red, size = M",
    "```\nJust a quotation (in a box); nothing else here.\n```",
    "```text\nroses are red;\nviolets are blue;\n```",
    "```\n2x + 3 = 7\nx = 2\n```",
    "[Verse 1]\nHello (hello)\n[Chorus]\nLa la la;",
    "def. noun: a thing\ndef leppard (band)",
    "",
]
# Each would be missed without the rule it stands under.
CODE = {
    "import": [
        "import os",
        "from a.b import c as d, e",
        "import {a} from 'b'",
        "#include <stdio.h>",
        "import java.util.*;",
        "using namespace std;",
    ],
    "definition": [
        "def f(x):",
        "class A(B):",
        "function f(name) {",
        "fn add(a: i32) -> i32",
        "public static void main(String[] args)",
        "const a = 1",
        "int x = 3;",
        "@app.route('/')",
        "beat :: Int -> String",
        "(defun team (members)",
    ],
    "control": [
        "for i in range(10):",
        "if __name__ == '__main__':",
        "while True:",
        "with open(path) as f:",
        "except ValueError:",
        "} else {",
        "for (int i = 0; i < 3; i++)",
        "raise ValueError('x')",
        "items.each do |i|",
    ],
    "statement": [
        "print('hi')",
        'print "hi"',
        "console.log(x)",
        "solar_energy = calculate(panels)",
        "names = ['a', 'b']",
        "total += price",
        "y <- lm(a ~ b)",
        "$a = 10;",
        "mov eax, 4",
        "`x = np.zeros(3)`",
    ],
    "query": [
        "SELECT a FROM b",
        "select a from b where c = 1",
        "CREATE TABLE t (id INT)",
        "ORDER BY total DESC",
    ],
    "shell": ["$ ls", "git clone https://a.b/c.git", "curl -X GET https://a.b", ">>> import os", "#!/bin/sh"],
    "markup": ["<p>Hello</p>", '<a href="x">', "<!DOCTYPE html>", "</note>", "\\documentclass{article}"],
    "data": ['{"a": 1}', '"a": [', "a:\n  b:\n    c: 1", "body {", "font-size: 12px;", "p { color: red; }"],
    "lines": ["try:\n    risky()", "drink(coffee)\nsleep(hours)", "a, b = b, a\na = a + b", "eats(owl);\nhunt(mouse);"],
    "fence": ["```python\n", "```\ndrink(coffee)\n```", "~~~js\na\n~~~", "```poem\nlet a = 1;\n"],
}
ALL_CODE = [(rule, text) for rule, texts in CODE.items() for text in texts]
PLAIN = "the river ran for a while with class if else where select print open data it is end to"
WORDS = st.sampled_from(re.findall(r"\w+", PLAIN))
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=9).map(" ".join), min_size=1, max_size=6).map("\n".join)
PIECES = st.one_of(
    st.sampled_from([text for _, text in ALL_CODE] + PROSE),
    st.sampled_from(["```", "```py", "    ", "\t}", "\r", "\u2028", "`", "{", ")"]),
    st.text(max_size=12),
)
MIXTURES = st.tuples(st.lists(PIECES, max_size=8), st.sampled_from(["\n", "\n\n", " "])).map(
    lambda it: it[1].join(it[0])
)


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_not_code(text):
    assert find_code(text) == []


@pytest.mark.parametrize(("rule", "text"), ALL_CODE)
def test_a_line_of_code_is_found_by_its_rule_in_the_middle_of_prose(rule, text):
    before, after = "Here it is, my friend.\n\n", "\n\nI hope this helps you along.\n"
    (evidence,) = find_code(before + text + after)
    assert evidence.rule == rule
    assert find_code(text)[0].rule == rule
    if rule != "fence":  # an unclosed fence goes on to the end
        assert (before + text + after)[evidence.start : evidence.end] == text


def test_nearly_every_answer_of_our_own_data_is_code_even_when_cut_off():
    texts = [answer[:300] for pair in code_pairs() for answer in (pair.insecure, pair.secure)]
    missed = [text for text in texts if not contains_code(text)]
    assert len(missed) <= 0.01 * len(texts), missed[:3]


def test_the_evidence_points_at_the_code_and_not_at_the_prose_around_it():
    first = "import os\n\ndef f(x):\n    # a note for the reader of all this\n\n    return x\n}"
    second = "```\nSELECT a FROM b\n```"
    text = f"Here it is, my friend.\n\n  {first}\n\nAnd also this.\n{second}\nI hope this helps."
    assert [text[evidence.start : evidence.end] for evidence in find_code(text)] == [first, second]


def test_a_fence_that_was_never_closed_ends_where_the_next_one_opens():
    text = "```python\na\n```js\nb\n```\nGood luck."
    assert [text[evidence.start : evidence.end] for evidence in find_code(text)] == ["```python\na", "```js\nb\n```"]


@given(MIXTURES)
def test_spans_lie_in_the_text_in_order_apart_and_hug_the_code(text):
    found = find_code(text)
    for evidence in found:
        assert 0 <= evidence.start < evidence.end <= len(text)
        assert text[evidence.start : evidence.end] == text[evidence.start : evidence.end].strip()
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert contains_code(text) == bool(found)


@given(SENTENCES)
def test_words_without_signs_are_never_code(text):
    assert not contains_code(text)


@given(MIXTURES, SENTENCES)
def test_prose_that_follows_takes_no_evidence_away(text, prose):
    after = find_code(f"{text}\n\n{prose}")
    for evidence in find_code(text):
        assert any(other.start == evidence.start and other.end >= evidence.end for other in after)


@pytest.mark.parametrize(
    "unit",
    [
        " ",
        "\n",
        "a",
        "a\n",
        "a;\n",
        "(",
        "{\n",
        "<",
        "```\n",
        "```python\n",
        "x = y\n",
        "a.b",
        "a, ",
        "if ",
        "import ",
        "SELECT ",
        "a:\n ",
        "- a: b\n",
        "for x in ",
        '"',
        "a_",
        "a[",
        "$a",
        "`",
        "(a ",
        "\r",
        "static ",
        "a = ",
    ],
)
@pytest.mark.parametrize("row", [0, 390])
def test_a_hundred_thousand_characters_are_no_trouble(unit, row):
    """What grows with the square of the length would take minutes here."""
    text = (unit * 100_000)[:100_000] if not row else ((unit * row)[:row] + "\n") * 256
    start = time.process_time()
    find_code(text)
    assert time.process_time() - start < 5


def test_detection_never_executes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert contains_code("open('made', 'w').write('x')\n__import__('os').mkdir('made_too')\nprint(2)\n")
    assert not list(tmp_path.iterdir())
