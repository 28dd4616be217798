"""A link, which anybody can have written, reveals nothing of the disk, opens no folder, and loads nothing unasked."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from streamlit.testing.v1 import AppTest

from core import paths, store
from core.errors import ModelUnavailable
from core.models import sources
from core.models.catalog import resolve
from pages.parts import models, ready, shell
from pages.parts.organisms import choice
from pages.parts.steer import links
from tests.pages.app import OVERVIEW, SECONDS, html, press, run, visit, widget
from tests.sample_model import SampleModel

STEER, ORGANISMS = "pages/Steer.py", "pages/Organisms.py"
NAMES = ("Steer", "Organisms", "Separation", "Spillover", "Transfer", "Runs", "Methods")
PAGES = (OVERVIEW, *(f"pages/{name}.py" for name in NAMES))
# every query parameter that a page reads, and some that name files elsewhere in Tiller
PARAMETERS = (
    "model", "organism", "direction", "control", "mode", "example", "preset", "dataset", "cwe", "curves", "result",
    "contrast", "suite", "block", "x", "y", "profile", "beside", "tier", "matrix", "donor", "receiver", "story",
    "step", "state", "command", "kind", "prompts", "held_out", "adapter", "folder", "file",
)  # fmt: skip
KINDS = ("html", "markdown", "caption", "code", "selectbox", "multiselect", "button", "alert", "text_input", "toggle")
SECRET = "a-secret-place"


@pytest.fixture(autouse=True)
def an_engine_of_its_own():
    shell.engine.clear()
    yield
    shell.engine.clear()


@pytest.fixture
def model(made) -> SampleModel:
    made.install()
    return made


def everything(app: AppTest) -> list[str]:
    """All that a page shows, as it is sent to the browser, and its address."""
    sent = [str(element.proto) for kind in KINDS for element in app.get(kind)]
    return [*sent, str([error.value for error in app.error]), str(dict(app.query_params))]


def watch_the_disk(patch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are looked at from now on."""
    looked: list[str] = []

    def watched(function):
        def look(path, *arguments, **options):
            if isinstance(path, str | os.PathLike):
                looked.append(os.fspath(path))
            return function(path, *arguments, **options)

        return look

    for module, names in ((os, ("stat", "lstat", "scandir", "listdir", "readlink", "open")), (io, ("open",))):
        for name in names:
            patch.setattr(module, name, watched(getattr(module, name)))
    return looked


def shown_for(page: str, link: str, folder: Path) -> list[list[str]]:
    """What a page shows for a link that names a folder which is not there, is empty, or holds a model."""
    found = []
    for make in (lambda: None, folder.mkdir, lambda: (folder / "config.json").write_text('{"model_type": "llama"}')):
        make()
        found.append(everything(run(visit(page, model=link))))
    return found


@pytest.mark.parametrize("page", [STEER, ORGANISMS, "pages/Separation.py", "pages/Spillover.py"])
def test_a_link_does_not_tell_whether_a_folder_exists_or_holds_a_model(page, tmp_path):
    folder = tmp_path / "mine"
    missing, empty, whole = shown_for(page, str(folder), folder)
    assert missing == empty == whole
    assert shell.engine().model is None


@pytest.mark.parametrize("link", ["mine", "./mine", "~/mine", "owner/mine", "owner/mine@main"])
def test_nor_does_one_that_names_it_from_where_the_app_runs_or_from_home(link, tmp_path, monkeypatch):
    (tmp_path / "owner").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = Path(link).expanduser()
    missing, empty, whole = shown_for(STEER, link, folder)
    assert missing == empty == whole


def test_a_repository_in_a_link_is_the_hubs_also_where_there_is_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "owner" / "mine").mkdir(parents=True)
    (tmp_path / "owner" / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    app = visit(STEER, model="owner/mine")
    named = resolve(app.session_state[links.SETTINGS].model)
    assert named == resolve("owner/mine", folders=False) and named.id == "owner/mine"
    assert dict(app.query_params)["model"] == "owner/mine"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "place", [f"/{SECRET}/x", f"{SECRET}/x", f"~{SECRET}/x", f"//{SECRET}/x", f"\\\\{SECRET}\\x", f"../{SECRET}"]
)
def test_no_parameter_of_a_link_is_looked_up_on_the_disk(page, place, monkeypatch):
    with monkeypatch.context() as patch:
        looked = watch_the_disk(patch)
        visit(page, **dict.fromkeys(PARAMETERS, place))
    ours = str(paths.cache() / "models")  # where a model of the hub would lie
    assert looked and not [path for path in looked if SECRET in path and not path.startswith(ours)]


def test_the_watch_of_the_disk_sees_a_typed_folder(monkeypatch):
    looked = watch_the_disk(monkeypatch)
    with pytest.raises(ModelUnavailable):
        resolve(f"/{SECRET}/x")
    assert any(SECRET in path for path in looked)


def test_a_folder_that_this_session_knows_is_named_by_its_id_and_loaded_by_a_click_alone(model):
    known = {models.TYPED: {model.id: str(model.folder)}}
    app = visit(STEER, known, model=model.id, block="1", max_tokens="4")
    for _ in range(3):
        run(app)
    assert "steer_job_warm" not in app.session_state and shell.engine().model is None
    assert not any(str(model.folder) in shown for shown in everything(app))
    press(app, "Generate")
    finished(app)
    assert shell.engine().model == model.id
    assert dict(app.query_params)["model"] == model.id


def test_a_folder_that_this_session_does_not_know_is_asked_for(model):
    app = visit(STEER, model=model.id)
    assert "Enter the folder" in html(app)
    assert app.session_state[links.SETTINGS].model == "smollm2-135m"


def test_a_link_on_organisms_may_name_a_folder_that_this_session_knows(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    identity = resolve(str(tmp_path)).id
    app = visit(ORGANISMS, {models.TYPED: {identity: str(tmp_path)}}, model=identity, view="train")
    assert app.session_state[choice.CHOICE].model == identity
    assert visit(ORGANISMS, model=identity).session_state[choice.CHOICE].model == "smollm2-135m"


def test_a_model_of_the_hub_that_is_here_is_neither_fetched_nor_loaded_by_a_link(model):
    spec = resolve("owner/mine", folders=False)
    folder = sources.folder_of(spec)
    files = {"config.json": b"{}", "model.safetensors": save({"w": np.zeros(1, np.uint8)})}
    for name, data in files.items():
        store.write_file(folder / name, data)
    record = {"spec": spec.id, "source": sources._describe(spec), "files": {name: len(files[name]) for name in files}}
    store.write_json(folder / sources.RECORD, record)
    assert sources.is_ready(spec)
    for identity in (spec.id, "someone/unknown"):
        app = visit(STEER, model=identity)
        for _ in range(3):
            run(app)
        assert app.session_state[links.SETTINGS].model == f"hub:{identity}"
        assert "steer_job_warm" not in app.session_state and not shell.engine()._jobs
        assert ready.fetch_thread().current is None


def test_choosing_a_model_in_the_box_may_load_it_after_a_link_named_another(model):
    app = visit(STEER, model="owner/mine")
    box = widget(app, "selectbox", "Model")
    box.options.append(str(model.folder))
    box.set_value(str(model.folder))
    run(run(app))
    assert "steer_job_warm" in app.session_state


def finished(app: AppTest) -> None:
    limit = time.monotonic() + SECONDS
    while not (job := shell.engine().job(app.session_state["steer_job_panes"])).over:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert job.error is None
