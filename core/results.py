"""Saved results of studies: a summary, arrays and a table, found again by the hash of everything they depend on.

Shipped ones lie in `assets/precomputed`, those made here in the cache. Nothing here imports torch. A damaged
result is set aside and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core import paths, scratch, store
from core.errors import BadInput, DamagedArtifact
from core.kept import Kept

SUMMARY, ARRAYS, TABLE = "summary.json", "arrays.safetensors", "table.parquet"
DIGITS = 6

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Result:
    """What a study found: `summary` is plain data; `arrays` and `table` lie beside it and are read when asked for."""

    kind: str
    key: str
    folder: Path
    shipped: bool
    summary: dict[str, Any] = field(repr=False)

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Named arrays.

        Raises:
            DamagedArtifact: the file is missing or is not what was saved.
        """
        return self._read(ARRAYS, load)

    @cached_property
    def table(self) -> pd.DataFrame | None:
        """One row an answer, where the study saved its answers.

        Raises:
            DamagedArtifact: the file is missing or is not what was saved.
        """
        if "table_sha256" not in self.summary:
            return None
        import pandas as pd

        return self._read(TABLE, lambda data: pd.read_parquet(io.BytesIO(data)))

    def _read(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        path = self.folder / name
        try:
            data = path.read_bytes()  # once: a writer may put another file in its place at any moment
            if hashlib.sha256(data).hexdigest() != self.summary[f"{path.stem}_sha256"]:
                raise ValueError("it is not what was saved")
            return parse(data)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise DamagedArtifact(f"{paths.shown(path)} cannot be read ({error}). Delete its folder.") from error


def save_result(
    kind: str,
    key: str,
    summary: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    name: str | None = None,
    table: pd.DataFrame | None = None,
) -> Result:
    """Write a result whole or not at all.

    Args:
        key: the hash it is found by.
        name: of its folder among the shipped results; without it, the result goes to the cache under its key.
        table: one row an answer, saved as Parquet.
    """
    shipped = name is not None
    folder = paths.ASSETS / "precomputed" / kind / name if name is not None else _made_here(kind) / key
    data = save({part: np.ascontiguousarray(values) for part, values in sorted(arrays.items())})
    with store.new_folder(folder) as made:
        (made / ARRAYS).write_bytes(data)
        body = {**_rounded(dict(summary)), "key": key, "arrays_sha256": store.file_sha256(made / ARRAYS)}
        if table is not None:
            table.to_parquet(made / TABLE, compression="zstd", index=False)
            body["table_sha256"] = store.file_sha256(made / TABLE)
        store.write_json(made / SUMMARY, {**body, "checksum": store.content_hash(body)})
    return _read(kind, folder, shipped)


def find_result(
    kind: str, key: str, fingerprint: str | None = None, fits: Callable[[Result], bool] | None = None
) -> Result | None:
    """The result of that key, shipped or made here; None where there is none, or it was damaged and is set aside.

    Args:
        fingerprint: only a result of exactly these weights; None takes any.
        fits: only a result of which this is true, where one fingerprint does not say it.
    """
    for result in results(kind):
        same = fingerprint in (None, result.summary["provenance"].get("fingerprint"))
        if result.key == key and same and (fits is None or fits(result)):
            try:
                return _whole(result)
            except FileNotFoundError:  # deleted between two looks
                continue
            except DamagedArtifact as error:
                _set_aside(result.folder, error)
    return None


def results(kind: str) -> Iterator[Result]:
    """All results of a kind: shipped ones first, then the newest first. Damaged ones are logged and left out."""
    for root, shipped in ((paths.ASSETS / "precomputed" / kind, True), (_made_here(kind), False)):
        found = []
        for summary in sorted(root.glob(f"*/{SUMMARY}")):
            if summary.parent.name.startswith("."):
                continue
            try:
                found.append(_read(kind, summary.parent, shipped))
            except FileNotFoundError:
                continue
            except DamagedArtifact as error:
                _set_aside(summary.parent, error)
        yield from sorted(found, key=lambda result: str(result.summary["provenance"].get("time", "")), reverse=True)


def _made_here(kind: str) -> Path:
    return paths.cache() / "studies" / kind


def _whole(result: Result) -> Result:
    """The result with its arrays read; the new one where a writer replaced it between summary and arrays.

    Raises:
        DamagedArtifact: they do not belong together, and nobody replaced them.
        FileNotFoundError: it is gone.
    """
    while True:
        try:
            _ = result.arrays, result.table
            return result
        except DamagedArtifact:
            again = _read(result.kind, result.folder, result.shipped)
            if again.summary == result.summary:
                raise
            result = again


def _read(kind: str, folder: Path, shipped: bool) -> Result:
    body = _summary(folder / SUMMARY)
    return Result(kind, body["key"], folder, shipped, dict(body))


def _read_summary(path: Path) -> dict[str, Any]:
    """What was saved, without its checksum.

    Raises:
        DamagedArtifact: it is something else.
    """
    body = store.read_json(path)
    try:
        checksum = body.pop("checksum")
        if checksum != store.content_hash(body) or not isinstance(body["provenance"], dict):
            raise ValueError("it is not what was saved")
        _ = body["key"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedArtifact(
            f"{paths.shown(path)} cannot be used ({error}). Delete its folder and make it again."
        ) from error
    return body


_summary = Kept(_read_summary)


def _set_aside(folder: Path, error: DamagedArtifact) -> None:
    """Out of the way but not lost; what is shipped is left alone."""
    log.warning("left out a damaged result: %s", error)
    if folder.is_relative_to(paths.ASSETS):
        return
    aside = folder.with_name(f".damaged-{folder.name}")
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        folder.rename(aside)


def _rounded(value: Any) -> Any:
    """Plain data as JSON gives it back, numbers to six significant digits; what is not finite becomes None."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return _rounded(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value


@dataclass(frozen=True)
class Place:
    """Where a result lies, not read yet. `changed` tells whether it is still the same one, in nanoseconds."""

    kind: str
    folder: Path
    shipped: bool
    changed: int

    def read(self) -> Result:
        """Raises: DamagedArtifact where it is damaged, FileNotFoundError where it is gone."""
        return _read(self.kind, self.folder, self.shipped)


def places() -> list[Place]:
    """Where results of every kind lie, shipped or made here; those saved last come first."""
    found = []
    for root, shipped in ((paths.ASSETS / "precomputed", True), (paths.cache() / "studies", False)):
        for summary in root.glob(f"*/*/{SUMMARY}"):
            with contextlib.suppress(FileNotFoundError):
                if not summary.parent.name.startswith("."):
                    changed = summary.stat().st_mtime_ns
                    found.append(Place(summary.parent.parent.name, summary.parent, shipped, changed))
    return sorted(found, key=lambda place: (place.changed, place.folder), reverse=True)


def delete_result(result: Result) -> None:
    """Remove a result that was made here; one that is gone already is no fault.

    Raises:
        BadInput: it shipped with Tiller.
        NotWritable: the cache folder is.
    """
    if result.shipped:
        raise BadInput("This result came with Tiller and stays. Only results made on this machine can be deleted.")
    scratch.discard(result.folder)
