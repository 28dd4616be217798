"""The app in a real Chromium: a server of its own, and pages that fail on an error or a request to anywhere else."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from core import paths

Made = TypeVar("Made")
HOST = "127.0.0.1"
START_SECONDS = 60
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Server:
    """A running app; `answered` is when it first did, in `perf_counter` seconds."""

    url: str
    answered: float


@contextlib.contextmanager
def serve(cache: Path | None, log: Path) -> Iterator[Server]:
    """Run the app on a free port; `cache` None is the machine's own, with whatever models it has."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    env = dict(os.environ)
    if cache is not None:
        env["TILLER_CACHE"] = str(cache)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--server.headless", "true"], cwd=paths.ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://{HOST}:{port}"
        limit = time.monotonic() + START_SECONDS
        while not _answers(f"{url}/_stcore/health"):
            assert process.poll() is None and time.monotonic() < limit, log.read_text(errors="replace")
            time.sleep(0.05)
        yield Server(url, time.perf_counter())
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def serve_made(folder: Path, make: Callable[[], Made]) -> Iterator[tuple[str, Made]]:
    """Run the app on a cache that `make` filled; gives its address and what was made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(folder / "cache"))
        paths.cache()
        made = make()
    with serve(folder / "cache", folder / "log") as running:
        yield running.url, made


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """The app on a machine without any model."""
    folder = tmp_path_factory.mktemp("server")
    with serve(folder / "cache", folder / "log") as running:
        yield running


@pytest.fixture(scope="session")
def live_server(tmp_path_factory) -> Iterator[Server]:
    """The app with this machine's own cache, so that the embedded model can answer."""
    with serve(None, tmp_path_factory.mktemp("live") / "log") as running:
        yield running


@pytest.fixture
def fresh_server(tmp_path) -> Iterator[Server]:
    """A server that nobody has visited."""
    with serve(tmp_path / "cache", tmp_path / "log") as running:
        yield running


@pytest.fixture(scope="session")
def chromium():
    """One headless browser for all tests; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium) -> Iterator[Callable]:
    """`visit(url, width, height, scheme)` opens a page; afterwards no page may have had an error or left this host."""
    faults: list[str] = []
    contexts = []

    def open_page(url: str, width: int = 1366, height: int = 768, scheme: str = "light"):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _is_fault(message) and faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: _is_elsewhere(request.url) and faults.append(f"request: {request.url}"))
        page.goto(url, wait_until="commit")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)


def _is_fault(message) -> bool:
    """An error on the console. At a deep link Streamlit looks for its server under the page's own path first."""
    probes = ("/_stcore/health", "/_stcore/host-config")
    return message.type == "error" and not message.location.get("url", "").endswith(probes)


def _is_elsewhere(url: str) -> bool:
    return urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != HOST
