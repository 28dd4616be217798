"""Bytes near whole examples: each a file that someone's disk, program or malice could leave."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

ODD = (
    None, True, 0, -1, 1e308, -0.0, 2**63, 10**400, "", "é\x00\u202e", "../../etc/passwd", "nan", "inf", [], {}, [[[]]],
    ["a"] * 50, {"a": {"b": []}},
)  # fmt: skip
SPLICES = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"{", b"}", b"[", b"]", b'"', b",", b"=", b"-", b"9" * 5000,
    b"version https://git-lfs", b"PK\x03\x04", b"GGUF", b"PAR1", b"\x93NUMPY", b"NaN", b"1e999", b"\\ud83d", b"\n" * 50,
)  # fmt: skip


def mutated(example: bytes, other: bytes, seed: int) -> bytes:
    """The example after up to three changes, most often one; equal seeds give equal bytes."""
    draw = random.Random(seed)
    data = example
    for _ in range(draw.choice((0, 1, 1, 1, 1, 2, 3))):
        data = draw.choice(_CHANGES)(data, other, draw)
    return data


def _flip(data: bytes, _: bytes, draw: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        if found:
            found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def _cut(data: bytes, _: bytes, draw: random.Random) -> bytes:
    place = draw.randint(0, len(data))
    return data[:place] if draw.random() < 0.7 else data[place:]


def _splice(data: bytes, _: bytes, draw: random.Random) -> bytes:
    place = draw.randint(0, len(data))
    return data[:place] + draw.choice(SPLICES) + data[place + draw.choice((0, 0, 1, 8)) :]


def _repeat(data: bytes, _: bytes, draw: random.Random) -> bytes:
    first = draw.randint(0, len(data))
    last = draw.randint(first, min(len(data), first + 64))
    return data[:last] + data[first:last] * draw.randint(1, 20) + data[last:]


def _join(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return data[: draw.randint(0, len(data))] + other[draw.randint(0, len(other)) :]


def _noise(data: bytes, _: bytes, draw: random.Random) -> bytes:
    return draw.randbytes(draw.randint(0, 200))


def _odd_value(data: bytes, _: bytes, draw: random.Random) -> bytes:
    """JSON, also as the header of a safetensors file or in lines, with one value or name exchanged."""
    lines = data.split(b"\n") if b"\n{" in data else [data]
    place = draw.randrange(len(lines))
    start = lines[place].find(b"{")
    try:
        value, end = json.JSONDecoder().raw_decode(lines[place][max(0, start) :].decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return data
    text = json.dumps(_exchanged(value, draw)).encode("utf-8", "surrogateescape")
    rest = lines[place][max(0, start) :].decode("utf-8", "surrogateescape")[end:].encode("utf-8", "surrogateescape")
    head = lines[place][: max(0, start)]
    if len(head) == 8:  # a safetensors header states its length before it
        head = len(text).to_bytes(8, "little")
    lines[place] = head + text + rest
    return b"\n".join(lines)


def _exchanged(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        if draw.random() < 0.15:
            return {
                (draw.choice(("", "x", "é" * 300, "__proto__")) if name == key else name): value[name] for name in value
            }
        return {**value, key: _exchanged(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.85:
        place = draw.randrange(len(value))
        return [*value[:place], _exchanged(value[place], draw), *value[place + 1 :]]
    return draw.choice(ODD)


_CHANGES: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    _flip, _cut, _splice, _repeat, _join, _noise, _odd_value, _odd_value, _odd_value,
)  # fmt: skip
