"""The app in a real Chromium against a bare Streamlit page served the same way: first and later visits, a click."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pairs import Measurement, PeerFailed, Seconds, interleaved
from core import paths
from core.generation import saved
from core.models.loading import LoadedModel

HOST = "127.0.0.1"
START_SECONDS = 90
BARE = 'import streamlit as st\n\nst.title("Bare")\n'
HEADING = "h1:visible"
FIGURE = ".js-plotly-plot .main-svg"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PEER = "bare Streamlit page"
COLD = f"first visit of a new server / {PEER}"
# name: path of the page, and what must be in sight
VISITS = {
    f"Overview / {PEER}": ("", HEADING),
    f"Steer / {PEER}": ("Steer", "textarea:visible"),
    f"store hit: Separation's figures / {PEER}": ("Separation", FIGURE),
}
CLICK = f"saved example on Steer / {PEER}"


def measure(_: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file, or one that says why there is no browser to measure with."""
    n = max(3, n // 2)
    with contextlib.ExitStack() as open_things:
        try:
            browser = open_things.enter_context(_chromium())
        except PeerFailed as failure:
            for name in (COLD, *VISITS, CLICK):
                yield Measurement(name, None, None, None, None, "s", "not set", 0, error=str(failure))
            return
        bare_file = Path(open_things.enter_context(tempfile.TemporaryDirectory())) / "bare.py"
        bare_file.write_text(BARE, encoding="utf-8")
        yield from _measured(browser, paths.ROOT / "app.py", bare_file, n)


def _measured(browser: Any, app_file: Path, bare_file: Path, n: int) -> Iterator[Measurement]:
    about: dict[str, Any] = {"versions": f"Chromium {browser.version}"}
    yield interleaved(
        COLD,
        lambda: _cold(browser, app_file),
        lambda: _cold(browser, bare_file),
        "not set",
        3,
        note="from the start of the server's process to the heading of the Overview",
        **about,
    )
    with _served(app_file) as app, _served(bare_file) as bare:
        for name, (page, sight) in VISITS.items():
            yield interleaved(
                name,
                partial(_visit, browser, f"{app}/{page}", sight),
                lambda: _visit(browser, bare, HEADING),
                "not set",
                n,
                note="a new visitor of a running server, from navigation to sight",
                **about,
            )
        yield interleaved(
            CLICK,
            lambda: _click(browser, f"{app}/Steer"),
            lambda: _visit(browser, bare, HEADING),
            "not set",
            n,
            note="from the click on its entry to its text; the peer's visit as above",
            **about,
        )


def _visit(browser: Any, url: str, sight: str) -> Seconds:
    """A visitor without a cache: seconds from navigation until `sight` (a selector) is in view."""
    with _page(browser) as page:
        start = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.locator(sight).first.wait_for()
        return Seconds(time.perf_counter() - start)


def _cold(browser: Any, file: Path) -> Seconds:
    start = time.perf_counter()
    with _served(file) as url, _page(browser) as page:
        page.goto(url, wait_until="commit")
        page.locator(HEADING).first.wait_for()
        return Seconds(time.perf_counter() - start)


def _click(browser: Any, url: str) -> Seconds:
    """Seconds from the click on the last saved example in the list until it is said to be shown."""
    example = list(saved.examples())[-1]
    with _page(browser) as page:
        page.goto(url, wait_until="commit")
        page.get_by_role("combobox", name="Saved examples and presets").click()
        option = page.get_by_role("option").filter(has_text=example.title).filter(has_text="saved answers")
        option.wait_for()
        start = time.perf_counter()
        option.click()
        page.locator(".made", has_text=f"“{example.title}”").wait_for()
        return Seconds(time.perf_counter() - start)


@contextlib.contextmanager
def _page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    try:
        yield context.new_page()
    finally:
        context.close()


@contextlib.contextmanager
def _chromium() -> Iterator[Any]:
    """A headless browser: the one on this machine, or playwright's own."""
    try:
        from playwright import sync_api

        driver = sync_api.sync_playwright().start()
    except ImportError as error:
        raise PeerFailed(f"ImportError: {error}") from error
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        yield _or_failed(lambda: driver.chromium.launch(executable_path=path, args=FLAGS), sync_api.Error)
    finally:
        driver.stop()


def _or_failed(launch: Callable[[], Any], kind: type[Exception]) -> Any:
    try:
        return launch()
    except kind as error:
        raise PeerFailed(str(error).strip().splitlines()[0]) from error


@contextlib.contextmanager
def _served(file: Path) -> Iterator[str]:
    """The address of a Streamlit server of its own, once it answers."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    settings = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(file), *settings],
        cwd=paths.ROOT,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://{HOST}:{port}"
    limit = time.monotonic() + START_SECONDS
    try:
        while not _answers(f"{url}/_stcore/health"):
            if process.poll() is not None or time.monotonic() > limit:
                raise PeerFailed(f"the server of {file.name} does not answer")
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
