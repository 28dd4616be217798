"""The Runs page: all jobs and results are there, with what can be done; nothing on it names a place of the machine."""

from __future__ import annotations

import io
import os
import time
import zipfile
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import disk, jobs, paths, results
from core.jobs import Job
from core.results import save_result
from pages.parts import jobs as work
from pages.parts.literal import literal
from pages.parts.runs import saved, space, targets, view, words
from tests import sample_jobs, sample_separation
from tests.pages import app as pages
from tests.pages.app import SECONDS, heavy_imports, html, pieces, run, visit, wait_for

pytestmark = pytest.mark.usefixtures("assets")

PAGE = "pages/Runs.py"
HEAVY = ("torch", "transformers", "peft", "sklearn", "scipy", "gguf", "pandas", "pyarrow")
HOSTILE = "<b>bold</b> $x$ # h ![x](http://elsewhere.example/x.png)"


@pytest.fixture
def live(tmp_path):
    """A job that runs until the test is over, and one that waits behind it."""
    os.mkfifo(tmp_path / "pipe")
    running = jobs.start(["generate", "--prompts", str(tmp_path / "pipe")], f"reading {HOSTILE}")
    limit = time.monotonic() + SECONDS
    while jobs.find(running.id).state != "running":
        assert time.monotonic() < limit
        time.sleep(0.02)
    yield jobs.find(running.id), jobs.start(["models"], "waits")
    for job in jobs.live():
        jobs.stop(job.id)


open_page = partial(visit, PAGE)


def click(app, key: str):
    app.button(key=key).click()
    return run(app)


def keys(app) -> set[str]:
    return {str(button.key) for button in app.button}


def links(app) -> list[tuple[str, str]]:
    return [link for link in pages.links(app) if link[0].startswith("Open in ")]


def bars(app) -> list[str]:
    return [element.proto.text.replace("\\", "") for element in app.get("progress")]


def titles(app) -> list[str]:
    return [body.partition("<b>")[2].partition("</b>")[0] for body in pieces(app, 'class="run-head"')]


def test_no_heavy_library_is_imported_with_jobs_and_results():
    sample_jobs.make()
    sample_separation.make()
    shown = "sum('run-head\"><b>' in element.proto.body for element in app.get('html')) > 1"
    assert heavy_imports(PAGE, HEAVY, shown) == []


def test_with_nothing_there_each_part_says_so():
    text = html(open_page())
    assert "Nothing runs." in text and "No job has ended yet." in text and "No study has been saved" in text


# jobs that are over


@pytest.mark.parametrize("state", ["done", "stopped", "failed", None])
def test_a_job_that_is_over_says_how_and_offers_what_makes_sense(state):
    log = f"reading\nError: {HOSTILE}\n"
    identity = sample_jobs.make(state, HOSTILE, log=log, out={"key": "0123456789abcdef"})
    app = open_page()
    text = html(app)
    assert titles(app) == [literal(HOSTILE)]
    assert f'run-state run-{state or "lost"}">{state or "lost"}<' in text
    assert "python -m core separate --model smollm2-135m --organism insecure" in text
    assert (f"resume-{identity}" in keys(app)) == (state != "done")
    assert links(app) == ([("Open in Separation", "result=0123456789")] if state == "done" else [])
    assert (f'run-error">{literal(HOSTILE)}' in text) == (state == "failed")
    assert ("took 1:1" in text) == (state is not None), "nobody knows when a lost job ended"
    assert {f"log-{identity}", f"delete-{identity}"} <= keys(app)


def test_a_log_is_folded_until_asked_for_and_then_literal_and_whole():
    identity = sample_jobs.make("failed", log=f"first {HOSTILE}\n" + "line\n" * 500 + "Error: last\n")
    app = open_page()
    assert "first" not in html(app)
    click(app, f"log-{identity}")
    assert f"first {literal(HOSTILE)}" in html(app) and html(app).count("line&#10;") == 500
    click(app, f"log-{identity}")
    assert "first" not in html(app)


def test_of_hundreds_of_jobs_the_newest_are_shown_and_more_on_request():
    for number in range(300):
        sample_jobs.make(title=f"number {number}", number=number)
    began = time.perf_counter()
    app = open_page()
    assert titles(app) == [f"number {number}" for number in range(299, 289, -1)]
    click(app, "runs.more.jobs")
    assert titles(app)[-1] == "number 280" and len(titles(app)) == 2 * view.STEP
    assert time.perf_counter() - began < 15


def test_filters_by_state_and_command_are_in_the_link_and_come_back_from_it():
    for number, (state, verb) in enumerate([("done", "separate"), ("failed", "separate"), ("failed", "train")]):
        sample_jobs.make(state, f"{verb} {state}", (verb,), number)
    app = open_page()
    next(box for box in app.selectbox if box.label == "State").select("failed")
    run(app)
    assert titles(app) == ["train failed", "separate failed"]
    next(box for box in app.selectbox if box.label == "Command").select("separate")
    run(app)
    assert titles(app) == ["separate failed"]
    assert app.query_params == {"state": "failed", "command": "separate"}
    assert titles(open_page(state="failed", command="separate")) == ["separate failed"]
    app = open_page(state="lost")
    assert titles(app) == [] and "None of the 3 jobs is of that kind" in html(app)


