"""The command line: `python -m core VERB`. The same verbs as the pages, one JSON object with `--json`.

Standard output carries results, standard error carries progress. Exit status: 0, 1 (failed, one clear
line), 2 (bad usage). Heavy imports wait until a verb needs them.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from pathlib import Path

from core import paths, scratch
from core.commands import app
from core.errors import TillerError

PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "─": "-", "’": "'", "“": '"', "”": '"', "·": "-", "→": "->",
                       "×": "x", "Δ": "d", "±": "+-"})  # fmt: skip


def main() -> None:
    """Run the command line; every failure the user can act on becomes one line and exit status 1."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")
    try:
        scratch.clean()
        app()
    except TillerError as error:
        _fail(error)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail("The disk is full. Free some space, or set TILLER_CACHE to a folder on another disk, and try again.")
        if os.environ.get("TILLER_DEBUG"):
            raise
        if isinstance(error, OSError) and error.strerror and error.filename:
            name = paths.shown(Path(os.fsdecode(error.filename)))
            _fail(f"{name[:80]}: {error.strerror[:1].lower()}{error.strerror[1:]}. Choose another name or place.")
        _fail(
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} (TILLER_DEBUG=1 shows where.)"
        )


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """For a console that knows few signs: a minus is a hyphen, an accent goes, and what is left is a question mark."""
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    known = unicodedata.normalize("NFKD", found.translate(PLAIN)).encode("ascii", "ignore").decode()
    return known or "?" * len(found), error.end


def _fail(error: object) -> None:
    print(f"Error: {error}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
