"""Whether a model fits into the memory of this machine, and what it costs to have it. Nothing here imports torch."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import Literal

import psutil

from core.models.spec import ModelSpec
from core.words import size

NVIDIA = ("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits")
SECONDS = 5.0


def free() -> tuple[Literal["GPU", "machine"], int]:
    """Where models are loaded by default, and the bytes free there: on the first NVIDIA GPU, else in main memory."""
    if shutil.which(NVIDIA[0]):
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError, IndexError):
            told = subprocess.run(NVIDIA, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
            return "GPU", int(told.splitlines()[0]) << 20
    return "machine", psutil.virtual_memory().available


def fits(spec: ModelSpec, free_bytes: int) -> bool | None:
    """Whether generating with the model takes no more than is free; None while its size is unknown."""
    return None if spec.memory_bytes is None else spec.memory_bytes <= free_bytes


def cost(spec: ModelSpec) -> str:
    """What to know before a model is fetched, in a sentence: download, licence, access, memory."""
    much = spec.download_bytes
    parts = ["A download of unknown size" if much is None else f"{size(much)} to download", f"licence: {spec.licence}"]
    if spec.gated:
        parts.append("gated: accept the licence on its page and set HF_TOKEN")
    if spec.memory_bytes is not None:
        where, there = free()
        place = "on this GPU" if where == "GPU" else "on this machine"
        short = "" if fits(spec, there) else "more than the "
        parts.append(f"needs about {size(spec.memory_bytes)} of memory, {short}{size(there)} free {place}")
    return "; ".join(parts) + "."
