"""Peers in an environment and a process of their own, which take turns with ours."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import models
from benchmarks.pairs import PeerFailed, Seconds
from core import paths, store
from core.models.loading import LoadedModel
from core.waiting import as_found

HERE = Path(__file__).parent
OURS = paths.ROOT / "requirements.txt"
NEEDED, PEERS = HERE / "requirements-peers.txt", paths.ROOT / "requirements-peers.txt"
AS_OURS = ("torch", "transformers", "psutil")
INSTALLED = ("repeng", "steering-vectors", "nnsight")
ANSWER_SECONDS = 600.0


def environment() -> Path:
    """The Python of the peers' environment in cache/peers, which is made the first time.

    Raises:
        PeerFailed: something could not be installed.
    """
    found = _made()
    if isinstance(found, str):
        raise PeerFailed(found)
    return found


@functools.cache
def _made() -> Path | str:
    """The environment's Python, or why there is none; tried once a run."""
    folder = paths.cache() / "peers"
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    files = [OURS, NEEDED, PEERS]
    wanted = store.content_hash([file.read_text(encoding="utf-8") for file in files] + [sys.version])
    made = folder / "made.txt"
    if made.is_file() and made.read_text(encoding="utf-8") == wanted and python.is_file():
        return python
    print(f"Installing the peers into {paths.shown(folder)}; this happens once.", file=sys.stderr, flush=True)
    shutil.rmtree(folder / "venv", ignore_errors=True)
    venv.create(folder / "venv", with_pip=True)
    pins = folder / "as-ours.txt"
    lines = OURS.read_text(encoding="utf-8").splitlines(keepends=True)
    pins.write_text("".join(line for line in lines if line.split("==")[0] in AS_OURS), encoding="utf-8")
    for file, how in ((NEEDED, ("-c", str(pins))), (PEERS, ("--no-deps",))):
        command = [str(python), "-m", "pip", "install", *how, "-r", str(file)]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            return f"pip could not install {file.name}; what it printed says why"
    store.write_file(made, wanted.encode())
    return python


class Worker:
    """A process that runs one of `benchmarks.worker.PROGRAMS` with its own copy of a model; started when first asked.

    Example: `with Worker("repeng", loaded) as peer: peer.ask("decode", ids=ids, tokens=48, block=20)`.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        name: str,
        device: str,
        dtype: torch.dtype,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._model = {
            "folder": str(folder),
            "id": name,
            "device": device,
            "dtype": str(dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._failed: str | None = None
        self._log = paths.cache() / "peers" / f"{program}.log"
        self.versions = ""

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        """Have one thing done and wait for it.

        Raises:
            PeerFailed: with the worker's own message.
        """
        self.start()
        return self._exchange({"do": do, **asked})

    def run(self, do: str, **asked: Any) -> Seconds:
        """`ask`, for the seconds that the worker measured."""
        return Seconds(self.ask(do, **asked)["seconds"])

    def start(self) -> None:
        """Start the process and load the model; one that failed to is not started again.

        Raises:
            PeerFailed: as `ask`.
        """
        if self._failed:
            raise PeerFailed(self._failed)
        if self._process is not None:
            return
        try:
            python = environment() if self._program in INSTALLED else Path(sys.executable)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [str(python), "-m", "benchmarks.worker", self._program],
                    cwd=paths.ROOT,
                    env={**as_found(), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **self._settings},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            told = self._exchange({"do": "load", **self._model})["versions"]
            self.versions = ", ".join(f"{package} {number}" for package, number in told.items())
        except PeerFailed as failure:
            self._failed = str(failure)
            raise

    def _exchange(self, question: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            if not waiting.select(ANSWER_SECONDS):
                self.close()
                self._failed = f"no answer within {ANSWER_SECONDS:.0f} s"
                raise PeerFailed(self._failed)
        return parse_answer(process.stdout.readline(), self._log)

    def close(self) -> None:
        """End the process and give its memory back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
            self._process = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def beside(program: str, loaded: LoadedModel, settings: Mapping[str, str] | None = None) -> Worker:
    """A worker with the very weights, device and dtype of `loaded`; `settings` go into its environment."""
    return Worker(program, models.folder_of(loaded), loaded.id, str(loaded.device), loaded.dtype, settings)


def parse_answer(line: bytes, log: Path | None = None) -> dict[str, Any]:
    """A worker's answer.

    Raises:
        PeerFailed: the worker says so, or has died, or the line is not an answer.
    """
    if not line:
        raise PeerFailed(_last_words(log) or "the process ended without a word")
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PeerFailed(f"not an answer: {line[:80]!r}")
    if "error" in found:
        raise PeerFailed(str(found["error"]))
    return found


def _last_words(log: Path | None) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log and log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def alike(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> str:
    """How far two sets of answers agree: rounding in bfloat16 makes texts part somewhere."""

    def together(pair: tuple[Sequence[int], Sequence[int]]) -> int:
        return next((place for place, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), min(map(len, pair)))

    shared: Iterator[int] = map(together, zip(one, other, strict=True))
    counts = sorted(shared)
    return f"the first {counts[len(counts) // 2]} of {len(one[0])} tokens alike (median of rows)"