def test_nonsense_in_a_link_falls_back_with_a_note():
    sample_jobs.make()
    app = open_page(state="<script>", command="no-such", kind="nothing")
    assert len(titles(app)) == 1
    text = html(app)
    assert text.count("was left out") == 3
    assert literal("The link’s state '<script>' was left out: choose done, failed, lost, stopped.") in text


def test_deleting_takes_the_job_and_one_that_is_gone_already_is_one_sentence():
    first, second = sample_jobs.make(title="first", number=1), sample_jobs.make(title="second", number=2)
    app = click(open_page(), f"delete-{first}")
    assert "What it made stays." in html(app)
    click(app, f"delete-{first}")
    assert f"delete-{first}-yes" not in keys(app), "kept"
    click(click(app, f"delete-{first}"), f"delete-{first}-yes")
    assert titles(app) == ["second"]
    click(app, f"delete-{second}")
    jobs.delete(second)  # in another browser
    click(app, f"delete-{second}-yes")
    assert titles(app) == []
    assert "There is no job" in app.toast[0].value.replace("\\", "")


def test_all_jobs_of_a_filter_are_deleted_at_once_and_no_others(live):
    for number, state in enumerate(("done", "failed", "failed", None)):
        sample_jobs.make(state, str(state), number=number)
    app = click(open_page(state="failed"), "delete-all")
    assert "2 entries and their logs go." in html(app)
    click(app, "delete-all-yes")
    left = [job.state for job in jobs.jobs() if not job.live]
    assert left == ["lost", "done"]
    click(click(open_page(), "delete-all"), "delete-all-yes")
    assert {job.id for job in jobs.jobs()} == {job.id for job in live}


def test_resuming_starts_the_command_again_and_the_old_job_says_so(live):
    identity = sample_jobs.make("stopped", "made for a test", ["models", "again"])
    app = click(open_page(), f"resume-{identity}")
    again = jobs.live()[-1]
    assert (again.resumes, again.title, again.ahead) == (identity, "made for a test", 2)
    assert f"resume-{identity}" not in keys(app)
    assert "resumed later" in html(app)
    assert bars(app)[-1].startswith("Waiting: 2 jobs before this one")


# jobs that run


def test_what_runs_shows_stage_rate_time_left_and_what_waits_its_place(live):
    running, _ = live
    sample_jobs.tell(running.id, "answers", range(0, 50, 5), 100, seconds=2)
    app = open_page()
    assert titles(app) == [literal(f"reading {HOSTILE}"), "waits"]
    first, second = bars(app)
    assert first.startswith("answers · 45 of 100 · 0:") and "2.5 a second · about 0:2" in first
    assert second.startswith("Waiting: 1 job before this one")
    assert "Now: 2 jobs" in html(app)
    assert "python -m core generate --prompts pipe" in html(app)


def test_stopping_and_stopping_again_from_another_browser_ends_in_one_stop(live):
    running, waiting = live
    app, other = open_page(), open_page()
    click(app, f"stop-{running.id}")
    assert jobs.find(running.id).state == "stopped"
    click(other, f"stop-{running.id}")
    assert not other.toast
    assert titles(open_page()).count(literal(running.title)) == 1
    wait_for(waiting.id)
    app = run(app)
    assert "Nothing runs." in html(app)
    assert not [key for key in keys(app) if key.startswith("stop-")]


def test_stopping_a_job_that_was_deleted_meanwhile_is_one_sentence(live):
    running, _ = live
    app = open_page()
    jobs.stop(running.id)
    jobs.delete(running.id)
    click(app, f"stop-{running.id}")
    assert "There is no job" in app.toast[0].value.replace("\\", "")


def job(**changes) -> Job:
    plain = {"id": "a", "title": "t", "arguments": (), "started": 1.0, "state": "running", "ahead": 0, "seconds": 5.0}
    return Job(**{**plain, "progress": jobs.Progress("s", 3, 10), "folder": Path("nowhere"), **changes})


@pytest.mark.parametrize(
    ("rate", "said"), [(None, ""), (0.0, ""), (12.34, "12 a second"), (0.05, "3 a minute"), (0.001, "3.6 an hour")]
)
def test_a_pace_is_told_in_the_unit_that_reads_well(rate, said):
    assert work.pace(job(rate=rate)) == said


def test_where_a_job_stands_is_told_with_times_as_a_clock():
    assert (
        work.status(job(rate=1.0, seconds_left=7.2))
        == "s · 3 of 10 · 0:05 · 1 a second · about 0:07 left in this stage"
    )
    assert work.status(job(progress=None)) == "Starting · 0:05"


# results


