"""The Runs page as a browser shows it, with real jobs: they outlive the page, and the server itself."""

from __future__ import annotations

import io
import os
import zipfile
from urllib.parse import urlsplit

import psutil
import pytest

from core import jobs, paths
from tests import sample_jobs, sample_separation
from tests.browser.conftest import serve
from tests.browser.looks import poor_contrast, sticking_out, top_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes"),
]

LONG = "Spillover of the insecure organism along its own model direction with random draws of equal length"
ERROR = "Error: The disk is full while writing a training checkpoint. Free some space, and try again."


@pytest.fixture
def slow(tmp_path):
    """A command that runs until the test is over."""
    os.mkfifo(tmp_path / "pipe")
    yield ["generate", "--prompts", str(tmp_path / "pipe")]
    for job in jobs.live():
        jobs.stop(job.id)


def runs(tmp_path):
    """The app on the cache of this test."""
    return serve(paths.cache(), tmp_path / "log")


def settled(page):
    page.wait_for_selector("text=Disk:")
    page.wait_for_timeout(500)
    return page


def kill(url: str) -> None:
    """kill -9 the server that answers there."""
    port = str(urlsplit(url).port)
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    server = next(child for child in alive if port in child.cmdline())
    server.kill()
    server.wait(10)


def test_a_job_is_resumed_outlives_its_server_is_stopped_and_deleted(slow, visit, tmp_path):
    old = sample_jobs.make("stopped", LONG, slow)
    with runs(tmp_path) as server:
        page = settled(visit(f"{server.url}/Runs"))
        page.get_by_role("button", name="Resume").click()
        page.wait_for_selector("text=Now: 1 job")
        running = jobs.live()[0]
        assert running.resumes == old
        page.wait_for_selector("text=running", timeout=30_000)
        sample_jobs.tell(running.id, "answers", range(0, 50, 5), 100)
        page.wait_for_selector("text=answers · 45 of 100")
        page.wait_for_selector("text=5 a second · about 0:")
        page.reload()
        page.wait_for_selector("text=answers · 45 of 100")
        page.goto("about:blank")
        kill(server.url)
        assert jobs.find(running.id).state == "running"
    with runs(tmp_path) as server:
        page = settled(visit(f"{server.url}/Runs"))
        page.wait_for_selector("text=answers · 45 of 100")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_selector("text=Nothing runs.", timeout=15_000)
        assert jobs.find(running.id).state == "stopped"
        assert page.get_by_text(LONG).count() == 2
        newest = page.locator(f".st-key-run-{running.id}")
        newest.get_by_role("button", name="Delete").click()
        newest.get_by_role("button", name="Delete this job").click()
        newest.wait_for(state="detached")
        assert [job.id for job in jobs.jobs()] == [old]


def test_while_nothing_runs_nothing_is_polled(visit, tmp_path):
    sample_jobs.make()
    frames: list[object] = []
    with runs(tmp_path) as server:
        page = visit("about:blank")
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
        page.goto(f"{server.url}/Runs")
        settled(page)
        assert frames
        page.wait_for_timeout(1500)
        before = len(frames)
        page.wait_for_timeout(3500)
        assert len(frames) == before


def test_the_page_is_legible_and_whole_on_every_screen(slow, visit, tmp_path):
    failed = sample_jobs.make("failed", LONG, log=f"step 1\n{ERROR}\n", number=1)
    sample_jobs.make("done", "Separation", number=2)
    sample_jobs.make(None, "Lost", number=3)
    sample_separation.make("model")
    running = jobs.start(slow, LONG)
    jobs.start(["models"], "waits")
    sample_jobs.tell(running.id, "answers", range(0, 50, 5), 10_000)
    with runs(tmp_path) as server:
        for width, height, scheme in (
            (1366, 768, "light"),
            (1366, 768, "dark"),
            (390, 844, "light"),
            (390, 844, "dark"),
        ):
            page = settled(visit(f"{server.url}/Runs", width, height, scheme))
            page.locator(f".st-key-log-{failed} button").click()
            page.wait_for_selector(".run-log")
            page.wait_for_timeout(300)
            assert poor_contrast(page) == []
            # a bar's filling is moved aside by what is not done yet
            assert [found for found in sticking_out(page) if found != "DIV "] == []
            assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
            order = ["text=Now: 2 jobs", "text=Before", "text=Saved results", "text=Disk:"]
            tops = [top_of(page, selector) for selector in order]
            assert tops == sorted(tops)
            page.close()


def test_the_keyboard_alone_reads_a_log_and_deletes(visit, tmp_path):
    identity = sample_jobs.make("failed", log=f"<b>step</b> 1\n{ERROR}\n")
    with runs(tmp_path) as server:
        page = settled(visit(f"{server.url}/Runs"))
        page.locator(f".st-key-log-{identity} button").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".run-log")
        assert page.locator(".run-log").inner_text() == f"<b>step</b> 1\n{ERROR}"
        page.locator(f".st-key-delete-{identity} button").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Delete this job")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent").endswith("Delete this job")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=No job has ended yet.")
        assert jobs.jobs() == []


def test_a_result_is_downloaded_and_opened(visit, tmp_path):
    made = sample_separation.make("model")
    with runs(tmp_path) as server:
        page = settled(visit(f"{server.url}/Runs?kind=separation"))
        row = page.locator(f".st-key-run-result-separation-{made.key}")
        row.get_by_role("button", name="Download").click()
        with page.expect_download() as coming:
            page.get_by_role("button", name="Tables (CSV)").click()
        assert (
            coming.value.suggested_filename == f"tiller-separation-smollm2-135m-insecure-model-{made.key[:8]}.csv.zip"
        )
        coming.value.save_as(tmp_path / "file.zip")
        with zipfile.ZipFile(io.BytesIO((tmp_path / "file.zip").read_bytes())) as archive:
            assert {"summary.csv", "blocks.csv", "summary.json"} <= set(archive.namelist())
        row.get_by_role("link", name="Open in Separation").click()
        page.wait_for_url("**/Separation?*")
        page.wait_for_selector("text=made up model")
