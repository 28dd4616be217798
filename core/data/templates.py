"""Chat templates are programs that strangers wrote: one may loop for ever, or write a text without end.

What a model brings is rendered in a process of its own, under a limit of time, length and memory, so that whoever asks
gets an answer or a sentence in bounded time. Templates out of files that are pinned by checksum, as those of the
embedded models are, need none of this.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from core import paths
from core.errors import BadInput

SECONDS = 5.0
START_SECONDS = 60.0  # until the process can render: it imports transformers, and the machine may be busy
MOST_CHARACTERS = 2_000_000
MOST_BYTES = 1_000_000_000  # beyond what the process has when it begins


class TemplateOverrun(BadInput):
    """A chat template did not come to an end in time."""


_trusted: set[str] = set()


def trust(template: str) -> None:
    """Let a template run where it is needed: for those out of files that are pinned by checksum."""
    _trusted.add(_hash(template))


def is_trusted(template: str) -> bool:
    return _hash(template) in _trusted


def render(template: str, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> str:
    """The chat as `template` writes it, as transformers renders it (`apply_chat_template`).

    Args:
        variables: what the template can read besides `messages`, such as `add_generation_prompt`.

    Raises:
        TemplateOverrun: it ran too long. It is refused at once from then on, for as long as this process lives.
        BadInput: it refuses this chat, or writes too much.
    """
    return _process.render(template, messages, variables)


def prepare(template: str) -> None:
    """Start the process for a template that needs it, in the background."""
    if not is_trusted(template):
        threading.Thread(target=_process.start, name="chat templates", daemon=True).start()


class _Renderer:
    """The process, started when first needed and again after it had to be ended; one text at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._overran: set[str] = set()

    def start(self) -> None:
        with self._lock:
            self._started()

    def render(self, template: str, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> str:
        with self._lock:
            if _hash(template) in self._overran:
                raise _overrun()
            request = json.dumps({"template": template, "messages": list(messages), "variables": dict(variables)})
            try:
                running = self._started()
                assert running.stdin is not None
                running.stdin.write(request + "\n")
                running.stdin.flush()
                answer = json.loads(self._next(SECONDS))
            except queue.Empty:
                self.end()
                self._overran.add(_hash(template))
                raise _overrun() from None
            except (OSError, ValueError) as error:  # it died, of too little memory for instance
                self.end()
                raise _refused("the process that renders it ended") from error
            except BaseException:
                self.end()  # its answer would be taken for the next one's
                raise
        if "error" in answer:
            raise _refused(answer["error"])
        return answer["text"]

    def end(self) -> None:
        """Kill the process."""
        running, self._running = self._running, None
        if running is not None:
            running.kill()
            running.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._running is None or self._running.poll() is not None:
            self.end()
            self._lines = queue.SimpleQueue()
            self._running = subprocess.Popen(
                [sys.executable, "-m", "core.data.template_process", str(MOST_CHARACTERS), str(MOST_BYTES)],
                cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                encoding="utf-8", start_new_session=True,
            )  # fmt: skip
            reading = threading.Thread(target=_read, args=(self._running, self._lines), daemon=True)
            reading.start()
            try:
                self._next(START_SECONDS)
            except queue.Empty:
                self.end()
                raise BadInput(
                    "The process that renders chat templates did not start. The machine may be very busy; try again."
                ) from None
        return self._running

    def _next(self, seconds: float) -> str:
        return self._lines.get(timeout=seconds)


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Its lines, and an empty one at their end."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def _overrun() -> TemplateOverrun:
    return TemplateOverrun(
        f"The model's chat template ran longer than {SECONDS:g} s and was stopped. Correct the template in the model's "
        "folder, or use another model."
    )


def _refused(reason: str) -> BadInput:
    return BadInput(
        f"The model's chat template refuses this chat ({reason}). Remove the system message or use another model."
    )


def _hash(template: str) -> str:
    return hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()


_process = _Renderer()
atexit.register(_process.end)
