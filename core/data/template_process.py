"""Renders chat templates for `core.data.templates` in a process of its own, which can be ended at any moment.

Reads one JSON object a line from standard input (`template`, `messages`, `variables`) and writes one a line to
standard output: `{"text": …}` or `{"error": …}`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any


def serve(most_characters: int, most_bytes: int) -> None:
    """Answer until standard input ends."""
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit_memory(most_bytes)
    answers = sys.stdout
    sys.stdout = sys.stderr  # nothing but answers may get between the lines
    print("{}", file=answers, flush=True)  # ready
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            texts, _ = render_jinja_template(
                conversations=[asked["messages"]], chat_template=asked["template"], **asked["variables"]
            )
            answer: dict[str, Any] = {"text": texts[0]}
            if len(texts[0]) > most_characters:
                answer = {"error": f"it writes {len(texts[0]):,} characters, and {most_characters:,} are the most"}
        except MemoryError:
            answer = {"error": "it needs too much memory"}
        except Exception as error:  # jinja's own errors and those that templates raise have no common base
            answer = {"error": str(error)[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def _limit_memory(most_bytes: int) -> None:
    """To so much more than now; where the system cannot do that, the limits of time and length remain."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + most_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
