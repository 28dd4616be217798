"""Rows as they are saved and printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks import table
from benchmarks.limits import Passes
from benchmarks.pairs import Measurement
from tests.benchmarks.test_limits import limits

REQUIRED = {"name", "ratio", "spread", "ours", "peer", "unit", "limit_share", "machine"}
GOOD = Measurement("decode / x", 1.25, (1.2, 1.3), 50.0, 40.0, "tokens/s", "≥ 1", 9, seconds=4.0, work=(Passes(20, 1),))
FAILED = Measurement("decode / y", None, None, 50.0, None, "tokens/s", "≥ 1", 3, error="ImportError: no y here")


def made(part: str, found: Measurement = GOOD, model: str = "m", device: str = "cpu") -> dict[str, Any]:
    return table.as_row(part, found, limits(10, 10), {"model": model, "device": device})


@pytest.mark.parametrize("found", [GOOD, FAILED])
def test_every_row_says_all_that_is_promised_in_plain_data(found):
    row = made("decode", found)
    assert row.keys() >= REQUIRED | {"part", "n", "wanted", "note", "shapes", "versions", "error"}
    assert json.loads(json.dumps(row)) == row


def test_the_share_of_the_limit_is_the_least_time_over_the_time_taken():
    assert made("decode")["limit_share"] == pytest.approx(2.0 / 4.0)
    assert made("decode", FAILED)["limit_share"] is None


def test_a_part_measured_again_replaces_its_own_rows_and_no_others(tmp_path):
    file = tmp_path / "latest.json"
    kept = [made("ridge"), made("decode", model="other"), made("decode", device="cuda")]
    table.save([*kept, made("decode"), made("decode")], file)
    table.save([made("decode", FAILED)], file)
    assert json.loads(file.read_text()) == [*kept, made("decode", FAILED)]


def test_rows_of_before_there_were_parts_are_left_behind(tmp_path):
    file = tmp_path / "latest.json"
    file.write_text(json.dumps([{"name": "old", "ratio": 1.0, "machine": {}}]))
    table.save([made("ridge")], file)
    assert json.loads(file.read_text()) == [made("ridge")]


def test_a_line_fits_its_columns():
    text = table.line(made("decode"))
    assert text.split() == [
        "1.250",
        "1.200–1.300",
        "50.0",
        "40.0",
        "tokens/s",
        "50%",
        "≥",
        "1",
        "9",
        "decode",
        "/",
        "x",
    ]
    assert text.index("decode") == table.HEADER.index("what")


def test_a_peer_that_does_not_run_is_shown_with_its_own_error_within_the_width():
    long = "RuntimeError: " + "word " * 60
    shown = table.line(made("decode", Measurement("y", None, None, None, None, "s", "", 0, error=long)))
    assert " ".join(shown.split()).endswith(f"y: {long}".strip())
    assert max(map(len, shown.splitlines())) <= table.WIDTH
    assert shown.split()[0] == "—"
