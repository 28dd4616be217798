"""`import core as tiller`: what it costs, what it offers, and that it can be installed."""

from __future__ import annotations

import ast
import json
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

import core as tiller
from core import paths

HEAVY = ("torch", "transformers", "pandas", "plotly", "numpy", "pydantic", "streamlit")


def modules_after(code: str) -> set[str]:
    """Which heavy packages are imported in a fresh process after `code`."""
    told = f"import sys, json\n{code}\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", told], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_core_imports_nothing_heavy():
    assert modules_after("import core as tiller\ndir(tiller)") == set()


def test_a_name_brings_what_it_needs_and_no_more():
    assert modules_after("import core as tiller\ntiller.TillerError, tiller.wilson") <= {"numpy"}
    assert "torch" in modules_after("import core as tiller\ntiller.Direction")


def test_a_lab_does_not_import_torch_before_a_model_is_needed():
    assert "torch" not in modules_after("import core as tiller\nrepr(tiller.Lab('smollm2-135m'))")


@pytest.mark.parametrize("name", tiller.__all__)
def test_every_name_is_there_is_listed_and_is_documented(name):
    assert name in dir(tiller)
    assert getattr(tiller, name).__doc__


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="'core' has no attribute 'banana'"):
        tiller.banana  # noqa: B018


def test_type_checkers_see_the_same_names():
    tree = ast.parse((paths.ROOT / "core" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"core.{home}.{name}" for name, home in tiller._HOME.items()}
    assert (paths.ROOT / "core" / "py.typed").is_file()


def test_pip_installs_it_for_editing_with_the_pinned_packages(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "LICENSE"):
        shutil.copy(paths.ROOT / name, project)
    (project / "core").symlink_to(paths.ROOT / "core")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--prefix", str(tmp_path / "there")]
    command = [sys.executable, "-m", "pip", "install", "-q", *offline, "-e", str(project)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (packages,) = [path for path in map(Path, site.getsitepackages([str(tmp_path / "there")])) if path.is_dir()]
    imported = f"import site; site.addsitedir({str(packages)!r}); import core; print(core.Lab.__name__)"
    done = subprocess.run([sys.executable, "-c", imported], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "Lab\n"
    (metadata,) = packages.glob("tiller-*.dist-info/METADATA")
    needed = {
        line.removeprefix("Requires-Dist: ") for line in metadata.read_text().splitlines() if "Requires-D" in line
    }
    pinned = {line for line in (paths.ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")}
    assert needed == pinned
