"""Files that a user brings in: kept in the cache, so that a job can read them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import paths, store
from core.data.chat import read_prompts
from core.errors import BadInput


def save_upload(kind: str, name: str, data: bytes) -> Path:
    """An uploaded file in the cache, in a folder named by the hash of its content."""
    target = paths.cache() / "uploads" / kind / hashlib.sha256(data).hexdigest()[:16] / paths.safe_name(name)
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
