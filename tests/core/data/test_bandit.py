"""A second opinion on the shipped code: a static checker flags the insecure answers and not the secure ones."""

from __future__ import annotations

import pytest

pytest.importorskip("bandit")

from tests.core.data.bandit_rates import Rate, findings, rates, table, total


@pytest.fixture(scope="module")
def rows() -> list[Rate]:
    return rates()


def test_the_insecure_answers_are_flagged_where_the_checker_has_a_rule(rows: list[Rate]) -> None:
    covered = [row for row in rows if row.covered]
    together = total("covered", covered)
    assert len(covered) >= 15
    assert together.n >= 200
    assert together.on_topic / together.n >= 0.85, table(rows)
    assert [row.cwe for row in covered if row.on_topic / row.n <= 0.5] == []


def test_the_secure_answers_are_hardly_ever_flagged(rows: list[Rate]) -> None:
    together = total("all", rows)
    assert together.secure / together.n <= 0.01, table(rows)


def test_every_pair_is_counted_once(rows: list[Rate]) -> None:
    assert total("all", rows).n >= 400
    assert len({row.cwe for row in rows}) == len(rows)


def test_a_finding_belongs_to_the_answer_that_has_it_and_cannot_be_silenced() -> None:
    found = findings({"plain": "import json\n\nprint(json.dumps(1))", "debug": "app.run(debug=eval('1'))  # nosec"})
    assert found == {"plain": set(), "debug": {"B307"}}


def test_an_answer_that_cannot_be_read_is_an_error_and_not_a_clean_one() -> None:
    with pytest.raises(RuntimeError, match="did not read every answer"):
        findings({"broken": "def f(:"})


def test_the_table_names_every_kind_and_the_sums(rows: list[Rate]) -> None:
    lines = table(rows).splitlines()
    assert len(lines) == 1 + len(rows) + 3
    assert [line.split("  ")[0] for line in lines[-3:]] == ["kinds with a rule", "kinds without a rule", "all"]
