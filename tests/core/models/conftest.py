"""A local web server that can misbehave on request, and wheels for it to serve."""

from __future__ import annotations

import contextlib
import http.server
import io
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PIECE = 4096


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `files` by path. `cuts[path]` holds, for each coming request, after how many bytes to hang up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.errors: dict[str, tuple[int, dict[str, str]]] = {}
        self.cuts: dict[str, list[int]] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.ranges = True
        self.tells_length = True
        self.seconds_a_piece = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        asked = self.headers.get("Range")
        if with_body:
            self.server.seen.append((path, asked))
        status, headers = self.server.errors.get(path, (200 if path in self.server.files else 404, {}))
        data = self.server.files.get(path, b"") if status == 200 else b""
        start = 0
        if status == 200 and asked and self.server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            status = 206 if start < len(data) else 416
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            if status == 416:
                headers = {"Content-Range": f"bytes */{len(data)}"}
        body = data[start:] if status != 416 else b""
        self.send_response(status)
        for name, value in {**headers, **self.server.headers.get(path, {})}.items():
            self.send_header(name, value)
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.close_connection = True
        self.end_headers()
        if with_body:
            cuts = self.server.cuts.get(path)
            self._send(body, cuts.pop(0) if cuts else len(body))

    def _send(self, body: bytes, limit: int) -> None:
        with contextlib.suppress(ConnectionError):
            for first in range(0, min(limit, len(body)), PIECE):
                self.wfile.write(body[first : min(first + PIECE, limit)])
                time.sleep(self.server.seconds_a_piece)
        if limit < len(body):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def running_server() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FileServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, and no waiting between attempts."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TILLER_CACHE", str(folder))
    monkeypatch.setattr("core.models.download.FIRST_PAUSE_SECONDS", 0.0)
    return folder


@pytest.fixture
def make_wheel():
    """`make_wheel(name, version, {path: bytes})`: the bytes of a wheel that pip accepts."""

    def make(name: str, version: str, members: dict[str, bytes]) -> bytes:
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        texts = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": "",
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for path, data in {**members, **{path: text.encode() for path, text in texts.items()}}.items():
                archive.writestr(zipfile.ZipInfo(path), data)
        return buffer.getvalue()

    return make


@pytest.fixture
def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source of packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder
