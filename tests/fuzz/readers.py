"""The readers of what comes from outside, each with whole examples to begin from."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from core import store
from core.data import files, reading
from core.directions import formats
from core.directions.direction import Direction, load_direction, save_direction
from core.generation import comparison
from core.generation.saved import Preset
from core.generation.saved import read as read_saved
from core.models import inspection
from core.organisms import adapters, peft_config
from core.organisms.library import read_organism
from core.results import Place
from core.studies import options
from core.studies.catalog import STUDIES
from core.studies.study import Study
from pages.parts.separation import choice as separation
from pages.parts.spillover import choice as spillover
from pages.parts.transfer import choice as transfer

Read = Callable[[bytes, Path], Any]
CHATS = [
    {"messages": [{"role": "user", "content": f"q{n} é"}, {"role": "assistant", "content": "a"}]} for n in range(3)
]


@dataclass(frozen=True)
class Reader:
    """`read` takes the bytes and a folder to write into; `examples` are whole ones."""

    name: str
    read: Read
    examples: tuple[bytes, ...]


def readers(folder: Path) -> list[Reader]:
    """All of them; `folder` is for making examples."""
    direction = _direction()
    save_direction(direction, folder / "own.safetensors")
    chats = tuple(_chats().items())
    found = [Reader(f"chats{ending}", _file(ending, reading.read_chats), (data,)) for ending, data in chats]
    found += [Reader(f"prompts{ending}", _file(ending, reading.read_prompts), (data,)) for ending, data in chats]
    found += [
        Reader(f"vectors{ending}", _file(ending, lambda path: formats.read_foreign(path)), (data,))
        for ending, data in _vectors(direction).items()
    ]
    found += [
        Reader("own direction", _file(".safetensors", load_direction), ((folder / "own.safetensors").read_bytes(),)),
        Reader("model weights", _file(".safetensors", lambda path: inspection.check_values([path], "")), _weights()),
        Reader("model folder", _named("config.json", _model_folder), (b'{"model_type": "llama", "auto_map": {}}',)),
        Reader("adapter configuration", _adapter, (_PLAIN,)),
        Reader("adapter weights", _adapter_weights, _weights()),
        Reader("organism", _named("organism.json", lambda path: read_organism(path.parent)), (_MANIFEST,)),
        Reader("result", _named("summary.json", _result), (_summary(),)),
        Reader(
            "preset",
            _named("preset.json", lambda path: read_saved(path, Preset)),
            (b'{"id": "a", "title": "A", "settings": {"prompt": "x"}}',),
        ),
        Reader("steering link", _texts(comparison.from_link), _links()),
    ]
    for state in (separation, spillover, transfer):
        found.append(
            Reader(f"{state.STATE.page} link", _texts(lambda given, of=state: of.read_link(given, [])), _links())
        )
    found += [Reader(f"options of {study.verb}", _texts(_options(study)), _links()) for study in STUDIES]
    return found


def _file(ending: str, read: Callable[[Path], Any]) -> Read:
    return _named(f"file{ending}", read)


def _named(name: str, read: Callable[[Path], Any]) -> Read:
    def write_and_read(data: bytes, folder: Path) -> Any:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return write_and_read


def _texts(read: Callable[[Mapping[str, str]], Any]) -> Read:
    """For what takes names and texts: lines of `name=text`."""

    def split(data: bytes, _: Path) -> Any:
        pairs = (line.partition("=") for line in data.decode("utf-8", "surrogateescape").split("\n"))
        return read({name: text for name, _, text in pairs if name})

    return split


def _options(study: Study[Any, Any]) -> Callable[[Mapping[str, str]], Any]:
    fields = study.settings.model_fields

    def read(given: Mapping[str, str]) -> Any:
        return study.of(**options.values(study.settings, {name: given[name] for name in given if name in fields}))

    return read


def _adapter(data: bytes, folder: Path) -> Any:
    config = json.loads(data) if _is_object(data) else {}
    return peft_config.read(config, "it")


def _adapter_weights(data: bytes, folder: Path) -> Any:
    (folder / adapters.CONFIG).write_bytes(_PLAIN)
    (folder / adapters.WEIGHTS).write_bytes(data)
    return adapters._read(folder)


def _model_folder(config: Path) -> None:
    (config.parent / "model.safetensors").write_bytes(_weights()[0])
    inspection.check_folder(config.parent, "")


def _result(path: Path) -> Any:
    return Place("made-up", path.parent, False, 0).read()


def _summary() -> bytes:
    body = {"key": "x", "provenance": {"time": "2026"}, "n": 3}
    return json.dumps({**body, "checksum": store.content_hash(body)}).encode()


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _chats() -> dict[str, bytes]:
    table = pd.DataFrame([{"prompt": "q", "completion": "a"}, {"prompt": "é", "completion": "b, c"}])
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    wanted = {
        ".jsonl": "\n".join(map(json.dumps, CHATS)).encode(),
        ".json": json.dumps(CHATS, indent=2).encode(),
        ".csv": table.to_csv(index=False).encode(),
        ".parquet": parquet.getvalue(),
        ".txt": "one prompt\nanother\n".encode("utf-16"),
    }
    assert set(wanted) >= {f".{ending}" for ending in files.ENDINGS} - {".tsv"}
    return wanted


def _direction() -> Direction:
    vectors = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    return Direction("made up", vectors, torch.ones(4), torch.zeros(4, 8), {"model": "m"})


def _vectors(direction: Direction) -> dict[str, bytes]:
    single, torched, arrays = direction.vectors[1], io.BytesIO(), io.BytesIO()
    torch.save({"layer_1": single, "layer_2": single}, torched)
    np.savez(arrays, **{"1": single.numpy(), "2": single.numpy()})
    plain = io.BytesIO()
    np.save(plain, direction.vectors.numpy())
    return {
        ".gguf": formats.gguf_bytes(direction, "llama"),
        ".pt": torched.getvalue(),
        ".npz": arrays.getvalue(),
        ".npy": plain.getvalue(),
        ".safetensors": save({"layers.1": single.clone(), "layers.2": single.clone()}),
    }


def _weights() -> tuple[bytes, ...]:
    return tuple(save({"a.weight": torch.ones(3, 2, dtype=dtype)}) for dtype in (torch.float32, torch.bfloat16))


def _links() -> tuple[bytes, ...]:
    return (
        b"model=smollm2-135m\norganism=insecure\nblock=13\ncoefficient=-1\nprompt=3\nfind=a b",
        b"blocks=0-29\ncoefficients=-1.5,-1\nmode=add\nprompts=everyday\nseed=0\ntogether=true",
        b"result=a71e8dfe61\ndonor=x\nreceiver=y\nmatrix=delta\ncontrast=model\nsuite=everyday\nat=0.5",
    )


_PLAIN = json.dumps(
    {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "rank_pattern": {"q_proj": 2}, "bias": "none"}
).encode()
_MANIFEST = json.dumps({"name": "a", "model": "m", "sha256": "0" * 64, "recipe": {}, "dataset": {}}).encode()
