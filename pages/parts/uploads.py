"""Files that a user brings in: kept in the cache, so that a job can read them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import paths, store
from core.data.reading import read_prompts
from core.errors import BadInput


def save_upload(kind: str, name: str, data: bytes) -> Path:
    """An uploaded file in the cache, in a folder named by the hash of its content."""
    target = paths.cache() / "uploads" / kind / hashlib.sha256(data).hexdigest()[:16] / _file_name(name)
    if not target.exists():
        store.write_file(target, data)
    return target


def save_prompts(upload: UploadedFile | None, instead: str) -> str:
    """Where an uploaded file of prompts lies, once it is known to be readable.

    Args:
        instead: what else could be taken, for the error.

    Raises:
        BadInput: nothing was uploaded, or it holds no prompts.
    """
    if upload is None:
        raise BadInput(f"No prompts were chosen. Choose a file, or take the {instead}.")
    path = save_upload("prompts", upload.name, upload.getvalue())
    read_prompts(path)
    return str(path)


def _file_name(name: str) -> str:
    """A safe name that keeps the ending, by which a file's kind is known, of a long name and in any script."""
    stem, dot, ending = name.rpartition(".")
    stem, ending = (stem, re.sub(r"[^A-Za-z0-9]", "", ending)[:12]) if dot else (name, "")
    try:
        stem = paths.safe_name(stem)[:60]
    except BadInput:
        stem = "upload"
    return f"{stem}.{ending}" if ending else stem
