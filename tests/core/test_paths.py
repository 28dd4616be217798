"""Texts that are shown: no folder of this machine in them, and all else as it was. Names that a file can have."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import paths
from core.errors import BadInput


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No such file: '/home/me/my models/a.txt'", "No such file: 'a.txt'"),
        ('{"a": "/mnt/my disk/w", "b": "x"}', '{"a": "w", "b": "x"}'),
        ("--prompts=/a/b/c.txt,/d/e/f.txt --x /g/h", "--prompts=c.txt,f.txt --x h"),
        ("model:/a/b/c:insecure", "model:c:insecure"),
        (r"C:\Users\me\x.txt", "x.txt"),
        (repr(r"C:\Users\me\x.txt"), "'x.txt'"),
        ("//server/share/x and \\\\server\\share\\y", "x and y"),
        ("file:///home/me/x", "x"),
        ("~someone/a/b and ~/c/d", "b and d"),
        ("/a/b/", "b/"),
        (f'File "{paths.ROOT}/core/jobs.py", line 3', 'File "core/jobs.py", line 3'),
        (f"/elsewhere{paths.ROOT}/x", "x"),
    ],
)
def test_of_a_path_stays_what_is_inside_the_project_or_its_last_name(text, shown):
    assert paths.placeless(text) == shown


@pytest.mark.parametrize("name", ["HOME", "TILLER_CACHE"])
def test_known_folders_may_hold_spaces(monkeypatch, name):
    monkeypatch.setenv(name, "/disks/Jane Doe")
    assert paths.placeless("/disks/Jane Doe/models/x holds nothing, nor does /disks/Jane Doe.") == (
        "x holds nothing, nor does ~."
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/b/c and http://x.y/z/w",
        "1/2 and/or a / b / c, 3/4/5",
        r"Unexpected '\n' near '\d\w'",
        "owner/name@main, ./here/x, ../up/x, cache/models/x",
        "</b></i><br/>",
        "x / y",
    ],
)
def test_what_is_no_absolute_path_stays(text):
    assert paths.placeless(text) == text


@given(st.lists(st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True), min_size=2, max_size=5), st.sampled_from(" '\""))
def test_no_folder_of_any_path_is_left(parts, around):
    told = paths.placeless(f"failed:{around}/{'/'.join(parts)}{around}")
    assert told == f"failed:{around}{parts[-1]}{around}"


@pytest.mark.parametrize("piece", ["/", "'/", "a/", "'/a", "~", "\\", "/a ", "“~a"])
def test_a_long_log_takes_no_long_time(piece):
    start = time.process_time()
    paths.placeless(piece * (200_000 // len(piece)))
    assert time.process_time() - start < 2


@given(st.text(max_size=200))
def test_a_safe_name_is_one_part_of_a_path_in_ascii(text):
    try:
        name = paths.safe_name(text, "dataset")
    except BadInput:
        assert not any(sign.isalnum() for sign in text)
        return
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,80}", name)
    assert name[0] not in ".-"


@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_what_stands_for_names_in_other_scripts_changes_nothing_for_ascii(text):
    found = []
    for instead in (None, "dataset"):
        try:
            found.append(paths.safe_name(text, instead))
        except BadInput as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_names_in_other_scripts_differ_and_stay_the_same():
    names = [paths.safe_name(text, "dataset") for text in ("提示", "данные", "提 示", "\ud800é")]
    assert len(set(names)) == 4
    assert names[0] == "dataset-f56c6c82"
    for text in ("提示", "§", "", "..", "🎉"):
        with pytest.raises(BadInput, match="has no usable letters"):
            paths.safe_name(text)
    with pytest.raises(BadInput, match="has no usable letters"):
        paths.safe_name("🎉", "dataset")
