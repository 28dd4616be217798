"""The app answers a browser that came by its own names: another site's name (DNS rebinding) opens no session."""

from __future__ import annotations

import base64
import http.client
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import serve

EVIL = "evil.example"


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("hosts")
    with serve(folder / "cache", folder / "log") as running:
        yield urlsplit(running.url).port or 0


def status(port: int, host: str, origin: str | None) -> int:
    """What the server says to a browser that wants to open a session: 101 where it may."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {"Host": host, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    origins = {"Origin": origin} if origin else {}
    asked.request("GET", "/_stcore/stream", headers={**headers, "Sec-WebSocket-Key": key, **origins})
    answer = asked.getresponse()
    asked.close()
    return answer.status


def body(port: int, host: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked.request(method, path, headers={"Host": host})
    answer = asked.getresponse()
    found = answer.status, answer.read()
    asked.close()
    return found


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_a_browser_on_this_machine_opens_a_session_with_and_without_the_port(port, name):
    assert status(port, f"{name}:{port}", f"http://{name}:{port}") == 101
    assert status(port, name, f"http://{name}") == 101


@pytest.mark.parametrize(
    "name", [EVIL, f"localhost.{EVIL}", f"127.0.0.1.{EVIL}", f"user@{EVIL}", f"localhost@{EVIL}", "192.168.0.7", "*"]
)
def test_another_sites_name_for_this_machine_opens_no_session(port, name):
    for host in (name, f"{name}:{port}"):
        assert status(port, host, f"http://{host}") == 403
        assert status(port, host, None) == 403


def test_another_sites_page_opens_no_session_under_our_own_name(port):
    assert status(port, f"127.0.0.1:{port}", f"http://{EVIL}") == 403
    assert status(port, f"127.0.0.1:{port}", "null") == 403


def test_without_a_session_another_sites_name_gets_the_same_frame_for_every_link_and_nothing_else(port):
    plain = body(port, EVIL, "/")
    assert b"<title>Streamlit</title>" in plain[1] and b"Tiller" not in plain[1]
    assert body(port, EVIL, "/Steer?model=%2Fetc") == body(port, EVIL, "/Runs") == plain
    assert body(port, EVIL, "/_stcore/health") == (200, b"ok")
    assert body(port, EVIL, "/_stcore/upload_file/a/b", "PUT")[0] in (400, 403)
    assert body(port, EVIL, "/media/0.csv")[0] == 404


def test_another_name_is_allowed_by_the_variable_that_the_readme_names(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", f"localhost {EVIL}")
    with serve(tmp_path / "cache", tmp_path / "log") as running:
        there = urlsplit(running.url).port or 0
        assert status(there, EVIL, f"http://{EVIL}") == 101
        assert status(there, f"other.{EVIL}", f"http://other.{EVIL}") == 403
