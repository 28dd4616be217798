"""Texts from prompts, models, folders and hubs as labels: short, and nothing in them that plotly takes for a tag."""

from __future__ import annotations

import html
import re
import textwrap
from functools import lru_cache

SHOWN, LINE = 180, 48  # characters of a text in a tooltip, and of one of its lines


@lru_cache(maxsize=4096)
def literal_tooltip(text: str, shown: int = SHOWN) -> str:
    """`text` for a tooltip: shortened and in lines."""
    clean = _short(text.encode("utf-8", "replace").decode(), shown)
    return "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(clean, LINE)) or "(empty)"


def plain_name(name: str, longest: int = 60) -> str:
    """A name in one line."""
    return html.escape(_short(name, longest), quote=False)


def in_lines(name: str, longest: int = 10) -> str:
    """A name broken after hyphens, slashes and dots into lines of about `longest` characters, for an axis."""
    lines = [""]
    for part in re.findall(r"[^-/_.]*[-/_.]?", " ".join(name.split())[:60]):
        pieces = [part[start : start + longest] for start in range(0, len(part), longest)]
        for piece in pieces:
            if lines[-1] and len(lines[-1]) + len(piece) > longest:
                lines.append("")
            lines[-1] += piece
    return "<br>".join(html.escape(line, quote=False) for line in lines)


def _short(text: str, longest: int) -> str:
    clean = " ".join(text.split())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"
