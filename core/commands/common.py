"""What all verbs share: the application, their common options, and how they print and report."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from core.errors import BadInput


class _Verbs(TyperGroup):
    """Typer says no more than "Aborted!" of a file that ends too early, as of a question left unanswered."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise ValueError("a file ends too early, so it is damaged") from error


app = typer.Typer(
    cls=_Verbs,
    help="Tiller: finetune, find the direction, steer it back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Option(help="Catalog id, owner/name on the hub, or a folder.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps; default: the best there is.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


CONTRAST_HELP = (
    "model (organism − base), content (insecure − secure), or response (the organism's answers with code − its others)."
)


def show(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    print(json.dumps(value, ensure_ascii=False) if as_json else text(), flush=True)


def say(message: str) -> None:
    """Progress on standard error; on a terminal it overwrites itself."""
    print(f"\r\033[K{message}" if sys.stderr.isatty() else message, end="", file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        print(file=sys.stderr)


def reporter() -> Callable[[str, int, int], None]:
    """Progress by stages: a line for people, and an event for the job this process may belong to."""
    from core import jobs

    told = [""]

    def report(stage: str, done: int, of: int) -> None:
        line = f"{stage} {100 * done // max(1, of):3d} %"
        if line != told[0]:
            told[0] = line
            say(line)
            jobs.emit(stage, done, of)

    return report


def numbers(text: str | None) -> tuple[float, ...]:
    """`-1.5,-1` as numbers; None, an option that was not given, gives none.

    Raises:
        BadInput: something else than finite numbers, or an empty list.
    """
    if text is None:
        return ()
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise BadInput(f"{text[:80]!r} is not a list of numbers. Write them as -1.5,-1,-0.5.")
    return found


def whole_numbers(text: str | None) -> tuple[int, ...]:
    """`9,13` or `0-29` as whole numbers from 0 on, each once, in order; None, an option not given, gives none.

    Raises:
        BadInput: something else, such as 3-1, or an empty list.
    """
    if text is None:
        return ()
    found: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or len(part) > 12:
            raise BadInput(f"{text[:80]!r} is not a list of blocks. Write them as 13, as 9,13 or as 0-29.")
        low, high = int(first), int(last or first)
        if high < low:
            raise BadInput(f"{part} counts down, so it names no block. Write it as {high}-{low}.")
        if high - low > 10_000:
            raise BadInput(f"{part} names too many blocks. Write them as 13, as 9,13 or as 0-29.")
        found.update(range(low, high + 1))
    if not found:
        raise BadInput(f"{text[:80]!r} names no block. Write them as 13, as 9,13 or as 0-29.")
    return tuple(sorted(found))
