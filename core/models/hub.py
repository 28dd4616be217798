"""A model from the Hugging Face hub: safetensors, configuration and tokenizer, never a pickle."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import store
from core.errors import BadInput, ModelUnavailable, OutOfSpace, TillerError
from core.models.catalog import HubSource
from core.models.download import FetchProgress, Report, check

WANTED_ENDINGS = (".safetensors", ".json", ".jinja", ".model", ".txt")
# The same weights a second time, in the layout of Mistral's own tools.
SECOND_COPY = "consolidated"
CONNECTIONS = 4
MOST_TIMES = 3  # what is listed may arrive: parts are sent again after a dropped connection


def wanted(name: str) -> bool:
    """Whether a file of a repository is part of the model. Subfolders hold other formats and training leftovers."""
    return "/" not in name and name.endswith(WANTED_ENDINGS) and not name.startswith(SECOND_COPY)


def snapshot(
    source: HubSource, folder: Path, total_bytes: int | None, report: Report, stop: threading.Event | None
) -> dict[str, Any]:
    """Fill `folder` from the repository and return {"commit": …, "checksums": {file: sha256}}.

    Without a network, files that other tools left in the hub's own cache are taken. Raises `ModelUnavailable`,
    `OutOfSpace` or `Stopped`.
    """
    import huggingface_hub
    from huggingface_hub import HfApi

    report(FetchProgress("resolving", 0, total_bytes, f"Asking the hub for {source.repo}"))
    with clear_errors(source, stop):
        try:
            info = HfApi().model_info(source.repo, revision=source.revision, files_metadata=True, timeout=20)
        except Exception as error:
            if not _is_offline(error) or not (cached := _from_hub_cache(source, folder)):
                raise
            return cached
        files = {file.rfilename: file for file in info.siblings or [] if wanted(file.rfilename)}
        _check_listing(source, list(files))
        total = sum(file.size or 0 for file in files.values())
        store.require_space(folder, total, source.repo)
        huggingface_hub.snapshot_download(
            source.repo,
            revision=info.sha,
            local_dir=folder,
            allow_patterns=sorted(files),
            max_workers=CONNECTIONS,
            tqdm_class=_byte_bar(f"Downloading {source.repo}", total, report, stop),
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    checksums = {name: file.lfs.sha256 for name, file in files.items() if file.lfs is not None}
    _verify(source, folder, {name: file.size for name, file in files.items()}, checksums, report, stop)
    return {"commit": info.sha, "checksums": checksums}


def _check_listing(source: HubSource, names: list[str]) -> None:
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelUnavailable(
            f"{source.repo} has no safetensors weights, and pickled ones are not opened because they can run code. "
            "Choose a repository or revision with safetensors."
        )
    if "config.json" not in names:
        raise ModelUnavailable(
            f"{source.repo} has no config.json, so it is not a whole model. Choose the model that it was made from."
        )


def _verify(
    source: HubSource,
    folder: Path,
    sizes: dict[str, int | None],
    checksums: dict[str, str],
    report: Report,
    stop: threading.Event | None,
) -> None:
    """Compare what arrived with what the hub lists."""
    for name, size in sizes.items():
        check(stop)
        file = folder / name
        report(FetchProgress("verifying", 0, None, f"Checking {name}"))
        good = file.is_file() and (size is None or file.stat().st_size == size)
        if not good or (name in checksums and store.file_sha256(file) != checksums[name]):
            raise ModelUnavailable(f"{name} of {source.repo} arrived damaged and was deleted. Try again.")


def _from_hub_cache(source: HubSource, folder: Path) -> dict[str, Any] | None:
    """Files from the hub library's own cache, as hard links where the disk allows it; None if they are not there."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        kept = Path(huggingface_hub.snapshot_download(source.repo, revision=source.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    files = [file for file in kept.iterdir() if wanted(file.name)]
    _check_listing(source, [file.name for file in files])
    for file in files:
        try:
            os.link(file.resolve(), folder / file.name)
        except OSError:
            shutil.copyfile(file, folder / file.name)
    return {"commit": kept.name, "checksums": {}}


