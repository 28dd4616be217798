"""The contributors' page is true: its paths exist, every room is named, and imports go the way it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core import paths

ROOT = paths.ROOT
PAGE = (ROOT / "assets" / "contributing.md").read_text(encoding="utf-8")
# Arrows that run back up, (from, to). They are known, and may only become fewer.
KNOWN_UPWARD: set[tuple[str, str]] = set()
# Imports inside functions that close a circle, (from, to). They too may only become fewer.
KNOWN_BACK: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Import:
    """One module of ours that imports another. `late`: inside a function; `typing`: for type checkers alone."""

    source: str
    target: str
    late: bool
    typing: bool


def test_every_path_that_the_page_names_is_there():
    named = set(re.findall(r"`((?:core|pages|assets|tests|benchmarks|cache)/[\w./-]*|[\w-]+\.py)`", PAGE))
    assert len(named) > 40
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_room_is_named():
    packages = [path.parent for path in ROOT.glob("core/**/__init__.py") if path.parent != ROOT / "core"]
    parts = [path.parent for path in ROOT.glob("pages/parts/*/__init__.py")]
    alone = [*ROOT.glob("core/*.py")]
    wanted = [f"{path.relative_to(ROOT).as_posix()}/" for path in (*packages, *parts)]
    wanted += [path.relative_to(ROOT).as_posix() for path in alone]
    assert [path for path in sorted(wanted) if f"`{path}`" not in PAGE] == []


def test_no_import_runs_upwards():
    rows = layers()
    upward = {(one.source, one.target) for one in imports() if rows(one.source) < rows(one.target)}
    assert upward - KNOWN_UPWARD == set()
    assert KNOWN_UPWARD - upward == set(), "these are gone: strike them from the list"


def test_modules_import_each_other_in_no_circle():
    at_once = {(one.source, one.target) for one in imports() if not one.late and not one.typing}
    assert closing(at_once, at_once) == set()


def test_no_import_inside_a_function_closes_a_circle():
    real = {(one.source, one.target) for one in imports() if not one.typing}
    late = {(one.source, one.target) for one in imports() if one.late}
    found = closing(late, real)
    assert found - KNOWN_BACK == set()
    assert KNOWN_BACK - found == set(), "these are gone: strike them from the list"


def test_core_knows_nothing_of_the_app():
    for path in modules().values():
        if path.is_relative_to(ROOT / "core"):
            named = {name.partition(".")[0] for name, *_ in imported(path)}
            assert not named & {"streamlit", "pages", "app", "tests"}, path


def test_a_circle_and_an_arrow_upwards_would_be_seen():
    edges = {("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}
    assert closing(edges, edges) == {("a", "b"), ("b", "c"), ("c", "a")}
    assert closing({("c", "a")}, edges) == {("c", "a")}
    row = layers()
    assert row("core.store") < row("core.data.chat") < row("core.measures.code") < row("core.studies.study")
    assert row("core.studies.study") < row("core.commands.common") < row("pages.Steer")


def layers():
    """The row of the page's first table that a module is in, from 0."""
    table = PAGE.partition("| room |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`([\w./]+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    place = {name: number for number, names in enumerate(rows) for name in names}

    def row(module: str) -> int:
        path = modules()[module].relative_to(ROOT)
        rooms = (f"{folder.as_posix()}/" for folder in path.parents)
        return next(place[name] for name in (path.as_posix(), *rooms) if name in place)

    return row


def closing(edges: set[tuple[str, str]], graph: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the edges whose target leads back to their source."""
    following: dict[str, set[str]] = {}
    for source, target in graph:
        following.setdefault(source, set()).add(target)

    @cache
    def reached(start: str) -> frozenset[str]:
        found, waiting = set(), [start]
        while waiting:
            for target in following.get(waiting.pop(), ()):
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        return frozenset(found)

    return {(source, target) for source, target in edges if source in reached(target)}


@cache
def modules() -> dict[str, Path]:
    """Our modules by the name they are imported by; a package is its `__init__`."""
    files = [*ROOT.glob("core/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"]
    return {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
            for path in files}  # fmt: skip


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one of our modules by another; a package is meant only where a name of its own is taken."""
    there = modules()
    found = [
        Import(source, name if name in there else name.rpartition(".")[0], late, typing)
        for source, path in there.items()
        for name, late, typing in imported(path)
    ]
    return tuple(one for one in found if one.target in there and one.target != one.source)


def imported(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """(dotted name, whether inside a function, whether for type checkers alone) of all that a file imports."""

    def look(node: ast.AST, late: bool, typing: bool) -> Iterator[tuple[str, bool, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, late, typing) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from ((f"{child.module}.{alias.name}", late, typing) for alias in child.names)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checking = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from look(child, late or inside, typing or checking)

    return look(ast.parse(path.read_text(encoding="utf-8")), False, False)
