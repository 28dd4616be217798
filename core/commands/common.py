"""What all verbs share: the application, their common options, and how they print and report."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


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
    """One object of strict JSON, in which what is not finite is null, or a text."""
    if as_json:
        plain = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(json.dumps(_strict(value), ensure_ascii=not plain, allow_nan=False), flush=True)
    else:
        print(text(), flush=True)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
