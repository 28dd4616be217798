"""Where things lie. `TILLER_CACHE` moves everything made at run time to another disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

from core.errors import BadInput

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"


def cache() -> Path:
    """The folder for everything made at run time (created when asked for)."""
    folder = Path(os.environ.get("TILLER_CACHE") or ROOT / "cache").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def safe_name(text: str) -> str:
    """`text` as a single path component: no separators, no leading dot, at most 80 characters."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80]
    if not name:
        raise BadInput(f"{text!r} has no usable letters for a file name. Choose another name.")
    return name


def shown(path: Path) -> str:
    """`path` relative to the project when it lies inside, for messages and provenance."""
    try:
        return str(path.resolve().relative_to(ROOT))
    except ValueError:
        return path.name
