"""One engine a process: jobs of rows, first in first out, with visible positions and a stop.

Importing this costs nothing: torch is imported by the worker with its first job.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from core.errors import TillerError
from core.generation.rows import BASE, Answer, Row
from core.models.catalog import resolve

if TYPE_CHECKING:
    from core.generation.prefill import PromptCache
    from core.models.loading import LoadedModel

State = Literal["queued", "loading", "running", "done", "stopped", "failed"]
OVER: frozenset[str] = frozenset({"done", "stopped", "failed"})
JOBS_KEPT = 100
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """Rows to generate on a model. Pages read it while the engine's worker writes; times are `perf_counter` seconds."""

    model: str
    rows: tuple[Row, ...]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = "queued"
    message: str = ""
    error: str | None = None
    answers: list[Answer] = field(default_factory=list)
    submitted: float = field(default_factory=time.perf_counter)
    started: float | None = None
    first_token: float | None = None
    finished: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers = [Answer(row) for row in self.rows]

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def tokens(self) -> int:
        return sum(len(answer.tokens) for answer in self.answers)

    @property
    def seconds_to_first_token(self) -> float | None:
        """From the click to the first token, waiting and loading included."""
        return None if self.first_token is None else self.first_token - self.submitted

    @property
    def tokens_per_second(self) -> float | None:
        """Over all rows, from the first token on."""
        if self.first_token is None or self.tokens <= len(self.rows):
            return None
        end = self.finished or time.perf_counter()
        return (self.tokens - len(self.rows)) / max(end - self.first_token, 1e-9)


class Engine:
    """Runs jobs one after the other in a thread of its own and keeps one model in memory.

    Args:
        load: makes a `LoadedModel` of a model id; by default `core.models.loading.load`.
    """

    def __init__(self, load: Callable[[str], LoadedModel] | None = None) -> None:
        self._load = load
        self._queue: deque[Job] = deque()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._running: Job | None = None
        self._wake = threading.Condition()
        self._loaded: LoadedModel | None = None
        self._adapters: dict[str, Any] = {}
        self._prompts: PromptCache | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()
        # a thread that is still inside torch when Python goes away aborts the whole process
        atexit.register(self.close)

    def submit(self, model: str, rows: tuple[Row, ...]) -> Job:
        """Queue rows; an empty tuple only loads the model, so that a later job starts at once."""
        job = Job(model, rows)
        with self._wake:
            self._queue.append(job)
            self._jobs[job.id] = job
            finished = [key for key, old in self._jobs.items() if old.over]
            for key in finished[: max(0, len(self._jobs) - JOBS_KEPT)]:
                del self._jobs[key]
            self._wake.notify()
        return job

    def job(self, identity: str | None) -> Job | None:
        """A job by id, while the engine still remembers it."""
        return self._jobs.get(identity) if identity else None

    def position(self, job: Job) -> int:
        """0 while it runs or is over, else how many jobs are before it, the running one included."""
        with self._wake:
            if job not in self._queue:
                return 0
            return list(self._queue).index(job) + (self._running is not None)

    def stop(self, job: Job) -> None:
        """End a job within a token; what it has generated is kept. Stopping twice is harmless."""
        with self._wake:
            job.stop.set()
            if job in self._queue:
                self._queue.remove(job)
                self._end(job, "stopped")

    @property
    def model(self) -> str | None:
        """Id of the model in memory."""
        return self._loaded.id if self._loaded else None

    def close(self) -> None:
        """Stop everything and let the model go; at the process's end, such as after Ctrl-C, this happens by itself."""
        atexit.unregister(self.close)
        with self._wake:
            self._closed = True
            for job in self._queue:
                self._end(job, "stopped")
            self._queue.clear()
            if self._running:
                self._running.stop.set()
            self._wake.notify()
        self._thread.join(timeout=30)
        self._release()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._running = None
                while not self._queue and not self._closed:
                    self._wake.wait()
                if self._closed:
                    return
                job = self._running = self._queue.popleft()
            try:
                self._run(job)
                whole = bool(job.rows) and all(answer.reason in ("end", "length") for answer in job.answers)
                self._end(job, "stopped" if job.stop.is_set() and not whole else "done")
            except TillerError as error:
                self._end(job, "failed", str(error))
            except Exception as error:  # the worker must outlive any fault; the page shows it, the log has all of it
                log.exception("a generation failed")
                self._end(job, "failed", _explain(error))

    def _run(self, job: Job) -> None:
        from core.directions import library
        from core.generation.decode import decode
        from core.generation.prefill import PromptCache

        job.state, job.started = "loading", time.perf_counter()
        loaded = self._ready(job)
        if job.stop.is_set():
            return
        references = {item.direction for row in job.rows for item in row.interventions}
        references |= {row.reading.direction for row in job.rows if row.reading}
        directions = library.resolve(references)
        adapters = {row.adapter: self._adapter(row.adapter) for row in job.rows if row.adapter != BASE}
        job.state, job.message = "running", ""
        self._prompts = self._prompts or PromptCache()
        start = time.perf_counter()
        with contextlib.closing(decode(loaded, job.rows, adapters, directions, job.stop, self._prompts)) as events:
            for event in events:
                now = time.perf_counter()
                if job.first_token is None:
                    job.first_token = now
                job.answers[event.row].add(event, now - start)

    def _ready(self, job: Job) -> LoadedModel:
        if self._loaded is None or self._loaded.id != resolve(job.model).id:
            job.message = f"Loading {job.model}"
            self._release()
            if self._load is None:
                from core.models.loading import load

                self._load = load
            self._loaded = self._load(job.model)
        return self._loaded

    def _adapter(self, name: str):
        from core.organisms.adapters import load_adapter
        from core.organisms.library import find_organism

        assert self._loaded is not None
        organism = find_organism(self._loaded.id, name)
        if organism.sha256 not in self._adapters:
            self._adapters[organism.sha256] = load_adapter(self._loaded, organism.folder, organism.name)
        return self._adapters[organism.sha256]

    def _release(self) -> None:
        if self._loaded is None:
            return
        self._loaded = self._prompts = None
        self._adapters.clear()
        from core.models.loading import release

        release()

    @staticmethod
    def _end(job: Job, state: State, error: str | None = None) -> None:
        job.error, job.finished = error, time.perf_counter()
        for answer in job.answers:
            if answer.reason is None and state == "stopped":
                answer.reason = "stopped"
        job.state = state


def _explain(error: Exception) -> str:
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return "There is not enough memory for this. Ask for fewer rows or tokens, or choose a smaller model."
    return f"Generating failed ({type(error).__name__}: {str(error)[:200]}). Try again; the log has the details."
