"""Processes of this machine by number and birth: a number alone may belong to another one by now."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

Birth = str | float

_STARTED = 22 - 3  # of the fields that /proc/PID/stat has behind the name, the first of which is its third


def born(pid: int) -> Birth:
    """What tells a process from others that have its number before or after it.

    On Linux the boot of the machine and the clock ticks from it to the process's start: setting the clock moves
    neither. Elsewhere when it began, in seconds since 1970, which some systems reckon from the clock.
    """
    return _ticks(pid) or psutil.Process(pid).create_time()


def is_alive(pid: int, born: Birth) -> bool:
    """Whether that very process still works; one that nobody has taken leave of yet does not."""
    with contextlib.suppress(psutil.Error):
        return _same(process := psutil.Process(pid), born) and process.status() != psutil.STATUS_ZOMBIE
    return False


def end(pid: int, born: Birth, patience: float) -> None:
    """End that very process and all that it started: politely, and after `patience` seconds by force."""
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(pid)
        if not _same(first, born):
            return
        family = [*first.children(recursive=True), first]
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        for process in psutil.wait_procs(family, patience)[1]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def _same(process: psutil.Process, born: Birth) -> bool:
    if isinstance(born, str):
        return _ticks(process.pid) == born
    return abs(process.create_time() - born) < 1  # also what Linux was asked for once


def _ticks(pid: int) -> str | None:
    """`BOOT:TICKS`; None where the system does not tell, or there is no such process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        behind_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        return f"{boot}:{behind_name.split()[_STARTED]}"
    except (OSError, IndexError):
        return None