def _byte_bar(label: str, total: int, report: Report, stop: threading.Event | None) -> type:
    """A progress bar that reports bytes instead of drawing, and ends the transfer once `stop` is set.

    The library counts bytes received and bytes written on two bars (and files on a third); the larger is shown.
    """
    from tqdm import tqdm

    done = 0
    one_at_a_time = threading.Lock()  # files arrive in several threads, and who listens need not expect that

    class ByteBar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            self.counts_bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            if stop is not None and stop.is_set():
                _abort_xet()
            with one_at_a_time:
                check(stop)
                self.n += n or 0
                if self.counts_bytes and total and self.n > MOST_TIMES * total:
                    raise ModelUnavailable(
                        f"The hub sends more than {MOST_TIMES} times the {total / 1e6:,.0f} MB that it lists, so the "
                        "download was stopped. Try again later."
                    )
                if self.counts_bytes and self.n > done:
                    done = min(int(self.n), total)
                    report(FetchProgress("downloading", done, total, label))

    return ByteBar


def _abort_xet() -> None:
    """Stop the hub's native downloader, which runs outside Python and does not see our exception."""
    xet = sys.modules.get("huggingface_hub.utils._xet")
    abort = getattr(xet, "abort_xet_session", None)
    if abort is not None:
        abort()


@contextlib.contextmanager
def clear_errors(source: HubSource, stop: threading.Event | None = None) -> Iterator[None]:
    """Turn what the hub library raises into one sentence and an action.

    The cause is left out of the new error on purpose: it can quote request headers, the token among them.
    """
    from huggingface_hub.errors import HTTPError, XetDownloadError

    try:
        with store.disk_errors(source.repo):
            yield
    except TillerError:
        raise
    except (HTTPError, XetDownloadError, OSError, ValueError, RuntimeError) as error:
        check(stop)
        raise explain(error, source) from None


def explain(error: Exception, source: HubSource) -> TillerError:
    """Our error for one of the hub library's. No text of the original is quoted."""
    from huggingface_hub import errors

    repo = source.repo
    if isinstance(error, errors.GatedRepoError):
        return ModelUnavailable(
            f"{repo} is gated. Accept its licence on the model's page on the hub, set HF_TOKEN to a token of that "
            "account, and try again."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelUnavailable(f"{repo} has no revision {source.revision!r}. Check its spelling, or leave it out.")
    if isinstance(error, errors.HFValidationError):
        return BadInput(f"{repo!r} is not a repository name that the hub accepts. Write it as owner/name.")
    status = _status(error)
    if status == 429:
        return ModelUnavailable(
            "The hub answers that there were too many requests. Wait a few minutes and try again; with HF_TOKEN set, "
            "the limit is higher."
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
        return ModelUnavailable(
            f"{repo} does not exist on the hub, or may not be read by this account. Check the spelling; for a private "
            "model set HF_TOKEN to a valid token."
        )
    if status is not None:
        return ModelUnavailable(f"The hub answered with error {status} for {repo}. Try again later.")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE") and _is_offline(error):
        return ModelUnavailable(f"{repo} is not on this computer and HF_HUB_OFFLINE is set. Unset it and try again.")
    if "No space left" in str(error):
        return OutOfSpace(
            f"The disk is full while writing {repo}. Free some space, or set TILLER_CACHE to a folder on another "
            "disk, and try again."
        )
    if _is_offline(error):
        return ModelUnavailable(
            f"The hub could not be reached for {repo}. Check the network connection and try again; the catalog entry "
            "smollm2-135m needs only a Python package index."
        )
    return ModelUnavailable(f"The download of {repo} failed ({type(error).__name__}). Try again.")


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _is_offline(error: Exception) -> bool:
    """Whether nobody answered at all: no network, no name service, a dead proxy, or offline mode."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError | ConnectionError | TimeoutError):
        return True
    return isinstance(error, errors.HTTPError) and _status(error) is None
