"""The notebook that ships, and the lines under "From Python" in the README: both run as they stand."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from core import paths

TOUR = paths.ASSETS / "notebooks" / "tour.ipynb"
MOST_BYTES = 250_000


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> None:
    """An empty cache folder but for the model's files."""
    (tmp_path / "models").symlink_to(paths.cache() / "models")
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path))


def read() -> Any:
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    return notebook


def shown(notebook: Any) -> list[list[str]]:
    """The kind of each output of each code cell, and of what follows another of a stream once.

    What goes to standard error, such as a progress bar, is left out.
    """
    found = []
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        kinds = [output.output_type for output in cell.outputs if output.get("name") != "stderr"]
        found.append([kind for kind, group in itertools.groupby(kinds) for _ in (group if kind != "stream" else "1")])
    return found


@pytest.mark.embedded
def test_the_notebook_runs_and_shows_as_much_as_it_says(own_cache, monkeypatch):
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")])))
    notebook = read()
    said = shown(notebook)
    NotebookClient(notebook, timeout=500, kernel_name="python3").execute()
    assert shown(notebook) == said and sum(map(len, said)) > 10


def test_the_notebook_is_small_and_names_no_place_of_the_machine_it_ran_on():
    text = TOUR.read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    assert not re.search(r"/(home|root|tmp|Users|work)/|[A-Z]:\\\\", text)
    assert not any(output.output_type == "error" for cell in read().cells for output in cell.get("outputs", []))


@pytest.mark.embedded
def test_the_lines_under_from_python_run(own_cache):
    part = (paths.ROOT / "README.md").read_text(encoding="utf-8").partition("## From Python")[2].partition("\n## ")[0]
    (lines,) = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    assert 8 <= len(lines.strip().splitlines()) <= 16
    names: dict[str, Any] = {}
    exec(compile(lines, Path("README.md"), "exec"), names)  # noqa: S102
    table = names["table"]
    steered = table[table["coefficient"] != 0]
    assert len(table) == 2 * len(steered) and steered["code"].sum() < table["code"].sum() - steered["code"].sum()
