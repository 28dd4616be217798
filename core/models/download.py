"""Download one file so that a dropped connection costs only what was on the wire."""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from core import store
from core.errors import ModelUnavailable, OutOfSpace, TillerError

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 20.0
MOST_BYTES = 20_000_000_000  # of a file whose size nobody told
ATTEMPTS = 5  # in a row that bring not one new byte
FIRST_PAUSE_SECONDS = 0.5

Stage = Literal["resolving", "downloading", "verifying", "converting", "ready"]


@dataclass(frozen=True)
class FetchProgress:
    """Where a fetch stands. `total_bytes` is None until it is known."""

    stage: Stage
    done_bytes: int
    total_bytes: int | None
    message: str


Report = Callable[[FetchProgress], None]


class Stopped(TillerError):
    """The user asked to stop: neither success nor a fault."""


class Refused(Exception):
    """The server does not answer us, but may answer pip, which knows the user's credentials and proxies."""


class _TooLong(ModelUnavailable):
    """The server sends more than the file can have."""


class _Dropped(Exception):
    """The transfer ended early; what has arrived is good."""


def check(stop: threading.Event | None) -> None:
    """Raise `Stopped` once the user has asked for it."""
    if stop is not None and stop.is_set():
        raise Stopped("The download was stopped. Start it again to continue where it was.")


def download(
    url: str,
    target: Path,
    on_bytes: Callable[[int, int | None], None],
    stop: threading.Event | None = None,
    most_bytes: int = MOST_BYTES,
) -> None:
    """Complete `target` from `url` (http, https or file), continuing after the bytes it already holds.

    `on_bytes(have, total)` is called after each piece; `total` is None where the server does not say. A dropped
    connection is tried again with growing pauses. Left behind: the part that arrived, after a dropped connection
    or a stop; nothing, after a full disk or more than `most_bytes`. Raises `Refused`,
    `ModelUnavailable`, `OutOfSpace` or `Stopped`.
    """
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise ModelUnavailable("pip named an address that is not a web or file address. Check pip's index settings.")
    if "@" in urlsplit(url).netloc:
        raise Refused  # pip hides the password in what it reports
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(target)
        try:
            return _continue(url, target, on_bytes, stop, most_bytes)
        except _Dropped as error:
            failures = 1 if _size(target) > before else failures + 1
            if failures >= ATTEMPTS:
                have = _size(target)
                if not have:
                    raise Refused from error
                raise ModelUnavailable(
                    f"The connection was lost after {have / 1e6:.0f} MB. Check the network and try again; the download "
                    "continues from there."
                ) from error
            _pause(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), stop)
        except (OutOfSpace, _TooLong):
            target.unlink(missing_ok=True)
            raise


def _continue(
    url: str,
    target: Path,
    on_bytes: Callable[[int, int | None], None],
    stop: threading.Event | None,
    most_bytes: int,
) -> None:
    """One connection: append to `target` until the body ends. Raises `_Dropped` if it ends early."""
    check(stop)
    have = _size(target)
    response, start, total = _open(url, have)
    if response is None:
        return
    if (total or 0) > most_bytes:
        response.close()
        raise _TooLong(_too_long(most_bytes))
    with response, store.disk_errors("a download"), target.open("ab") as stream:
        if start != have:
            # The server ignored the range: begin again rather than splice two things together.
            stream.truncate(0)
            have = 0
        while True:
            check(stop)
            try:
                piece = response.read1(CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise _Dropped from error
            if not piece:
                break
            if have + len(piece) > most_bytes:
                raise _TooLong(_too_long(most_bytes))
            stream.write(piece)
            have += len(piece)
            on_bytes(have, total)
    if total is not None and have < total:
        raise _Dropped


def _open(url: str, offset: int) -> tuple[Any, int, int | None]:
    """(response, first byte it sends, size of the whole file); response None if nothing is left to send."""
    headers = {"User-Agent": "tiller", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:  # what is here is the whole file, or of another one
            return (None, offset, offset) if _whole(error.headers) == offset else _open(url, 0)
        if error.code in (401, 403, 407):
            raise Refused from error
        if error.code == 429 or error.code >= 500:
            raise _Dropped from error
        raise ModelUnavailable(
            f"The server answered {error.code} to the address that pip gave. Try again later, or check pip's index "
            "settings with `pip config list`."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped from error
    length = response.headers.get("Content-Length")
    if response.status == 206:
        first = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if first is not None and int(first[1]) == offset:
            return response, offset, _whole(response.headers)
        response.close()
        if not offset:
            raise ModelUnavailable(
                "The server sends a part of the file although all of it was asked for. Try again later, or check pip's "
                "index settings with `pip config list`."
            )
        return _open(url, 0)
    return response, 0, int(length) if length else None


def _whole(headers: Any) -> int | None:
    """The size of the whole file from `Content-Range: bytes 5-9/10` or `bytes */10`."""
    match = re.search(r"/(\d+)\s*$", headers.get("Content-Range") or "")
    return int(match[1]) if match else None


def _too_long(most_bytes: int) -> str:
    return (
        f"The server sends more than the {most_bytes / 1e6:,.0f} MB that the file can have, so the download was "
        "stopped and deleted. Check pip's index settings with `pip config list`."
    )


def _pause(seconds: float, stop: threading.Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        check(stop)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
