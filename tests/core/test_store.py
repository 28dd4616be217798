"""The store: whole or nothing, whatever happens to the writer."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from core import paths, scratch, store
from core.errors import DamagedArtifact, OutOfSpace
from tests.core import processes

needs_a_small_disk = pytest.mark.skipif(not processes.can_mount(), reason="this machine does not let tests mount")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

HALF_A_FILE = """
import sys, time
from pathlib import Path
from core import store

def slow(path, data):
    with path.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        print("half", flush=True)
        time.sleep(60)

Path.write_bytes = slow
store.write_file(Path(sys.argv[1]), b"new" * 1000)
"""

HALF_A_FOLDER = """
import sys, time
from pathlib import Path
from core import store

with store.new_folder(Path(sys.argv[1])) as folder:
    (folder / "a").write_bytes(b"new")
    print("half", flush=True)
    time.sleep(60)
"""

FOREVER = """
import itertools, sys
from pathlib import Path
from core import store

target = Path(sys.argv[1])
for number in itertools.count():
    data = b"%06d" % number * 500_000
    store.write_file(target / "file", data)
    if number == 0:
        print("half", flush=True)  # from now on there is something to find
    if sys.argv[2] == "files":
        continue
    with store.new_folder(target / "folder") as folder:
        (folder / "a").write_bytes(data)
        (folder / "b").write_bytes(data)
"""


def killed(script: str, target: Path, after: float = 0.0, kind: str = "") -> None:
    process = processes.start(script, target, kind, cache=paths.cache())
    assert process.stdout.readline() == "half\n"
    time.sleep(after)
    processes.kill(process)


@pytest.mark.parametrize("script", [HALF_A_FILE, HALF_A_FOLDER])
def test_a_writer_killed_half_way_leaves_nothing_where_nothing_was(tmp_path: Path, script: str) -> None:
    killed(script, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_writer_killed_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    store.write_file(tmp_path / "target", b"old")
    killed(HALF_A_FILE, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"old"


def test_a_writer_killed_half_way_leaves_the_old_folder(tmp_path: Path) -> None:
    with store.new_folder(tmp_path / "target") as folder:
        (folder / "a").write_bytes(b"old")
    killed(HALF_A_FOLDER, tmp_path / "target")
    assert (tmp_path / "target" / "a").read_bytes() == b"old"


@pytest.mark.parametrize("kind", ["files", "files and folders"])
@pytest.mark.parametrize("after", [0.05, 0.11, 0.17, 0.23])
def test_a_writer_killed_at_any_moment_leaves_whole_things(tmp_path: Path, after: float, kind: str) -> None:
    killed(FOREVER, tmp_path / "target", after, kind)
    file, folder = tmp_path / "target" / "file", tmp_path / "target" / "folder"
    found = [file.read_bytes()]
    if folder.exists():
        assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
        found += [(folder / "a").read_bytes(), (folder / "b").read_bytes()]
        assert found[1] == found[2]
    for data in found:
        assert len(data) == 3_000_000
        assert data == data[:6] * 500_000


def test_readers_never_see_a_mixture_while_a_file_is_replaced(tmp_path: Path) -> None:
    process = processes.start(FOREVER, tmp_path / "target", "files", cache=tmp_path)
    assert process.stdout.readline() == "half\n"
    seen = set()
    until = time.monotonic() + 0.5
    while time.monotonic() < until or (len(seen) < 2 and time.monotonic() < until + 20):
        if (tmp_path / "target" / "file").exists():
            data = (tmp_path / "target" / "file").read_bytes()
            assert data == data[:6] * 500_000
            seen.add(data[:6])
    processes.kill(process)
    assert len(seen) > 1


def test_a_failing_writer_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    with store.new_folder(tmp_path / "target") as folder:
        (folder / "a").write_bytes(b"old")
    with pytest.raises(KeyError), store.new_folder(tmp_path / "target") as folder:
        (folder / "a").write_bytes(b"new")
        raise KeyError("the caller's own error passes unchanged")
    assert (tmp_path / "target" / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with store.new_folder(tmp_path / "deep" / "target") as folder:
            (folder / name).touch()
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["target", "b"]


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.new_folder(tmp_path / "target") as folder:
        (folder / "a").write_bytes(b"old")
    monkeypatch.setattr(scratch, "_exchange", lambda *_: False)  # swapped in one step, there is no second one
    rename, calls = Path.rename, []

    def second_one_fails(path: Path, to: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", second_one_fails)
    with pytest.raises(OutOfSpace), store.new_folder(tmp_path / "target") as folder:
        (folder / "a").write_bytes(b"new")
    assert (tmp_path / "target" / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_while_writing_a_file_is_named_and_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store.write_file(tmp_path / "target", b"old")

    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:2])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutOfSpace, match=r"disk is full while writing target\. Free some space.*TILLER_CACHE"):
        store.write_file(tmp_path / "target", b"newer")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("target", b"old")]


def test_a_full_disk_that_refuses_even_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OutOfSpace):
        store.write_file(tmp_path / "new" / "target", b"")
    with pytest.raises(OutOfSpace), store.new_folder(tmp_path / "new" / "target"):
        pytest.fail("there is no folder to write to")


def test_other_disk_errors_pass_unchanged() -> None:
    for error in (OSError(errno.EIO, "no"), SafetensorError("header too large"), RuntimeError("other")):
        with pytest.raises(type(error)) as raised, store.disk_errors("a thing", Path("/")):
            raise error
        assert raised.value is error


def test_a_full_disk_is_recognised_in_the_words_of_safetensors() -> None:
    with pytest.raises(OutOfSpace, match="while writing weights"), store.disk_errors("weights"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


ON_A_SMALL_DISK = """
import os, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from core import store
from core.errors import OutOfSpace

