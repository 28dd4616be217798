"""How much of the disk Tiller uses, and for what."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from core import paths

PARTS = (
    "models",
    "downloads",
    "organisms",
    "runs",
    "directions",
    "studies",
    "cells",
    "activations",
    "maps",
    "jobs",
    "datasets",
    "reports",
    "uploads",
)


def used() -> dict[str, int]:
    """Bytes of each part of the cache (`PARTS`, then `other`), without looking into any file.

    Where a part is a link to another disk, what lies there counts; links further down do not.
    """
    found = dict.fromkeys((*PARTS, "other"), 0)
    with os.scandir(paths.cache()) as entries:
        for entry in entries:
            part = entry.name if entry.name in found else "other"
            found[part] += size(Path(entry.path))
    return found


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what vanishes meanwhile counts nothing."""
    if not path.is_dir():
        with contextlib.suppress(OSError):
            return path.stat().st_size
        return 0
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 — thousands of files
    return total


def free() -> int:
    """Bytes that are free on the cache's disk."""
    return shutil.disk_usage(paths.cache()).free
