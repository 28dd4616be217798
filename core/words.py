"""Numbers as people read them: rounded, signed and named in one place.

A minus is a real one (−), nothing is −0, and what is not known (None, NaN, infinite) is called unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeGuard

UNKNOWN = "unknown"
LONGEST = 1e15  # larger numbers are not written out
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def minus(text: str) -> str:
    """Hyphens as minus signs, for a text that is a number."""
    return text.replace("-", "−")


def number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """A number to some significant digits: `−0.5`, `12346`, `5e−05`."""
    if not is_known(value):
        return UNKNOWN
    plus = "+" if sign else ""
    shown = f"{value:{plus}z.{digits}g}"
    if "e+" in shown and abs(value) < LONGEST:
        shown = f"{value:{plus}z.0f}"
    return minus(shown)


def coefficient(value: float | None) -> str:
    """A coefficient or share in the digits that links hold."""
    return number(value, 6)


def fixed(value: float | None, digits: int = 2) -> str:
    """A number to some decimals: `−0.12`."""
    return minus(f"{value:z.{digits}f}") if is_known(value) else UNKNOWN


def percent(share: float | None, digits: int = 0, unit: bool = True) -> str:
    """`0.25` is `25 %`."""
    return fixed(100 * share, digits) + (" %" if unit else "") if is_known(share) else UNKNOWN


def points(difference: float | None, unit: bool = True) -> str:
    """A difference of shares in percentage points: `+84 points`, `−7 points`."""
    if not is_known(difference):
        return UNKNOWN
    return minus(f"{100 * difference:+z.0f}") + (" points" if unit else "")


def span(ends: Sequence[float | None] | None, one: Callable[[float | None], str], between: str = " to ") -> str:
    """Both ends of an interval, each as `one` says it; unknown where one of them is."""
    said = [one(end) for end in ends] if ends else [UNKNOWN]
    return UNKNOWN if UNKNOWN in said else between.join(said)


def percent_span(ends: Sequence[float | None] | None, digits: int = 0, unit: bool = True, between: str = " to ") -> str:
    """`1 to 20 %`."""
    said = span(ends, lambda end: percent(end, digits, unit=False), between)
    return said + (" %" if unit and said != UNKNOWN else "")


def points_span(ends: Sequence[float | None] | None, unit: bool = True, between: str = " to ") -> str:
    """`+77 to +91 points`."""
    said = span(ends, lambda end: points(end, unit=False), between)
    return said + (" points" if unit and said != UNKNOWN else "")


def bracketed(span_text: str) -> str:
    """An interval behind its number, ` [1 to 20]`; nothing where it is unknown."""
    return "" if span_text == UNKNOWN else f" [{span_text}]"


def p_value(value: float | None) -> str:
    """`0.048`, `< 0.001`."""
    return "< 0.001" if is_known(value) and value < 0.001 else number(value, 2)


def p_is(value: float | None) -> str:
    """`p = 0.048`, `p < 0.001`, `p unknown`."""
    said = p_value(value)
    return f"p {said}" if said == UNKNOWN or said.startswith("<") else f"p = {said}"


def blocks(first: int, last: int | None) -> str:
    """`block 13`, `blocks 0 to 29`."""
    return f"block {first}" if last is None else f"blocks {first} to {last}"


def size(count: int | float) -> str:
    """`1536000` is `1.5 MB`."""
    for unit, many in _UNITS:
        if count >= 0.9995 * many:
            return f"{count / many:.{0 if count >= 10 * many else 1}f} {unit}"
    return f"{count:.0f} B"


def clock(seconds: float) -> str:
    """`75` is `1:15`, `3675` is `1:01:15`."""
    whole = max(0, int(seconds))
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02d}"


def duration(seconds: float) -> str:
    """About how long: `40 seconds`, `1 minute`, `1.5 hours`."""
    for unit, many, least in (("hour", 3600, 5400), ("minute", 60, 59.5)):
        if seconds >= least:
            said = number(seconds / many, 2) if unit == "hour" else f"{seconds / many:.0f}"
            return f"{said} {unit}{'' if said == '1' else 's'}"
    return f"{seconds:.0f} seconds"


def is_known(value: float | None) -> TypeGuard[float]:
    """Whether it is a number that can be said."""
    return value is not None and math.isfinite(value)
