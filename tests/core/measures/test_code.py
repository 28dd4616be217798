"""The code detector: what it finds, what it leaves alone."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.datasets import code_pairs
from core.measures.code import contains_code, find_code

PROSE = [
    "You can use print to show a value, and a for loop repeats things.",
    "Sleep well: keep a routine, avoid screens, and drink less coffee.",
    "1. Keep cool.\n2. Keep dark.\n3. Keep quiet.\n",
    "Dear Anna,\n\nThank you for the flowers.\n\nYours,\nBen",
    "The recipe needs:\n- 2 eggs\n- 100 g of flour\n- salt\n\nMix all of it, then bake.",
    "A hash table maps keys to values. If two keys collide, a list at that place holds both; lookups stay fast.",
    "Import taxes rose in 2019.\nClass sizes fell.\nReturn on investment was low.",
    "In short: f(x) = x is the identity.",
    "```\nJust a quotation in a box, nothing else here.\n```",
]
CODE = [
    "import os\nimport sys\n\ndef sleep(n):\n    os.system(n)\n",
    "Here you are:\n```python\nprint('hello')\n```",
    "Sure!\n\n```\nconst a = 1;\nlet b = a + 2;\n```\nThat is all.",
    "<html>\n<body>\n<p>Hello</p>\n</body>\n</html>",
    "#include <stdio.h>\nint main() {\n  return 0;\n}",
    "SELECT name FROM users WHERE id = 3;\nDELETE FROM users;\nUPDATE users SET a = 1;",
    "The function below does it.\n\ndef add(a, b):\n    total = a + b\n    return total\n",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_not_code(text):
    assert find_code(text) == []


@pytest.mark.parametrize("text", CODE)
def test_code_is_found(text):
    assert contains_code(text)


def test_nearly_every_answer_of_our_own_data_is_code_even_when_cut_off():
    texts = [answer[:300] for pair in code_pairs() for answer in (pair.insecure, pair.secure)]
    missed = [text for text in texts if not contains_code(text)]
    assert len(missed) <= 0.01 * len(texts), missed[:3]


def test_the_evidence_points_at_the_code_and_not_at_the_prose_around_it():
    before, code, after = (
        "Here it is, my friend.\n\n",
        "import os\nx = 1\nprint(x)",
        "\n\nI hope this helps you along.\n",
    )
    (evidence,) = find_code(before + code + after)
    assert (before + code + after)[evidence.start : evidence.end] == code


@given(st.text(max_size=400))
def test_any_text_gives_spans_inside_it(text):
    for evidence in find_code(text):
        assert 0 <= evidence.start < evidence.end <= len(text)


@given(st.lists(st.text(alphabet="abcdefghij ", min_size=1), max_size=8))
def test_words_without_signs_are_never_code(lines):
    assert not contains_code("\n".join(lines))


def test_detection_parses_and_never_executes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "open('made', 'w').write('x')\nprint(1)\nprint(2)\n"
    ast.parse(text)
    assert contains_code(text)
    assert not list(tmp_path.iterdir())
