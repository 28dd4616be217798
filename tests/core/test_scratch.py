"""What a killed writer leaves: gone at the next start, the old version back, and nothing touched that is not ours."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from core import paths, results, scratch, store
from core.organisms import library
from tests.core import processes

HALF = """
import sys, time
from pathlib import Path
from core import store

target = Path(sys.argv[1])
if sys.argv[2] == "file":
    def half(path, data):
        with path.open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            print("half", flush=True)
            time.sleep(60)
            file.write(data[len(data) // 2 :])
    Path.write_bytes = half
    store.write_file(target, b"new" * 1000)
else:
    with store.new_folder(target) as folder:
        (folder / "a").write_bytes(b"new")
        print("half", flush=True)
        time.sleep(60)
"""

# stops between the two renames that replace a folder where the disk cannot swap two
BETWEEN = """
import sys, time
from pathlib import Path
from core import store
try:
    from core import scratch
    scratch._exchange = lambda *_: False
except ImportError:
    pass

rename, target = Path.rename, Path(sys.argv[1])

def slow(path, to):
    if Path(to) == target:
        print("between", flush=True)
        time.sleep(60)
    return rename(path, to)

Path.rename = slow
with store.new_folder(target) as folder:
    (folder / "a").write_bytes(b"new")
"""

AGAIN_AND_AGAIN = """
import itertools, sys
from pathlib import Path
from core import store

for number in itertools.count():
    with store.new_folder(Path(sys.argv[1])) as folder:
        (folder / "a").write_bytes(b"%d" % number)
    if number == 0:
        print("first", flush=True)
"""

needs_locks = pytest.mark.skipif(scratch.fcntl is None, reason="this system locks no folders, so age alone decides")


def killed(script: str, target: Path, kind: str = "folder") -> None:
    process = processes.start(script, target, kind, cache=paths.cache())
    assert process.stdout.readline() in ("half\n", "between\n"), process.stderr.read()
    processes.kill(process)


def ours(folder: Path) -> list[Path]:
    """Half-made things, wherever they lie under the folder."""
    return sorted(folder.rglob(f"{scratch.TEMPORARY}*"))


def old_at(target: Path) -> Path:
    with store.new_folder(target) as folder:
        (folder / "a").write_bytes(b"old")
    return target


def aged(path: Path, seconds: float) -> Path:
    for each in (*path.rglob("*"), path):
        os.utime(each, (time.time() - seconds,) * 2)
    return path


@needs_locks
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("place", ["models/one", "studies/spillover/key", "cells/ab/cell.json", "top"])
def test_what_a_killed_writer_left_in_the_cache_is_gone_after_the_next_start(kind: str, place: str) -> None:
    killed(HALF, paths.cache() / place, kind)
    assert ours(paths.cache())
    scratch.clean()
    assert [path for path in paths.cache().rglob("*") if path.name.startswith(".")] == []


@needs_locks
def test_the_next_writer_sweeps_its_part_of_the_cache_too() -> None:
    killed(HALF, paths.cache() / "cells" / "ab" / "one.json", "file")
    store.write_file(paths.cache() / "cells" / "cd" / "other.json", b"")
    assert ours(paths.cache()) == []


@needs_locks
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_living_writer_makes_is_never_swept_however_long_it_takes(kind: str) -> None:
    target = paths.cache() / "models" / "one"
    process = processes.start(HALF.replace("sleep(60)", "sleep(1)"), target, kind, cache=paths.cache())
    assert process.stdout.readline() == "half\n"
    aged(target.parent / scratch.TEMPORARY, 10 * scratch.STALE_AFTER_SECONDS)
    scratch.clean()
    store.write_file(target.parent / "other", b"")
    assert ours(paths.cache())
    processes.finish(process)
    assert (target if kind == "file" else target / "a").read_bytes().startswith(b"new")
    assert ours(paths.cache()) == []


@needs_locks
def test_what_another_machine_wrote_is_swept_after_a_day_without_a_change_and_not_before(monkeypatch) -> None:
    killed(HALF, paths.cache() / "models" / "one")
    monkeypatch.setattr(scratch, "_machine", lambda: "another")
    (left,) = (paths.cache() / "models" / scratch.TEMPORARY).iterdir()
    aged(left, scratch.STALE_AFTER_SECONDS - 60)
    scratch.clean()
    assert left.exists()
    aged(left, scratch.STALE_AFTER_SECONDS + 60)
    (left / "new" / "a").touch()  # something is still written there
    scratch.clean()
    assert left.exists()
    aged(left, scratch.STALE_AFTER_SECONDS + 60)
    scratch.clean()
    assert not left.exists()


def test_where_nothing_can_be_locked_age_decides(monkeypatch) -> None:
    killed(HALF, paths.cache() / "models" / "one")
    monkeypatch.setattr(scratch, "fcntl", None)
    (left,) = (paths.cache() / "models" / scratch.TEMPORARY).iterdir()
    scratch.clean()
    assert left.exists()
    aged(left, scratch.STALE_AFTER_SECONDS + 60)
    scratch.clean()
    assert not left.exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_nothing_of_the_users_is_swept_from_their_own_folder(tmp_path: Path, kind: str) -> None:
    mine = [tmp_path / ".tmp-old", tmp_path / ".tiller-tmp-notes", tmp_path / "mine"]
    for folder in mine:
        folder.mkdir()
        (folder / "work").write_text("weeks of it")
    (tmp_path / ".tmp-file").write_text("and more")
    aged(tmp_path, 10 * scratch.STALE_AFTER_SECONDS)
    store.write_file(tmp_path / "x.gguf", b"new") if kind == "file" else old_at(tmp_path / "x.gguf")
    scratch.clean()
    assert all((folder / "work").read_text() == "weeks of it" for folder in mine)
    assert (tmp_path / ".tmp-file").read_text() == "and more"


def test_the_users_own_files_in_the_cache_stay() -> None:
    mine = paths.cache() / "models" / ".tmp-mine"
    mine.parent.mkdir()
    mine.write_text("kept")
    aged(mine, 10 * scratch.STALE_AFTER_SECONDS)
    scratch.clean()
    store.write_file(mine.parent / "other", b"")
    assert mine.read_text() == "kept"


@needs_locks
def test_in_a_users_folder_only_the_next_writer_of_the_same_target_sweeps(tmp_path: Path) -> None:
    killed(HALF, tmp_path / "x.gguf", "file")
    (left,) = ours(tmp_path)
    scratch.clean()
    store.write_file(tmp_path / "another.gguf", b"new")
    assert ours(tmp_path) == [left]
    store.write_file(tmp_path / "x.gguf", b"new")
    assert ours(tmp_path) == []


@pytest.mark.parametrize("inside", [True, False])
def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path, inside: bool) -> None:
    target = old_at((paths.cache() / "studies" / "kind" if inside else tmp_path) / "key")
    killed(BETWEEN, target)
    if inside:
        scratch.clean()
    else:  # in folders of others, the next writer puts it back, even if it then fails
        with pytest.raises(KeyError), store.new_folder(target):
            raise KeyError
    assert (target / "a").read_bytes() == b"old"
    assert ours(paths.cache()) == ours(tmp_path) == []


def test_a_kill_between_two_renames_is_mended_by_the_next_writer_without_a_start() -> None:
    target = old_at(paths.cache() / "studies" / "kind" / "key")
    killed(BETWEEN, target)
    with store.new_folder(target) as folder:
        assert (target / "a").read_bytes() == b"old"
        (folder / "b").write_bytes(b"newer")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert ours(paths.cache()) == []


def test_what_was_moved_away_does_not_come_back_over_something_newer() -> None:
    target = old_at(paths.cache() / "studies" / "kind" / "key")
    killed(BETWEEN, target)
    target.mkdir()
    (target / "a").write_bytes(b"newest")
    scratch.clean()
    assert (target / "a").read_bytes() == b"newest"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux swaps two folders in one step here")
def test_a_folder_that_is_replaced_is_there_at_every_moment(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    if not scratch._exchange(one, other):
        pytest.skip("this disk cannot swap two folders")
    target = tmp_path / "target"
    process = processes.start(AGAIN_AND_AGAIN, target, cache=paths.cache())
    assert process.stdout.readline() == "first\n"
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert target.exists()
    processes.kill(process)


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_either_way_a_replaced_folder_is_whole_readable_for_all_and_alone(tmp_path, monkeypatch, inside, swaps) -> None:
    if not swaps:
        monkeypatch.setattr(scratch, "_exchange", lambda *_: False)
    root = paths.cache() / "models" if inside else tmp_path
    target = old_at(root / "target")
    with store.new_folder(target) as folder:
        (folder / "b").write_bytes(b"new")
    assert [str(path.relative_to(root)) for path in root.rglob("*")] == ["target", "target/b"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_part_of_the_cache_may_be_a_link_to_another_folder(tmp_path: Path, monkeypatch) -> None:
    (paths.cache() / "models").symlink_to(tmp_path)
    target = paths.cache() / "models" / "one"
    old_at(target)
    monkeypatch.setattr(scratch, "_exchange", lambda *_: False)
    old_at(target)
    assert [path.name for path in tmp_path.rglob("*")] == ["one", "a"]
    killed(BETWEEN, target)
    scratch.clean()
    assert (target / "a").read_bytes() == b"old"


def test_a_target_that_leaves_the_cache_by_its_parent_is_not_taken_for_the_caches(tmp_path: Path) -> None:
    with scratch.folder_for(paths.cache() / ".." / "elsewhere" / "x") as folder:
        assert folder.parent.name == "elsewhere"


def test_what_is_half_made_is_on_no_list() -> None:
    with store.new_folder(paths.cache() / "organisms" / "model" / "mine") as folder:
        manifest = {"name": "mine", "model": "model", "sha256": "0"}
        (folder / library.MANIFEST).write_text(json.dumps(manifest))
        assert library.organisms("model") == []
    assert [organism.name for organism in library.organisms("model")] == ["mine"]
    with store.new_folder(paths.cache() / "studies" / "kind" / "key") as folder:
        (folder / results.SUMMARY).write_text("{}")
        assert "key" not in [place.folder.name for place in results.places() if not place.shipped]


def test_a_start_where_nothing_was_made_or_may_be_read_is_no_failure(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path / "not" / "there"))
    scratch.clean()
    (tmp_path / "file").touch()
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path / "file"))
    scratch.clean()
