"""Fetch models in a thread, so that a page can show how far it is, stop it, and be left. No torch until it converts."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from core.errors import TillerError
from core.models import sources
from core.models.catalog import ModelSpec
from core.models.download import FetchProgress, Report, Stopped

END_SECONDS = 30.0
log = logging.getLogger(__name__)

Fetcher = Callable[[ModelSpec, Report, threading.Event], object]


@dataclass(eq=False)
class Fetching:
    """One fetch. Pages read it while its thread writes; `error` is one sentence and an action."""

    spec: ModelSpec
    state: Literal["running", "done", "stopped", "failed"] = "running"
    progress: FetchProgress | None = None
    error: str | None = None
    started: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    _first: tuple[float, int] | None = None

    @property
    def over(self) -> bool:
        return self.state != "running"

    @property
    def share(self) -> float | None:
        """How much of the download is here, from 0 to 1; None while that is unknown or something else goes on."""
        now = self.progress
        if now is None or now.stage != "downloading" or not now.total_bytes:
            return None
        return min(1.0, now.done_bytes / now.total_bytes)

    @property
    def bytes_per_second(self) -> float | None:
        """Since the first bytes of this fetch; what an earlier one had left does not count."""
        if self._first is None or self.progress is None:
            return None
        seconds = time.monotonic() - self._first[0]
        got = self.progress.done_bytes - self._first[1]
        return got / seconds if seconds > 0.5 and got > 0 else None

    @property
    def seconds_left(self) -> float | None:
        now, rate = self.progress, self.bytes_per_second
        if self.share is None or rate is None or now is None or now.total_bytes is None:
            return None
        return max(0, now.total_bytes - now.done_bytes) / rate

    def report(self, progress: FetchProgress) -> None:
        """Take in where the fetch stands."""
        if progress.stage == "downloading" and self._first is None:
            self._first = (time.monotonic(), progress.done_bytes)
        self.progress = progress


class FetchThread:
    """At most one fetch at a time in this process.

    Args:
        fetch: `core.models.sources.fetch`, or one like it.
    """

    def __init__(self, fetch: Fetcher = sources.fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self.current: Fetching | None = None
        self._thread: threading.Thread | None = None

    def start(self, spec: ModelSpec) -> Fetching:
        """Begin to fetch `spec` and return at once; while a fetch runs, that one is returned."""
        with self._lock:
            if self.current is None or self.current.over:
                self.current = Fetching(spec)
                self._thread = threading.Thread(target=self._work, args=(self.current,), name="fetch", daemon=True)
                self._thread.start()
                # the process would be aborted if it ended while this thread is inside torch
                atexit.unregister(self._end)
                atexit.register(self._end)
            return self.current

    def stop(self) -> None:
        """Ask the running fetch to end; what has arrived stays for the next one. Harmless where none runs."""
        if self.current is not None:
            self.current.stop.set()

    def _end(self) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _work(self, job: Fetching) -> None:
        try:
            self._fetch(job.spec, job.report, job.stop)
            job.state = "done"
        except Stopped:
            job.state = "stopped"
        except TillerError as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:  # the page shows it, the log has all of it
            log.exception("a fetch failed")
            job.error = f"Fetching {job.spec.id} failed ({type(error).__name__}). Try again; the log has the details."
            job.state = "failed"
