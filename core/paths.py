"""Where things lie. `TILLER_CACHE` moves everything made at run time to another disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from core.errors import BadInput, NotWritable

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
CACHE_FOLDER = "The cache folder"

# the last two: a file lies where the folder should
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG)


def cache() -> Path:
    """The folder for everything made at run time (created when asked for).

    Where it cannot be created there is nothing to read in it, and what shipped still opens; who writes is told.
    """
    try:
        folder = Path(os.environ.get("TILLER_CACHE") or ROOT / "cache").expanduser()
    except RuntimeError as error:
        raise NotWritable("TILLER_CACHE names the home of a user that there is not. Set it to a folder.") from error
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def writable_errors(what: str = CACHE_FOLDER) -> Iterator[None]:
    """Turn a folder that is read-only, or none, into one clear sentence: for all that writes into the cache.

    Example: `with writable_errors(): target.unlink()`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        reason = os.strerror(error.errno).lower()
        action = "Set TILLER_CACHE to a folder you can write to, and start again."
        if what != CACHE_FOLDER:
            action = "Choose a folder you can write to; TILLER_CACHE moves Tiller's own."
        raise NotWritable(f"{what} cannot be written ({reason}). {action}") from error


def safe_name(text: str, instead: str | None = None) -> str:
    """`text` as a single path component: ASCII, no separators, no leading dot, at most 80 characters.

    Args:
        instead: of a name in another script no letter is left; this and a hash of the name stand for it.

    Raises:
        BadInput: there are no letters, or none of ASCII and nothing to stand for them.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80]
    if name:
        return name
    if instead is not None and any(sign.isalnum() for sign in text):
        return f"{instead}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    raise BadInput(f"{text!r} has no usable letters for a file name. Choose another name.")


def shown(path: Path) -> str:
    """`path` relative to the project when it lies inside, for messages and provenance."""
    try:
        return str(path.resolve().relative_to(ROOT))
    except ValueError:
        return path.name


# How an absolute path begins: `/`, `~/`, `~name/`, `C:\`, `\\server`; in quotes its folders may hold spaces, else not.
_BEGIN = r"(?:(?:file://)?(?:~[\w.-]*)?/+|~\\+|[A-Za-z]:[/\\]+|\\\\+)"
_QUOTED = re.compile(rf"(?<=['\"`“‘]){_BEGIN}[^'\"`”’\n]*[/\\](?=[^/\\'\"`”’\n])")
_PLAIN = re.compile(rf"(?:(?<![\w.:~/\\-])|(?<=:)(?!//)){_BEGIN}(?:[^\s/\\'\",;<>]+[/\\]+)+(?=[^\s/\\'\",;<>])")


def placeless(text: str) -> str:
    """`text` without the folders of this machine: of a path stays what is inside the project, else its last name.

    Nothing is looked up on the disk. Addresses such as `https://host/page` stay.

    Example: `placeless("No such file: '/home/me/my models/a.txt'")` is `"No such file: 'a.txt'"`.
    """
    text = re.sub(rf"(?<![\w.~/\\-]){re.escape(str(ROOT))}[/\\]+(?=[\w.])", "", text)
    for place in filter(None, (os.environ.get("TILLER_CACHE"), os.environ.get("HOME"))):
        if len(Path(place).parts) > 1:  # it may hold spaces, and `~` is understood below
            text = re.sub(rf"(?<![\w.~/\\-]){re.escape(place.rstrip(os.sep))}(?![\w-]|\.\w)", "~", text)
    return _PLAIN.sub("", _QUOTED.sub("", text))
