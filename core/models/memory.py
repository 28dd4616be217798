"""Whether a model fits into the memory of this machine, and what it costs to have it. Nothing here imports torch."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import psutil

from core.models.spec import WORKING_BYTES, FolderSource, ModelSpec
from core.words import size

NVIDIA = ("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits")
SECONDS = 5.0
CPU = Path("/proc/cpuinfo")
AVX512 = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})


def free() -> tuple[Literal["GPU", "machine"], int]:
    """Where models are loaded by default, and the bytes free there: on the first NVIDIA GPU, else in main memory."""
    if shutil.which(NVIDIA[0]):
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError, IndexError):
            told = subprocess.run(NVIDIA, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
            return "GPU", int(told.splitlines()[0]) << 20
    return "machine", psutil.virtual_memory().available


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether this machine's processor has what oneDNN asks for before it multiplies bfloat16, as Linux tells it.

    Where it has not, `loading.default_dtype` is float32. True where the system does not say.
    """
    with contextlib.suppress(OSError):
        for line in CPU.read_text().splitlines():
            if line.startswith("flags"):
                return AVX512.issubset(line.split())
    return True


def needed(spec: ModelSpec) -> int | None:
    """Memory that generating with the model takes here, in bytes: twice the weights where those are float32."""
    if spec.memory_bytes is None or multiplies_bfloat16() or shutil.which(NVIDIA[0]):
        return spec.memory_bytes
    return 2 * spec.memory_bytes - WORKING_BYTES


def fits(spec: ModelSpec, free_bytes: int) -> bool | None:
    """Whether generating with the model takes no more than is free; None while its size is unknown."""
    much = needed(spec)
    return None if much is None else much <= free_bytes


def cost(spec: ModelSpec) -> str:
    """What to know before a model is fetched, in a sentence: download, licence, access, memory."""
    much = spec.download_bytes
    parts = ["A download of unknown size" if much is None else f"{size(much)} to download", f"licence: {spec.licence}"]
    if spec.gated:
        parts.append("gated: accept the licence on its page and set HF_TOKEN")
    if isinstance(spec.source, FolderSource) and not spec.instruct:
        parts.append("no chat template, so prompts are written as User: and Assistant: lines")
    if (memory := needed(spec)) is not None:
        where, there = free()
        place = "on this GPU" if where == "GPU" else "on this machine"
        short = "" if fits(spec, there) else "more than the "
        parts.append(f"needs about {size(memory)} of memory, {short}{size(there)} free {place}")
    return "; ".join(parts) + "."
