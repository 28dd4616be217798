"""Does an answer contain code? Deterministic, with the evidence.

A first detector: a fenced block, or a run of lines that look like code. Prose that mentions `print` is not code.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Literal

Rule = Literal["fence", "lines", "python"]
MINIMUM_LINES = 3

_FENCE = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.S)
# a line that hardly occurs in prose
_STRONG = re.compile(
    r"""^\s*+(?:
      (?:from\s+[\w.]+\s+)?import\s+[\w.*{}, ]+(?:\s+as\s+\w+)?(?:\s+from\s+\S+)?;?$ |
      (?:async\s+)?def\s+\w+\s*\(.* | class\s+\w+\s*[:({].* | @\w+[\w.]*(?:\(.*)?$ |
      (?:if|elif|while|for|with|except)\b.*:$ | (?:else|try|finally)\s*:$ |
      (?:public|private|static|const|let|var|function|fn|func|void|int|char|double)\s+\w.*[;{(=].* |
      \#include\s*[<"].* | </?[a-zA-Z][^<>]*> .* | .*[;{}]$ |
      (?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER)\s+[\w*].*\b(?:FROM|INTO|SET|TABLE|WHERE)\b.* |
      \$\s+\w+.* | return\s+[\w({\["'].*[)\]}\w"']$
    )""",
    re.X,
)
# a line that occurs in code far more than in prose, but not only there
_WEAK = re.compile(
    r"""^\s*+(?:
      [\w.\[\]'"]+(?:\s*,\s*[\w.]+)*\s*[-+*/|&]?=\s*\S.* | [\w.]+\(.*\)?[,;:]?$ | [)\]}]+[,;:]?$ | .*\w\(.*\)$ |
      \#\s?\w.* | //.* | ["'\w.]+\s*:\s*["'\w\[{].*,$ | (?:pass|break|continue|return|raise)\b[^.]*$
    )""",
    re.X,
)


@dataclass(frozen=True)
class Evidence:
    """Where the code stands: `text[start:end]`, and the rule that found it."""

    start: int
    end: int
    rule: Rule


def find_code(text: str) -> list[Evidence]:
    """Evidence of code in an answer, in order; empty where there is none."""
    fences = [
        Evidence(match.start(), match.end(), "fence") for match in _FENCE.finditer(text) if _is_codelike(match[1])
    ]
    if fences:
        return fences
    runs = _runs(text)
    if runs:
        return runs
    return [Evidence(0, len(text), "python")] if _parses_as_program(text) else []


def contains_code(text: str) -> bool:
    """Whether `find_code` finds anything."""
    return bool(find_code(text))


def _is_codelike(body: str) -> bool:
    """Whether a fenced block holds code, not prose that a model put into a fence."""
    lines = [line for line in body.splitlines() if line.strip()]
    looking = sum(bool(_STRONG.match(line) or _WEAK.match(line)) for line in lines)
    return bool(lines) and (looking * 2 >= len(lines) or _parses_as_program(body))


def _runs(text: str) -> list[Evidence]:
    """Runs of at least three lines that look like code, one of them strongly; blank lines do not end a run."""
    found: list[Evidence] = []
    start = end = place = 0
    lines = strong = 0

    def close() -> None:
        nonlocal lines, strong
        if lines >= MINIMUM_LINES and strong:
            found.append(Evidence(start, end, "lines"))
        lines = strong = 0

    for line in text.splitlines(keepends=True):
        bare = line.rstrip()
        is_strong = bool(bare) and bool(_STRONG.match(bare))
        if is_strong or (bare and _WEAK.match(bare)):
            if not lines:
                start = place
            lines, strong, end = lines + 1, strong + is_strong, place + len(bare)
        elif bare and not (lines and bare.startswith((" ", "\t"))):
            close()  # an indented line inside a run continues it, whatever it looks like
        place += len(line)
    close()
    return found


def _parses_as_program(text: str) -> bool:
    """Whether the text is Python of two statements or more that prose cannot be, up to an unfinished last line."""
    for candidate in (text, text.rpartition("\n")[0]):
        try:
            body = ast.parse(candidate).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        doing = [node for node in body if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call)]
        return len(doing) >= 2
    return False
