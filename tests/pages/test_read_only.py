"""A cache that cannot be written: pages open, what shipped is shown, and each wish to make something is one sentence.

Tests may run as root, whom no mode of a file stops: a process of its own mounts a disk and makes it read-only.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save

from tests.core import processes
from tests.pages.app import html, visit

PAGES = (
    "app.py",
    *(f"pages/{name}.py" for name in ("Steer", "Separation", "Spillover", "Transfer", "Organisms", "Runs", "Methods")),
)
SENTENCE = "The cache folder cannot be written (read-only file system). Set TILLER_CACHE to a folder you can write to"

BEGIN = """
import json, pathlib, subprocess, sys
from core import jobs, paths, results
from core.models import sources
from core.models.catalog import CATALOG
from tests import sample_jobs
from tests.pages.app import html, run, visit, widget
from tests.pages.test_read_only import PAGES

def here(name):
    \"\"\"Let a model of the catalog seem fetched: nothing is computed with it.\"\"\"
    folder = sources.folder_of(CATALOG[name])
    folder.mkdir(parents=True)
    record = {"spec": name, "source": sources._describe(CATALOG[name]), "fingerprint": "f", "files": {}}
    (folder / sources.RECORD).write_text(json.dumps(record))

def said(app):
    plain = [*(one.value for one in app.error), *(one.value for one in app.toast)]
    return [text.replace("\\\\", "") for text in plain]

def click(app, key):
    app.button(key=key).click()
    return run(app)

for name in ("smollm2-135m", "gemma-3-270m-chat", "qwen2.5-coder-0.5b"):
    here(name)
stopped = sample_jobs.make("stopped", number=1)
failed = sample_jobs.make("failed", number=2)
trial = results.save_result("trial", "abcdef0123", {"model": "m", "provenance": {}}, {})
cache = paths.cache()
subprocess.run(["mount", "-o", "remount,ro", cache], check=True)
found = {}
"""


def told(tmp_path, script: str) -> dict[str, list[str]]:
    """What a script puts into `found`, whose cache is a disk that cannot be written."""
    if not processes.can_mount():
        pytest.skip("this machine does not let tests mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    code = f"{BEGIN}{script}\nprint(json.dumps(found))"
    return json.loads(processes.finish(processes.start(code, cache=disk, disk=(disk, 4000))).splitlines()[-1])


def test_every_button_that_starts_or_deletes_says_that_the_cache_cannot_be_written(tmp_path):
    found = told(
        tmp_path,
        """
app = visit("pages/Organisms.py", view="train")
found["train"] = said(click(app, "organisms.start"))
app = visit("pages/Separation.py")
widget(app, "selectbox", "Pooling").select("prompt_mean")
found["separation"] = said(click(run(app), "separation.measure"))
app = visit("pages/Spillover.py")
widget(app, "number_input", "Longest answer, tokens").set_value(7)
found["spillover"] = said(click(run(app), "spillover.measure"))
app = visit("pages/Transfer.py")
widget(app, "number_input", "Longest answer, tokens").set_value(7)
found["transfer"] = said(click(run(app), "transfer.measure"))
app = visit("pages/Runs.py")
found["resume"] = said(click(app, f"resume-{stopped}"))
found["delete"] = said(click(click(app, f"delete-{stopped}"), f"delete-{stopped}-yes"))
found["delete all"] = said(click(click(app, "delete-all"), "delete-all-yes"))
found["delete a result"] = said(click(click(app, "delete-trial-abcdef0123"), "delete-trial-abcdef0123-yes"))
""",
    )
    assert {name: [text.startswith(SENTENCE) for text in texts] for name, texts in found.items()} == {
        name: [True]
        for name in (
            "train", "separation", "spillover", "transfer", "resume", "delete", "delete all", "delete a result",
        )
    }, found  # fmt: skip


def test_every_page_opens_with_a_cache_that_cannot_be_written(tmp_path):
    found = told(tmp_path, "for page in PAGES:\n    found[page] = said(visit(page))")
    assert found == {page: [] for page in PAGES}


def test_a_model_in_a_folder_is_known_by_its_weights_with_a_cache_that_cannot_be_written(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    weights = save({"w": np.zeros(1, np.uint8)})
    (model / "model.safetensors").write_bytes(weights)
    known = f"from core.models.catalog import resolve\nfound['folder'] = sources.fingerprint(resolve({str(model)!r}))"
    assert told(tmp_path, known) == {"folder": hashlib.sha256(weights).hexdigest()}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_a_cache_that_is_no_folder(tmp_path, monkeypatch, page):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path / "file"))
    app = visit(page)
    assert not app.error
    if page == "pages/Runs.py":
        assert "came with Tiller" in html(app) and "Set TILLER_CACHE to a folder you can write to" in html(app)
