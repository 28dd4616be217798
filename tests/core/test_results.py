"""Results of studies: found again by key, whole or set aside, never half."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import paths, results, store
from core.errors import BadInput, DamagedArtifact
from core.results import ARRAYS, SUMMARY, find_result, save_result
from tests.core import processes

KIND = "trial"
ARRAYS_OF = {"model/base": np.arange(6, dtype=np.float32).reshape(2, 3), "threshold": np.array([0.5], np.float32)}


def summary(when: str = "2026-01-02T03:04:05+00:00", **more) -> dict:
    return {"blocks": [{"block": 0, "share": 0.5}], "provenance": {"time": when}, **more}


def made(key: str = "a", **more) -> results.Result:
    return save_result(KIND, key, summary(**more), ARRAYS_OF)


def aside(folder: Path) -> Path:
    return folder.with_name(f".damaged-{folder.name}")


@pytest.fixture
def assets(monkeypatch, tmp_path) -> Path:
    """A place for shipped results that are not the real ones."""
    monkeypatch.setattr(paths, "ASSETS", tmp_path)
    return tmp_path


def test_a_result_is_found_again_by_its_key_with_equal_numbers():
    made("a", n=3)
    made("b", n=4)
    found = find_result(KIND, "a")
    assert found is not None and (found.key, found.kind, found.shipped) == ("a", KIND, False)
    assert found.summary["n"] == 3
    assert found.summary["blocks"] == summary()["blocks"]
    assert found.arrays.keys() == ARRAYS_OF.keys()
    for name, values in ARRAYS_OF.items():
        assert found.arrays[name].dtype == values.dtype
        np.testing.assert_array_equal(found.arrays[name], values)


def test_what_was_not_saved_is_not_found():
    assert find_result(KIND, "a") is None
    made("a")
    assert find_result(KIND, "b") is None
    assert find_result("another kind", "a") is None


def test_a_result_saved_again_takes_the_place_of_the_old_one():
    made("a", n=1)
    made("a", n=2)
    assert [item.summary["n"] for item in results.results(KIND)] == [2]


def test_results_are_listed_shipped_first_then_the_newest_first(assets):
    for number in (1, 3, 2):
        made(f"key {number}", when=f"2026-01-0{number}")
    save_result(KIND, "shipped", summary("2020-01-01"), ARRAYS_OF, name="by-name")
    assert [item.key for item in results.results(KIND)] == ["shipped", "key 3", "key 2", "key 1"]
    assert [item.shipped for item in results.results(KIND)] == [True, False, False, False]
    assert (assets / "precomputed" / KIND / "by-name" / SUMMARY).is_file()


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_are_kept_to_six_digits_and_what_is_no_number_becomes_null(tmp_path_factory, value):
    """JSON has no NaN: a browser would refuse the whole file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.getbasetemp() / "numbers"))
        found = save_result(KIND, "a", summary(plain=value, deep=[{"x": (np.float64(value),)}]), {}).summary
        text = (results._made_here(KIND) / "a" / SUMMARY).read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} was written"))
    assert found["deep"] == [{"x": [found["plain"]]}]
    if np.isfinite(value):
        assert found["plain"] == pytest.approx(value, rel=1e-5)
    else:
        assert found["plain"] is None


def test_arrays_of_numpy_become_lists_in_the_summary_and_integers_stay_whole():
    found = made(values=np.array([[1.0, np.nan]]), count=np.int64(12_345_678), flag=True).summary
    assert (found["values"], found["count"], found["flag"]) == ([[1.0, None]], 12_345_678, True)


def flip(path: Path) -> None:
    """Change one byte near the end."""
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def edit(path: Path) -> None:
    """Still JSON, but another number."""
    path.write_text(path.read_text().replace('"share": 0.5', '"share": 0.9'))


def wipe(path: Path) -> None:
    path.write_bytes(b"")


def put(text: str):
    return lambda path: path.write_text(text)


