"""The lengths in a GGUF file's header, followed before the gguf package is let near them."""

from __future__ import annotations

import struct
from typing import Any

MAX_BLOCKS = 1_000
# a control vector of 1,000 blocks needs 60 kB; the gguf package takes about a second for a header full of tiny items
MAX_HEADER = 1 << 18


class _Header:
    """A place in a file's first bytes that never moves past their end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._data, self._place)
        self._place += struct.calcsize(layout)
        return values

    def skip(self, count: int) -> None:
        self._place += count
        if self._place > len(self._data):
            raise ValueError(f"the header is cut short, or longer than {MAX_HEADER:,} bytes")


_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a GGUF number, by its kind
_TEXT, _ARRAY = 8, 9


def check_header(data: bytes) -> None:
    """Follow the lengths in a GGUF header as far as `data` goes.

    The gguf package believes them: a field that claims 2⁶⁰ items keeps it busy until memory runs out.

    Raises:
        ValueError, struct.error: a length leads past the end, or is none that a control vector has.
    """
    header = _Header(data)
    magic, version, tensors, fields = header.take("<4sIQQ")
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError("it does not start as a GGUF file of version 2 or 3 does")
    if tensors > MAX_BLOCKS:
        raise ValueError(f"it has more than {MAX_BLOCKS:,} tensors")
    for _ in range(fields):
        header.skip(*header.take("<Q"))
        _skip_value(header, *header.take("<I"))
    for _ in range(tensors):
        header.skip(*header.take("<Q"))
        (dimensions,) = header.take("<I")
        if dimensions > 4:
            raise ValueError("a tensor has more than 4 dimensions")
        header.skip(8 * dimensions + 12)


def _skip_value(header: _Header, kind: int) -> None:
    if kind == _TEXT:
        header.skip(*header.take("<Q"))
    elif kind == _ARRAY:
        inner, count = header.take("<IQ")
        if inner == _TEXT:
            for _ in range(count):
                header.skip(*header.take("<Q"))
        else:
            header.skip(_size(inner) * count)
    else:
        header.skip(_size(kind))


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise ValueError(f"a field is of the unknown kind {kind}")
    return _SIZES[kind]
