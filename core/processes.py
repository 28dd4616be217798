"""Processes of this machine by number and birth: a number alone may belong to another one by now."""

from __future__ import annotations

import contextlib

import psutil


def born(pid: int) -> float:
    """When a process began, in seconds."""
    return psutil.Process(pid).create_time()


def is_alive(pid: int, born: float) -> bool:
    """Whether that very process still works; one that nobody has taken leave of yet does not."""
    with contextlib.suppress(psutil.Error):
        return _same(process := psutil.Process(pid), born) and process.status() != psutil.STATUS_ZOMBIE
    return False


def end(pid: int, born: float, patience: float) -> None:
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


def _same(process: psutil.Process, born: float) -> bool:
    return abs(process.create_time() - born) < 1
