"""How the Runs page says things: times, sizes, commands. No place of this machine in any of them."""

from __future__ import annotations

import datetime
import shlex
import zoneinfo
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import streamlit as st

from core import paths
from pages.parts.literal import literal


def moment(seconds: float) -> str:
    """A time in the browser's own zone: `21 Nov 2026, 16:40`; in UTC, and said so, where that is not known."""
    name = st.context.timezone
    try:
        zone: datetime.tzinfo = zoneinfo.ZoneInfo(name or "")
        mark = ""
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        zone, mark = datetime.UTC, " UTC"
    when = datetime.datetime.fromtimestamp(seconds, zone)
    return f"{when.day} {when:%b %Y, %H:%M}{mark}"


def moment_of(text: str) -> str:
    """`moment` of a time as provenance holds it; as it is where it is none."""
    try:
        return moment(datetime.datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return text


def command(arguments: Sequence[str]) -> str:
    """The command line; a file is named without its folder."""
    return shlex.join(["python", "-m", "core", *map(_placeless, arguments)])


def facts(*parts: str) -> str:
    """A line of facts, as HTML; empty ones are left out."""
    return '<div class="run-facts">' + " · ".join(literal(part) for part in parts if part) + "</div>"


def is_place(text: str) -> bool:
    """Whether a text names a file or folder of a machine, and not a thing by its name."""
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return absolute or text.startswith(("~", ".")) or "\\" in text


def _placeless(argument: str) -> str:
    option, sign, value = argument.rpartition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{sign}{paths.shown(Path(value))}" if is_place(value) else argument