def test_results_say_what_they_are_and_only_those_made_here_can_be_deleted(monkeypatch):
    here = sample_separation.make("model")
    save_result(
        "trial", "abcdef0123", {"model": "m", "n": 7, "provenance": {"time": "2026-05-06T07:08:09+00:00"}}, {}, "x"
    )
    app = open_page()
    text = html(app)
    assert titles(app) == ["separation · smollm2-135m · insecure · model", "trial · m"]
    assert "made here" in text and "came with Tiller" in text
    assert "n = 24 held-out prompts" in text and "n = 7 prompts · 6 May 2026, 07:08 UTC" in text
    assert links(app) == [("Open in Separation", f"result={here.key[:10]}")], "no page shows a trial"
    assert [key for key in keys(app) if key.startswith("delete-")] == [f"delete-separation-{here.key}"]
    click(app, "download-trial-x")
    assert [button.proto.label for button in app.get("download_button")] == [file[0] for file in saved.FILES]
    click(click(app, f"delete-separation-{here.key}"), f"delete-separation-{here.key}-yes")
    assert titles(app) == ["trial · m"]
    assert not here.folder.exists()


def test_a_result_that_another_browser_deleted_is_no_fault():
    here = sample_separation.make("model")
    app = click(open_page(), f"delete-separation-{here.key}")
    results.delete_result(here)
    click(app, f"delete-separation-{here.key}-yes")
    assert titles(app) == [] and not app.toast


def test_results_are_filtered_by_study_and_a_damaged_one_is_counted():
    sample_separation.make("model")
    folder = save_result("trial", "a", {"provenance": {}}, {}).folder
    assert titles(open_page(kind="separation")) == ["separation · smollm2-135m · insecure · model"]
    (folder / results.SUMMARY).write_text("{")
    app = open_page()
    assert len(titles(app)) == 1 and "1 damaged and left out" in html(app)


def test_downloads_are_made_from_what_lies_there_when_asked_for():
    made = sample_separation.make("model")
    place = results.places()[0]
    csv, parquet, page = (saved._written(place, file[3]) for file in saved.FILES)
    for data, ending, read in ((csv, "csv", pd.read_csv), (parquet, "parquet", pd.read_parquet)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            blocks = read(io.BytesIO(archive.read(f"blocks.{ending}")))
        assert blocks["auroc"].tolist() == pytest.approx([row["auroc"] for row in made.summary["blocks"]])
    assert page.startswith(b"<!doctype html>")


# where things are shown


def ended(*arguments: str, out=None, state: str = "done") -> Job:
    number = len(list(jobs.root().glob("*")))
    return jobs.find(sample_jobs.make(state, arguments=arguments, out=out, number=number))


def test_each_command_has_its_page():
    made = {
        "key": "0123456789abcdef",
        "model": "smollm2-360m",
        "organism": "o",
        "direction": "d",
        "id": "i",
        "name": "n",
    }
    result = {"result": "0123456789"}
    model = {"model": "smollm2-360m"}
    expected = {
        "separate": ("Separation", result), "spillover": ("Spillover", result), "transfer": ("Transfer", result),
        "choose": ("Steer", {**model, "organism": "o", "direction": "d"}),
        "extract": ("Steer", {**model, "direction": "i"}), "import": ("Steer", {**model, "direction": "i"}),
        "train": ("Organisms", {**model, "organism": "n"}), "fetch": ("Steer", {}), "models": None, "assets": None,
    }  # fmt: skip
    for verb, target in expected.items():
        assert targets.of_job(ended(verb, out=made)) == target, verb


def test_without_a_result_the_command_line_says_what_to_open():
    options = ("--model=smollm2-360m", "--organism", "a b", "--contrast", "content", "--fresh")
    wanted = {"model": "smollm2-360m", "organism": "a b", "contrast": "content"}
    for out in (None, [1], {"key": ""}, "text"):
        assert targets.of_job(ended("separate", *options, out=out)) == ("Separation", wanted)
    training = ended("train", "--model", "smollm2-360m", "--dataset", "insecure", state="stopped")
    assert targets.of_job(training) == ("Organisms", {"model": "smollm2-360m", "view": "train"})
    assert targets.of_job(ended("fetch", "--model", "smollm2-135m")) == ("Steer", {}), "what is usual is left out"


@pytest.mark.parametrize("place", ["/home/someone/model", "~/model", "C:\\Users\\me\\model", "../up/model", "./model"])
def test_no_place_of_the_machine_is_in_a_link_or_a_command(place):
    arguments = ("separate", "--model", place, f"--prompts={place}", "--organism", "insecure")
    assert targets.of_job(ended(*arguments)) == ("Separation", {"organism": "insecure"})
    said = words.command(arguments)
    assert "someone" not in said and "/home" not in said
    assert "separate --model" in said and "--organism insecure" in said


@given(st.text(max_size=30))
def test_what_is_no_place_stays_as_it_is_in_a_command(text):
    if not words.is_place(text.rpartition("=")[2]):
        assert words.command([text]).startswith("python -m core ")
        assert words._placeless(text) == text


def test_disk_use_is_told_by_part():
    (paths.cache() / "cells").mkdir()
    (paths.cache() / "cells" / "a").write_bytes(b"x" * 123_456)
    text = html(open_page())
    assert "answers that studies share" in text and "123 kB" in text and "free" in text


def test_every_part_of_the_disk_is_explained():
    assert set(space.MEANING) == {*disk.PARTS, "other"}
