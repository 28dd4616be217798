"""No page tells where something lies on this machine: it may be on a projector, or open on another one."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from core import paths
from pages.parts import shell
from tests import sample_jobs, sample_separation
from tests.pages.app import html, run, visit, widget

PLACE = "/home/someone/secret place"
LOG = f"""Traceback (most recent call last):
  File "{paths.ROOT}/core/jobs.py", line 3, in <module>
FileNotFoundError: [Errno 2] No such file or directory: '{PLACE}/model/config.json'
Error: {PLACE.replace(" ", "-")}/model cannot be read."""


@pytest.fixture(autouse=True)
def an_engine_of_its_own():
    shell.engine.clear()
    yield
    shell.engine.clear()


def test_a_failed_jobs_log_and_error_name_files_without_their_folders():
    identity = sample_jobs.make("failed", log=LOG)
    app = visit("pages/Runs.py")
    app.button(key=f"log-{identity}").click()
    text = html(run(app))
    assert "config.json" in text and "core/jobs.py" in text and "model cannot be read" in text
    assert "someone" not in text and str(paths.ROOT) not in text


def test_an_error_and_what_lies_behind_it_name_files_without_their_folders():
    def page(place: str) -> None:
        from core.errors import BadInput
        from pages.parts.shell import show_error

        error = BadInput(f"{place}-x/mine.txt cannot be read.")
        error.__cause__ = FileNotFoundError(2, "No such file or directory", f"{place}/mine.txt")
        show_error(error)

    app = AppTest.from_function(page, args=("/home/someone/place",)).run()
    assert app.error[0].value.replace("\\", "") == "mine.txt cannot be read."
    assert app.get("code")[0].value == "FileNotFoundError: [Errno 2] No such file or directory: 'mine.txt'"


def test_the_command_that_made_a_result_names_files_without_their_folders(assets):
    command = "python -m core separate --model /home/someone/model --prompts=/home/someone/a.txt"
    sample_separation.make(provenance={"command": command})
    text = html(visit("pages/Separation.py"))
    assert "python -m core separate --model model --prompts=a.txt" in text
    assert "someone" not in text


def test_steer_calls_a_folder_by_its_name_while_it_is_chosen_loaded_and_used(made):
    made.install()
    app = visit("pages/Steer.py")
    box = widget(app, "selectbox", "Model")
    box.options.append(str(made.folder))
    box.set_value(str(made.folder))
    seen = []
    limit = time.monotonic() + 60
    while shell.engine().model != made.id:
        assert time.monotonic() < limit
        run(app)
        popovers = [element.proto.popover.label for element in app.get("popover")]
        seen.append(html(app) + str(widget(app, "selectbox", "Model").options) + str(popovers))
    assert f"Loading {made.id} in the background" in "".join(seen)
    assert made.folder.name in seen[-1]
    assert str(made.folder.parent) not in "".join(seen)