disk, kind = Path(sys.argv[1]), sys.argv[2]
numbers = torch.zeros(1_000_000)
try:
    if kind == "file":
        store.write_file(disk / "target", bytes(4_000_000))
    else:
        with store.disk_errors("a checkpoint", disk), store.new_folder(disk / "target") as folder:
            save_file({"a": numbers}, folder / "a") if kind == "safetensors" else torch.save(numbers, folder / "a")
except OutOfSpace as error:
    print(error, os.listdir(disk))
"""


@needs_a_small_disk
@pytest.mark.parametrize("kind", ["file", "safetensors", "torch"])
def test_a_disk_that_is_really_full_is_named_and_left_empty(tmp_path: Path, kind: str) -> None:
    (tmp_path / "disk").mkdir()
    process = processes.start(ON_A_SMALL_DISK, tmp_path / "disk", kind, cache=tmp_path, disk=(tmp_path / "disk", 1500))
    said = processes.finish(process)
    assert said.startswith("The disk is full while writing")
    assert said.endswith("[]\n")


def test_space_is_asked_for_before_a_long_write(tmp_path: Path) -> None:
    store.require_space(tmp_path, 1, "A byte")
    with pytest.raises(OutOfSpace, match=r"A model needs 1000000000\.0 GB of disk and .* GB are free"):
        store.require_space(tmp_path, 10**18, "A model")


COUNT = """
import sys, time
from pathlib import Path
from core import store

counter = Path(sys.argv[1])
for _ in range(15):
    with store.writer_lock(counter):
        number = int(counter.read_text())
        time.sleep(0.002)
        counter.write_text(str(number + 1))
"""


def test_a_lock_lets_one_process_write_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    for process in [processes.start(COUNT, counter, cache=tmp_path) for _ in range(3)]:
        processes.finish(process)
    assert counter.read_text() == "45"


HOLD = """
import sys, time
from pathlib import Path
from core import store

with store.writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    process = processes.start(HOLD, tmp_path / "target", cache=tmp_path)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(filelock.Timeout), store.writer_lock(tmp_path / "target", 0):
        pytest.fail("the other process holds it")
    with store.writer_lock(tmp_path / "another", 0):
        pass
    processes.kill(process)
    with store.writer_lock(tmp_path / "target", 5):
        pass


@given(st.dictionaries(st.text(), JSON, min_size=2, max_size=6), st.randoms())
def test_the_hash_does_not_depend_on_the_order_of_keys(value: dict, random) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert store.content_hash({key: value[key] for key in keys}) == store.content_hash(value)


@given(JSON, JSON)
def test_hashes_are_equal_exactly_where_the_json_is(left: object, right: object) -> None:
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (store.content_hash(left) == store.content_hash(right)) == same


@given(JSON)
def test_the_hash_survives_being_written_and_read(value: object) -> None:
    assert store.content_hash(json.loads(json.dumps(value))) == store.content_hash(value)


def test_tuples_and_lists_hash_alike() -> None:
    assert store.content_hash({"blocks": (1, 2)}) == store.content_hash({"blocks": [1, 2]})


def test_the_hash_is_the_same_in_another_process(tmp_path: Path) -> None:
    script = "from core.store import content_hash\nprint(content_hash({'b': [1.5, None], 'a': 'é\\u2028'}))"
    out = processes.finish(processes.start(script, cache=tmp_path))
    assert out.strip() == store.content_hash({"a": "é\u2028", "b": [1.5, None]})


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert store.file_sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(value=JSON)
def test_json_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    store.write_json(path, value)
    assert store.read_json(path) == value


@pytest.mark.parametrize(
    "data",
    [b"", b'{"a": 1', b"\xff\xfe{}", b"[" * 100_000, b"[" + b"9" * 5000 + b"]", b"{} {}"],
    ids=["empty", "cut", "not UTF-8", "deep", "a number of 5000 digits", "two values"],
)
def test_damaged_json_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "record.json").write_bytes(data)
    with pytest.raises(DamagedArtifact, match=r"record\.json is not readable JSON .*Delete it and make it again"):
        store.read_json(tmp_path / "record.json")
