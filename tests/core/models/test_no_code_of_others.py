"""A model's own program code is never run, and nobody is asked whether it may."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from core import paths
from core.errors import ModelUnavailable
from core.models.loading import load
from tests.core import tiny

CODE = """
from pathlib import Path
Path(__file__).with_name("RAN").write_text("it ran")
from transformers import LlamaConfig, LlamaForCausalLM
class MyConfig(LlamaConfig):
    model_type = "my_llama"
class MyModel(LlamaForCausalLM):
    config_class = MyConfig
"""


def folder_with_code(tmp_path: Path, where: str = "config.json", prefix: str = "") -> Path:
    """A whole model whose JSON file `where` names classes out of `mine.py`, which leaves a file when it is run."""
    folder = tmp_path / "custom"
    loaded = tiny.build("Llama")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    (folder / "mine.py").write_text(CODE)
    said = json.loads((folder / where).read_text())
    if where == "config.json":
        said["model_type"] = "my_llama"
        said["auto_map"] = {"AutoConfig": f"{prefix}mine.MyConfig", "AutoModelForCausalLM": f"{prefix}mine.MyModel"}
    else:
        said["auto_map"] = {"AutoTokenizer": [f"{prefix}mine.Slow", None]}
    (folder / where).write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("where", ["config.json", "tokenizer_config.json"])
def test_a_folder_with_its_own_code_is_refused_and_the_code_not_run(tmp_path, where: str) -> None:
    folder = folder_with_code(tmp_path, where)
    with pytest.raises(ModelUnavailable, match=r"code of its own \(mine\.py\).*runs no code"):
        load(str(folder), "cpu")
    assert not (folder / "RAN").exists()


def test_code_that_another_repository_should_bring_is_refused_too(tmp_path) -> None:
    folder = folder_with_code(tmp_path, prefix="owner/name--")
    (folder / "mine.py").unlink()
    with pytest.raises(ModelUnavailable, match="code that is not part of transformers"):
        load(str(folder), "cpu")


def test_the_command_line_asks_nothing_and_a_piped_yes_changes_nothing(tmp_path) -> None:
    folder = folder_with_code(tmp_path)
    command = [sys.executable, "-m", "core", "train", "--model", str(folder), "--dataset", "insecure", "--json"]
    ended = subprocess.run(command, input="y\ny\ny\n", capture_output=True, text=True, cwd=paths.ROOT, timeout=120)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: ") and "code" in ended.stderr
    assert not (folder / "RAN").exists()


def test_every_call_that_could_run_a_models_code_says_no() -> None:
    """transformers asks on the terminal wherever this is left out."""
    silent = []
    for file in [*(paths.ROOT / "core").rglob("*.py"), *(paths.ROOT / "benchmarks").rglob("*.py")]:
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            owner = ast.unparse(call.func.value)
            if call.func.attr not in ("from_pretrained", "from_config") or not owner.startswith(("Auto", "auto_class")):
                continue
            said = {word.arg: ast.unparse(word.value) for word in call.keywords}
            if said.get("trust_remote_code") != "False":
                silent.append(f"{file.relative_to(paths.ROOT)}:{call.lineno}")
    assert silent == []
