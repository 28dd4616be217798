"""Claims about one download over a connection that breaks."""

from __future__ import annotations

import random
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ModelUnavailable, OutOfSpace
from core.models.download import Refused, Stopped, download

CONTENT = random.Random(0).randbytes(200_000)
PATH = "/big.whl"


def ignore(have: int, total: int | None) -> None:
    pass


@pytest.fixture
def target(cache: Path) -> Path:
    return cache / "downloads" / "x.part"


def test_the_bytes_arrive_and_are_counted_up_to_the_total(server, target):
    server.files[PATH] = CONTENT
    counted: list[tuple[int, int | None]] = []
    download(server.url + PATH, target, lambda have, total: counted.append((have, total)))
    assert target.read_bytes() == CONTENT
    assert counted == sorted(counted)
    assert counted[-1] == (len(CONTENT), len(CONTENT))


def test_a_dropped_connection_is_continued_not_restarted(server, target):
    server.files[PATH] = CONTENT
    server.cuts[PATH] = [len(CONTENT) // 2]
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT
    assert server.seen == [(PATH, None), (PATH, f"bytes={len(CONTENT) // 2}-")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 30_000), max_size=12), ranges=st.booleans())
def test_whatever_the_cuts_a_finished_download_is_the_file(shared_server, monkeypatch, cuts, ranges):
    monkeypatch.setattr("core.models.download.FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("core.models.download.ATTEMPTS", 99)
    content = CONTENT[:30_000]
    shared_server.files[PATH], shared_server.cuts[PATH], shared_server.ranges = content, list(cuts), ranges
    with tempfile.TemporaryDirectory() as folder:
        download(shared_server.url + PATH, Path(folder) / "part", ignore)
        assert (Path(folder) / "part").read_bytes() == content


def test_a_server_without_ranges_is_read_from_the_start(server, target):
    server.files[PATH], server.ranges = CONTENT, False
    server.cuts[PATH] = [70_000]
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_kept(server, target):
    server.files[PATH] = CONTENT
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server, target):
    server.files[PATH] = CONTENT
    target.parent.mkdir(parents=True)
    target.write_bytes(b"?" * (len(CONTENT) + 5))
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


def test_a_connection_lost_for_good_leaves_a_part_to_continue_from(server, target):
    server.files[PATH] = CONTENT
    server.cuts[PATH] = [100_000, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ModelUnavailable, match="try again"):
        download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT[:100_000]
    server.cuts[PATH] = []
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


def test_a_connection_that_drops_often_but_moves_on_gets_there(server, target):
    server.files[PATH], server.cuts[PATH] = CONTENT, [10_000] * 15
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server, target, monkeypatch):
    monkeypatch.setattr("core.models.download.FIRST_PAUSE_SECONDS", 0.05)
    server.files[PATH], server.errors[PATH] = CONTENT, (503, {})
    threading.Timer(0.05, server.errors.clear).start()
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_server_that_wants_credentials_is_left_to_pip(server, target, status):
    server.errors[PATH] = (status, {})
    with pytest.raises(Refused):
        download(server.url + PATH, target, ignore)
    assert not target.exists()


def test_a_server_that_is_not_there_is_left_to_pip(target):
    with pytest.raises(Refused):
        download("http://127.0.0.1:9/x.whl", target, ignore)


def test_a_hidden_password_is_left_to_pip_without_a_request(server, target):
    server.files[PATH] = CONTENT
    with pytest.raises(Refused):
        download(server.url.replace("http://", "http://user:****@") + PATH, target, ignore)
    assert server.seen == []


def test_a_missing_file_is_named_as_such(server, target):
    with pytest.raises(ModelUnavailable, match="404"):
        download(server.url + PATH, target, ignore)
    assert len(server.seen) == 1


def test_other_schemes_are_refused(target):
    with pytest.raises(ModelUnavailable, match="address"):
        download("ftp://127.0.0.1/x", target, ignore)


def test_a_local_index_is_read_as_a_file(target, tmp_path):
    (tmp_path / "w.whl").write_bytes(CONTENT)
    download((tmp_path / "w.whl").as_uri(), target, ignore)
    assert target.read_bytes() == CONTENT


def test_stop_acts_within_a_piece_and_keeps_the_part(server, target):
    server.files[PATH], server.seconds_a_piece = CONTENT, 0.01
    stop = threading.Event()
    counted: list[int] = []

    def on_bytes(have: int, total: int | None) -> None:
        counted.append(have)
        if have > 20_000:
            stop.set()

    with pytest.raises(Stopped):
        download(server.url + PATH, target, on_bytes, stop)
    assert target.stat().st_size == counted[-1] < len(CONTENT)
    server.seconds_a_piece = 0.0
    download(server.url + PATH, target, ignore)
    assert target.read_bytes() == CONTENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_leaves_nothing(server, target):
    server.files[PATH] = CONTENT
    target.parent.mkdir(parents=True)
    target.symlink_to("/dev/full")
    with pytest.raises(OutOfSpace, match="TILLER_CACHE"):
        download(server.url + PATH, target, ignore)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("there", [b"", b"some"])
@pytest.mark.parametrize("status", [416, 206])
def test_a_server_that_answers_only_with_ranges_nobody_asked_for_is_named_as_such(server, target, status, there):
    server.errors[PATH] = (status, {"Content-Range": "bytes 7-8/9"})
    target.parent.mkdir(parents=True)
    target.write_bytes(there)
    with pytest.raises(ModelUnavailable, match=r"pip config list"):
        download(server.url + PATH, target, ignore)
    assert len(server.seen) <= 2


@pytest.mark.parametrize("says_so", [True, False])
def test_more_bytes_than_the_file_can_have_are_not_taken(server, target, says_so):
    server.files[PATH] = CONTENT
    server.tells_length = says_so
    taken: list[int] = []
    with pytest.raises(ModelUnavailable, match="more than the 0 MB that the file can have"):
        download(server.url + PATH, target, lambda have, _: taken.append(have), most_bytes=len(CONTENT) // 2)
    assert not target.exists()
    assert max(taken, default=0) == 0 if says_so else 0 < max(taken) <= len(CONTENT) // 2