DAMAGE = {
    "a truncated summary": (SUMMARY, truncate),
    "an edited summary": (SUMMARY, edit),
    "an empty summary": (SUMMARY, wipe),
    "a summary that is a list": (SUMMARY, put("[1, 2]")),
    "a summary that is a number": (SUMMARY, put("3")),
    "a summary of nothing": (SUMMARY, put("{}")),
    "a changed byte of the arrays": (ARRAYS, flip),
    "truncated arrays": (ARRAYS, truncate),
    "no arrays": (ARRAYS, Path.unlink),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_is_set_aside_whole_and_the_others_stay(damage, caplog):
    kept, broken = made("kept"), made("broken")
    name, harm = DAMAGE[damage]
    harm(broken.folder / name)
    before = {path.name: path.read_bytes() for path in broken.folder.iterdir()}
    with caplog.at_level(logging.WARNING):
        assert find_result(KIND, "broken") is None
    assert not broken.folder.exists()
    assert {path.name: path.read_bytes() for path in aside(broken.folder).iterdir()} == before
    assert "left out a damaged result" in caplog.text
    assert [item.key for item in results.results(KIND)] == ["kept"]
    assert find_result(KIND, "kept").folder == kept.folder


def test_after_damage_the_same_key_can_be_saved_again_and_damaged_again():
    for number in range(2):
        folder = made("a", n=number).folder
        assert find_result(KIND, "a").summary["n"] == number
        flip(folder / ARRAYS)
        assert find_result(KIND, "a") is None
    assert store.read_json(aside(folder) / SUMMARY)["n"] == 1


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_shipped_results_are_left_where_they_are_and_not_used(damage, assets):
    broken = save_result(KIND, "a", summary(), ARRAYS_OF, name="shipped")
    name, harm = DAMAGE[damage]
    harm(broken.folder / name)
    assert find_result(KIND, "a") is None
    assert broken.folder.is_dir() and not aside(broken.folder).exists()
    made("a")
    assert find_result(KIND, "a").shipped is False


def test_arrays_that_were_changed_after_a_look_are_named_as_damaged():
    found = made()
    flip(found.folder / ARRAYS)
    with pytest.raises(DamagedArtifact, match=r"is not what was saved.*Delete its folder"):
        _ = found.arrays


def test_a_result_that_another_process_set_aside_first_is_no_failure():
    broken = made()
    error = DamagedArtifact("damaged")
    results._set_aside(broken.folder, error)
    results._set_aside(broken.folder, error)
    assert aside(broken.folder).is_dir()


HALF = """
import sys, time
import numpy as np
from core import results

def slow(*_):
    print("half", flush=True)
    time.sleep(60)

results.store.write_json = slow
results.save_result("trial", "a", {"n": 2, "provenance": {}}, {"x": np.full(1000, 2.0)})
"""

FOREVER = """
import itertools
import numpy as np
from core import results

print("half", flush=True)
for number in itertools.count(2):
    results.save_result("trial", "a", {"n": number, "provenance": {}}, {"x": np.full(100_000, float(number))})
"""


def killed(script: str, after: float = 0.0) -> None:
    process = processes.start(script, cache=paths.cache())
    assert process.stdout.readline() == "half\n"
    time.sleep(after)
    processes.kill(process)


def numbered(number: int) -> None:
    save_result(KIND, "a", {"n": number, "provenance": {}}, {"x": np.full(1000, float(number))})


@pytest.mark.parametrize("old", [False, True])
def test_a_writer_killed_between_arrays_and_summary_leaves_the_old_result_or_none(old):
    if old:
        numbered(1)
    killed(HALF)
    found = find_result(KIND, "a")
    assert (found is not None) == old
    assert not old or (found.summary["n"] == 1 and set(found.arrays["x"]) == {1.0})
    numbered(3)
    assert find_result(KIND, "a").summary["n"] == 3


@pytest.mark.parametrize("after", [0.03, 0.08, 0.13, 0.21])
def test_a_writer_killed_at_any_moment_leaves_a_whole_result_or_none(after):
    killed(FOREVER, after)
    found = find_result(KIND, "a")
    assert found is None or set(found.arrays["x"]) == {float(found.summary["n"])}
    assert not list(results._made_here(KIND).glob(".damaged-*"))


def test_a_reader_beside_a_writer_sees_whole_results_and_sets_none_aside():
    process = processes.start(FOREVER, cache=paths.cache())
    assert process.stdout.readline() == "half\n"
    seen = set()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        found = find_result(KIND, "a")
        if found is not None:
            assert set(found.arrays["x"]) == {float(found.summary["n"])}
            seen.add(found.summary["n"])
    processes.kill(process)
    assert len(seen) > 3
    assert not list(results._made_here(KIND).glob(".damaged-*"))


def test_places_of_every_kind_are_listed_unread(assets):
    save_result("one kind", "a", summary(), ARRAYS_OF)
    time.sleep(0.01)
    made("b")
    save_result(KIND, "shipped", summary(), ARRAYS_OF, name="by-name")
    (made("c").folder / SUMMARY).write_text("{")
    aside(made("d").folder).mkdir()
    found = results.places()
    assert {(place.kind, place.folder.name, place.shipped) for place in found} == {
        ("one kind", "a", False), (KIND, "b", False), (KIND, "by-name", True), (KIND, "c", False), (KIND, "d", False),
    }  # fmt: skip
    assert [place.changed for place in found] == sorted((place.changed for place in found), reverse=True)
    by_name = {place.folder.name: place for place in found}
    assert by_name["b"].read().summary["blocks"] == summary()["blocks"]
    with pytest.raises(DamagedArtifact):
        by_name["c"].read()
    save_result(KIND, "b", summary(n=2), ARRAYS_OF)
    assert by_name["b"] not in results.places(), "another result lies there now"


def test_a_deleted_result_is_gone_deleting_twice_is_harmless_and_a_shipped_one_stays(assets):
    kept, gone = made("kept"), made("gone")
    results.delete_result(gone)
    results.delete_result(gone)
    assert not gone.folder.exists()
    assert [item.key for item in results.results(KIND)] == [kept.key]
    shipped = save_result(KIND, "shipped", summary(), ARRAYS_OF, name="by-name")
    with pytest.raises(BadInput, match="came with Tiller"):
        results.delete_result(shipped)
    assert (shipped.folder / SUMMARY).is_file()
