"""Other processes for tests: Python scripts that can be killed, and a disk small enough to fill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(script: str, *arguments: object, cache: Path, disk: tuple[Path, int] | None = None) -> subprocess.Popen[str]:
    """A new Python process that runs `script` from the project's folder, with one computing thread.

    Args:
        arguments: its `sys.argv[1:]`.
        cache: its `TILLER_CACHE`.
        disk: a folder, and how many kilobytes a disk mounted on it (for that process alone) should hold.
    """
    command = [sys.executable, "-c", script, *map(str, arguments)]
    if disk:
        mount = f'mount -t tmpfs -o size={disk[1]}k tmpfs "$0" && exec "$@"'
        command = ["unshare", "-rm", "sh", "-c", mount, str(disk[0]), *command]
    settings = {"TILLER_CACHE": str(cache), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 120) -> str:
    """Standard output of a process that must end well."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 0, err[-2000:]
    return out


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, and make sure that it was the signal that ended the process."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL


def can_mount() -> bool:
    """Whether this machine lets an unprivileged process mount a disk of its own."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return tried.returncode == 0


def copy_cache(source: Path, target: Path, without: tuple[str, ...]) -> None:
    """The cache folder of a run that has not begun: all of `source` but the parts named."""
    shutil.copytree(source, target, ignore=lambda folder, names: without if Path(folder) == source else ())
