"""Settings as texts: on a command line, in a link, and back. The fields of the settings are the only declaration.

A field is written as its name with dashes; one that is as usual is left out. Several values are joined by commas, and
quoted as in CSV where one holds a comma. Where something is usual, `none` asks for nothing.
"""

from __future__ import annotations

import csv
import io
import math
import shlex
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.errors import BadInput

NOTHING = "none"
MOST_BLOCKS = 10_000


def arguments(settings: BaseModel) -> list[str]:
    """Options of a command line; a switch is its name alone."""
    found = []
    for name, text in texts(settings).items():
        found += [flag(name)] if text == "true" and is_switch(type(settings).model_fields[name]) else [flag(name), text]
    return found


def texts(settings: BaseModel) -> dict[str, str]:
    """Each setting that is not as usual, as text: what a link holds."""
    fields = type(settings).model_fields
    values = {name: getattr(settings, name) for name in fields}
    return {name: _text(fields[name], value) for name, value in values.items() if value != fields[name].default}


def values(settings: type[BaseModel], given: Mapping[str, str | bool | None]) -> dict[str, Any]:
    """The values that texts stand for; what is None was not given.

    Raises:
        BadInput: names the setting; or there is none of that name.
    """
    fields = settings.model_fields
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise BadInput(f"There is no setting {unknown[0][:40]!r}. There are {', '.join(fields)}.")
    return {name: _value(name, fields[name], text) for name, text in given.items() if text is not None}


def flag(name: str) -> str:
    """How a field is called on the command line."""
    return f"--{name.replace('_', '-')}"


def usual(field: FieldInfo) -> str:
    """What holds where nothing is said, as text; empty where only the study can tell."""
    return "" if field.default is None or field.default == () or is_switch(field) else _text(field, field.default)


def kind(field: FieldInfo) -> str:
    """What is to be written, in a word for help texts."""
    if _item_of(field):
        return "LIST"
    return next((word for of, word in ((float, "NUMBER"), (int, "WHOLE")) if of in _kinds(field)), "TEXT")


def quoted(words: Sequence[str]) -> str:
    """Words as a line to paste into a terminal."""
    return " ".join(word if _is_plain(word) else shlex.quote(word) for word in words)


def is_switch(field: FieldInfo) -> bool:
    """Whether it is on or off."""
    return field.annotation is bool


def numbers(text: str | None) -> tuple[float, ...]:
    """`-1.5,-1` as numbers; None, an option that was not given, gives none.

    Raises:
        BadInput: something else than finite numbers, or an empty list.
    """
    if text is None:
        return ()
    try:
        found = tuple(float(part) for part in text.replace("−", "-").split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise BadInput(f"{text[:80]!r} is not a list of numbers. Write them as -1.5,-1,-0.5.")
    return found


def whole_numbers(text: str | None) -> tuple[int, ...]:
    """`9,13` or `0-29` as whole numbers from 0 on, each once, in their order; None, an option not given, gives none.

    Raises:
        BadInput: something else, such as 3-1, or an empty list.
    """
    if text is None:
        return ()
    found: dict[int, None] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or not (last if dash else first).isdecimal() or len(part) > 12:
            raise BadInput(f"{text[:80]!r} is not a list of blocks. Write them as 13, as 9,13 or as 0-29.")
        low, high = int(first), int(last or first)
        if high < low:
            raise BadInput(f"{part} counts down, so it names no block. Write it as {high}-{low}.")
        if high - low > MOST_BLOCKS:
            raise BadInput(f"{part} names too many blocks. Write them as 13, as 9,13 or as 0-29.")
        found.update(dict.fromkeys(range(low, high + 1)))
    if not found:
        raise BadInput(f"{text[:80]!r} names no block. Write them as 13, as 9,13 or as 0-29.")
    return tuple(found)


def _text(field: FieldInfo, value: Any) -> str:
    if value is None or value == ():
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_plain(item) for item in value])
        return line.getvalue()
    return _plain(value)


def _plain(value: Any) -> str:
    """A number in full, so that it comes back exactly, but −1 and not −1.0."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _value(name: str, field: FieldInfo, text: str | bool) -> Any:
    if isinstance(text, bool) or is_switch(field):
        return text if isinstance(text, bool) else text == "true"
    item = _item_of(field)
    if text == NOTHING and field.default not in (None, ()):
        return () if item else None
    if item is float:
        return numbers(text)
    if item is int:
        return whole_numbers(text)
    if item:
        return tuple(part.strip() for part in next(csv.reader([text]), []))
    return text


def _kinds(field: FieldInfo) -> tuple[Any, ...]:
    """The types of its value, without None."""
    return typing.get_args(field.annotation) or (field.annotation,)


def _item_of(field: FieldInfo) -> Any:
    """What a field of several values holds: float, int, or str for anything else; None for one of a single value."""
    if typing.get_origin(field.annotation) is not tuple:
        return None
    first = typing.get_args(field.annotation)[0]
    return first if first in (int, float) else str


def _is_plain(word: str) -> bool:
    return bool(word) and all(sign.isalnum() or sign in "-_.,:/=@+%" for sign in word)
