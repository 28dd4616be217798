"""Jobs are real processes: they take turns, can be stopped with all they started, and tell how they ended.

What must run long reads its prompts from a pipe that nobody writes to, so it lasts exactly as long as the test wants.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import job_events, jobs, paths
from core import processes as kernel
from core.errors import BadInput, DamagedArtifact, NotWritable
from core.job_events import EVENTS, EVENTS_VARIABLE
from core.jobs import END, JOB, LOG, Job, Progress
from tests.core import processes

PATIENCE = 30.0

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def wait(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def ended(job: Job) -> Job:
    wait(lambda: not jobs.find(job.id).live)
    return jobs.find(job.id)


def pid(job: Job) -> int:
    return json.loads((job.folder / JOB).read_text())["pid"]


def family(job: Job) -> list[psutil.Process]:
    """The job's own process and all that it started."""
    first = psutil.Process(pid(job))
    return [first, *first.children(recursive=True)]


def gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """End what a test leaves running, also when it fails."""
    yield
    for job in jobs.jobs():
        if job.live:
            jobs.stop(job.id)


@pytest.fixture
def long_job(tmp_path) -> Callable[..., Job]:
    """A job that runs until something is written to the pipe `name`."""

    def start(name: str = "pipe") -> Job:
        if not (tmp_path / name).exists():
            os.mkfifo(tmp_path / name)
        return jobs.start(["generate", "--prompts", str(tmp_path / name)], f"reading {name}")

    return start


def running(job: Job) -> Job:
    """Wait until it is the job's turn."""
    wait(lambda: jobs.find(job.id).state == "running")
    return jobs.find(job.id)


def test_a_job_runs_to_its_end_and_has_the_json_that_its_command_prints():
    job = jobs.start(["models"], "listing the models")
    assert job.live and job.title == "listing the models" and job.arguments == ("models",)
    done = ended(job)
    assert (done.state, done.error, done.ahead) == ("done", None, 0)
    assert "smollm2-135m" in {row["id"] for row in done.result()["models"]}
    assert 0 < done.seconds < PATIENCE
    assert done.seconds == jobs.find(job.id).seconds, "the clock of an ended job stands still"


def test_a_job_survives_the_process_that_started_it():
    script = "from core import jobs\nprint(jobs.start(['models'], 'listing').id)"
    identity = processes.finish(processes.start(script, cache=paths.cache())).strip()
    assert ended(jobs.find(identity)).state == "done"
    assert jobs.find(identity).result()["models"]


def test_a_failed_job_gives_the_last_sentence_that_was_said():
    failed = ended(jobs.start(["directions", "--model", "smollm2-135n"], "no such model"))
    assert failed.state == "failed"
    assert failed.error is not None and failed.error.startswith("'smollm2-135n' is not a known model.")
    assert "\n" not in failed.error
    with pytest.raises(DamagedArtifact):
        failed.result()


def test_a_job_that_fails_half_way_tells_why(tmp_path, long_job):
    job = running(long_job())
    (tmp_path / "pipe").write_text('{"messages": 3}\n')
    failed = ended(job)
    assert failed.state == "failed" and "pipe, line 1" in str(failed.error)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"Error: First.\nError: Second.\n", "Second."),
        (b"\r\x1b[Kstep 1\r\x1b[Kstep 2\r\x1b[KError: Broken.\n\n  \n", "Broken."),
        (b"\xff\xfe Error", "\ufffd\ufffd Error"),
        (b"", "The command failed and said nothing. Run it from a terminal."),
    ],
)
def test_the_last_line_of_a_log_is_found_behind_progress_and_blank_lines(said, error):
    folder = folder_of("20260101-000000-000000-aaaaaa", {**FINE, END: '{"state": "failed", "code": 1}'})
    (folder / LOG).write_bytes(said)
    assert jobs.find(folder.name).error == error


def test_two_jobs_take_turns_and_the_second_knows_that_one_is_ahead(tmp_path, long_job):
    first = running(long_job())
    second, third = jobs.start(["models"], "second"), jobs.start(["directions"], "third")
    time.sleep(0.7)
    assert [jobs.find(job.id).state for job in (first, second, third)] == ["running", "waiting", "waiting"]
    assert [jobs.find(job.id).ahead for job in (first, second, third)] == [0, 1, 2]
    assert [job.id for job in jobs.jobs()] == [third.id, second.id, first.id]
    (tmp_path / "pipe").write_text("")
    assert [ended(job).state for job in (first, second, third)] == ["failed", "done", "done"]
    assert [jobs.find(job.id).ahead for job in (second, third)] == [0, 0]


def test_a_waiting_job_can_be_stopped_and_never_begins(long_job):
    first, second = running(long_job()), jobs.start(["models"], "second")
    assert jobs.stop(second.id).state == "stopped"
    assert jobs.find(first.id).state == "running"
    jobs.stop(first.id)
    time.sleep(0.3)
    assert not (second.folder / EVENTS).exists()


def test_stopping_ends_the_job_and_everything_it_started(long_job):
    job = running(long_job())
    started = family(job)
    stopped = jobs.stop(job.id)
    assert (stopped.state, stopped.error) == ("stopped", None)
    wait(lambda: all(map(gone, started)), 2)


def test_stopping_twice_or_after_the_end_changes_nothing(long_job):
    job = running(long_job())
    first, second = jobs.stop(job.id), jobs.stop(job.id)
    assert first == second
    done = ended(jobs.start(["models"], "quick"))
    assert jobs.stop(done.id) == done


def test_what_does_not_answer_is_killed(long_job, monkeypatch):
    """A process that is suspended cannot obey a polite request."""
    monkeypatch.setattr(jobs, "STOP_SECONDS", 0.3)
    job = running(long_job())
    started = family(job)
    started[-1].suspend()
    assert jobs.stop(job.id).state == "stopped"
    wait(lambda: all(map(gone, started)), 2)


def test_after_a_stop_the_next_job_gets_its_turn(long_job):
    first, second = running(long_job()), jobs.start(["models"], "second")
    jobs.stop(first.id)
    assert ended(second).state == "done"


def test_a_job_whose_process_was_killed_is_called_lost_leaves_nothing_and_the_next_gets_its_turn(long_job):
    job = running(long_job())
    started = family(job)
    started[0].send_signal(signal.SIGKILL)
    wait(lambda: jobs.find(job.id).state == "lost")
    lost = jobs.find(job.id)
    assert not lost.live and lost.error is None
    assert jobs.stop(job.id).state == "lost"
    wait(lambda: all(map(gone, started)), 2)
    assert ended(jobs.start(["models"], "next")).state == "done"


def test_turns_come_in_the_order_of_asking(long_job):
    first = running(long_job())
    waiting = [jobs.start(["models"], "second"), jobs.start(["directions"], "third"), jobs.start(["models", ""], "no")]
    assert [jobs.find(job.id).ahead for job in waiting] == [1, 2, 3]
    jobs.stop(first.id)
    ends = [(ended(job).folder / END).stat().st_mtime_ns for job in waiting]
    assert ends == sorted(ends)


@pytest.mark.parametrize("version", ["now", "older"])
def test_a_process_that_took_over_the_number_of_a_dead_job_is_neither_the_job_nor_stopped(version):
    done = ended(jobs.start(["models"], "quick"))
    (done.folder / END).unlink()
    record = json.loads((done.folder / JOB).read_text())
    born = record["born"] if version == "now" else psutil.Process().create_time() - 1000
    (done.folder / JOB).write_text(json.dumps({**record, "pid": os.getpid(), "born": born}))
    jobs._CHILDREN.pop(done.id)
    assert jobs.stop(done.id).state == "lost"


# the clock is set while a job runs


@pytest.fixture
def set_clock(monkeypatch) -> Callable[[float], None]:
    """Set the clock by some seconds: the time of day, and with it the kernel's idea of when it booted."""
    if not psutil.LINUX:
        pytest.skip("only Linux tells a process's start apart from the clock")
    now, booted = time.time, psutil._pslinux.boot_time

    def by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted() + seconds)

    return by


@pytest.mark.parametrize("step", [-86_400.0, -3.0, 3.0, 5.0, 86_400.0])
def test_a_running_job_stays_what_it_is_when_the_clock_is_set(long_job, set_clock, step):
    job = running(long_job())
    before = jobs.find(job.id).seconds
    set_clock(step)
    now = jobs.find(job.id)
    assert (now.state, now.ahead) == ("running", 0)
    assert before <= now.seconds < before + PATIENCE
    assert jobs.resume(job.id).id == job.id, "no second process does the same"
    with pytest.raises(BadInput, match="still at work"):
        jobs.delete(job.id)
    first = family(job)[0]
    stopped = jobs.stop(job.id)
    assert stopped.state == "stopped" and before <= stopped.seconds < before + PATIENCE
    wait(lambda: gone(first))


def test_a_process_is_known_by_its_start_whatever_the_clock_said_then(set_clock):
    mine = psutil.Process()
    born = kernel.born(mine.pid)
    set_clock(5)
    assert kernel.is_alive(mine.pid, born) and kernel.born(mine.pid) == born
    assert not kernel.is_alive(mine.pid, psutil.Process(os.getppid()).create_time() - 100)
    boot, _, ticks = str(born).rpartition(":")
    assert not kernel.is_alive(mine.pid, f"{boot}:{int(ticks) + 1}"), "another process of this number"
    assert not kernel.is_alive(mine.pid, f"another-boot:{ticks}"), "before the machine was restarted"


def test_a_job_that_an_older_version_started_is_still_known(long_job):
    job = running(long_job())
    record = json.loads((job.folder / JOB).read_text())
    del record["mono"]
    (job.folder / JOB).write_text(json.dumps({**record, "born": psutil.Process(pid(job)).create_time()}))
    now = jobs.find(job.id)
    assert now.state == "running" and 0 < now.seconds < PATIENCE
    assert jobs.stop(job.id).state == "stopped" and 0 < jobs.find(job.id).seconds < PATIENCE


def test_a_job_comes_after_those_that_were_asked_for_before_the_clock_was_set_back(long_job):
    first = running(long_job())
    tomorrow = folder_of("20991231-235959-999998-aaaaaa", FINE)
    second, third = jobs.start(["models"], "second"), jobs.start(["directions"], "third")
    assert [job.id for job in jobs.jobs()] == [third.id, second.id, tomorrow.name, first.id]
    assert (second.ahead, third.ahead) == (1, 2)


@pytest.mark.parametrize("name", ["99999999-999999-999999-aaaaaa", "99991231-235959-999999-aaaaaa", "fff", "a b"])
def test_a_folder_whose_name_is_no_time_does_not_keep_jobs_from_starting(name):
    folder_of(name, FINE)
    assert ended(jobs.start(["models"], "quick")).state == "done"


def test_pace_is_that_of_a_clock_that_nobody_sets(long_job, set_clock):
    job = running(long_job())
    now, set_back = time.monotonic(), 3600  # half-way
    with (job.folder / EVENTS).open("a") as stream:
        for place in range(0, 61, 5):
            when = {"time": time.time() + place - (set_back if place > 30 else 0), "mono": now - 60 + place}
            stream.write(json.dumps({**event("answers", place, 0), **when}) + "\n")
    set_clock(-set_back)
    told = jobs.find(job.id)
    assert told.rate == pytest.approx(1.0)
    assert told.seconds_left is not None and 30 < told.seconds_left <= 40


def test_jobs_of_two_processes_run_one_after_the_other_and_the_second_sees_its_place(tmp_path, long_job):
    os.mkfifo(tmp_path / "other")
    script = (
        "import sys\nfrom core import jobs\n"
        "job = jobs.start(['generate', '--prompts', sys.argv[1]], sys.argv[1])\nprint(job.id, job.ahead)"
    )
    first = running(long_job())
    told = processes.finish(processes.start(script, tmp_path / "other", cache=paths.cache())).split()
    second = jobs.find(told[0])
    assert (told[1], second.state, second.ahead) == ("1", "waiting", 1)
    assert [job.id for job in jobs.live()] == [first.id, second.id]
    (tmp_path / "pipe").write_text("")
    assert running(second).ahead == 0
    assert not jobs.find(first.id).live
    (tmp_path / "other").write_text("")
    ended(second)
    assert jobs.live() == []


def test_two_processes_that_ask_for_the_same_get_one_job(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    script = "import sys\nfrom core import jobs\nprint(jobs.start(['generate', '--prompts', sys.argv[1]], 'same').id)"
    asking = [processes.start(script, tmp_path / "pipe", cache=paths.cache()) for _ in range(4)]
    assert len({processes.finish(process).strip() for process in asking}) == 1
    assert len(jobs.jobs()) == 1


def test_a_job_that_was_killed_is_resumed_and_finishes(tmp_path, long_job):
    first = running(long_job())
    job = jobs.start(["models"], "listing")
    os.kill(pid(job), signal.SIGKILL)
    wait(lambda: jobs.find(job.id).state == "lost")
    again = jobs.resume(job.id)
    assert (again.arguments, again.title, again.resumes) == (job.arguments, job.title, job.id)
    assert again.id != job.id and (again.state, again.ahead) == ("waiting", 1)
    assert jobs.resume(job.id).id == again.id, "asking twice starts one"
    assert jobs.resume(again.id).id == again.id, "a live job is returned as it is"
    (tmp_path / "pipe").write_text("")
    assert ended(first).state == "failed"
    assert ended(again).state == "done" and jobs.find(again.id).result()["models"]
    assert jobs.find(job.id).state == "lost"


def test_a_job_that_did_its_work_is_not_resumed_and_a_failed_one_is():
    done = ended(jobs.start(["models"], "quick"))
    with pytest.raises(BadInput, match="is done"):
        jobs.resume(done.id)
    failed = ended(jobs.start(["directions", "--model", "no-such"], "no such model"))
    again = ended(jobs.resume(failed.id))
    assert (again.state, again.resumes) == ("failed", failed.id)
    assert ended(jobs.start(["models"], "anew")).resumes is None


def test_a_deleted_job_is_gone_and_a_live_one_is_refused(long_job):
    done, live = ended(jobs.start(["models"], "quick")), running(long_job())
    jobs.delete(done.id)
    assert not done.folder.exists()
    assert [job.id for job in jobs.jobs()] == [live.id]
    with pytest.raises(BadInput, match="There is no job"):
        jobs.delete(done.id)
    with pytest.raises(BadInput, match=r"'reading pipe' is still at work\. Stop it first\."):
        jobs.delete(live.id)
    assert jobs.find(live.id).state == "running"
    jobs.stop(live.id)
    jobs.delete(live.id)
    assert jobs.jobs() == []


def test_a_deleted_folder_does_not_come_back_from_a_process_that_is_still_ending(long_job, monkeypatch):
    """The mark of a stop is there before the process is gone."""
    monkeypatch.setattr(jobs, "STOP_SECONDS", 0.2)
    job = running(long_job())
    jobs.mark(job.folder, {"state": "stopped"})
    with pytest.raises(BadInput, match="still at work"):
        jobs.delete(job.id)
    assert jobs.find(job.id).state == "stopped"
    os.kill(pid(job), signal.SIGKILL)
    wait(lambda: gone(psutil.Process(pid(job))))
    jobs.delete(job.id)
    assert not job.folder.exists()


def test_an_ended_job_whose_record_names_no_process_can_be_deleted():
    folder = folder_of("20260101-000000-000000-aaaaaa", {JOB: record(pid="many"), END: '{"state": "failed"}'})
    jobs.delete(folder.name)
    assert not folder.exists()


@pytest.mark.parametrize("order", [("stopped", "done"), ("done", "stopped")])
def test_a_command_that_finished_while_it_was_stopped_is_done(order):
    folder = folder_of("20260101-000000-000000-aaaaaa", {JOB: record()})
    for state in order:
        jobs.mark(folder, {"state": state}, finished=state == "done")
    assert jobs.find(folder.name).state == "done"


def test_a_command_that_fails_because_it_was_stopped_is_stopped():
    folder = folder_of("20260101-000000-000000-aaaaaa", {JOB: record()})
    for state in ("stopped", "failed"):
        jobs.mark(folder, {"state": state})
    assert jobs.find(folder.name).state == "stopped"


def test_the_end_of_a_long_log_is_read():
    folder = folder_of("20260101-000000-000000-aaaaaa", FINE)
    (folder / LOG).write_text("x" * 300_000 + "\nlast\n")
    said = jobs.find(folder.name).log()
    assert len(said) == 200_000 and said.endswith("\nlast\n")
    (folder / LOG).unlink()
    assert jobs.find(folder.name).log() == ""


def test_asking_for_the_same_live_command_gives_the_same_job_and_another_one_later(tmp_path, long_job):
    job = running(long_job())
    assert long_job().id == job.id
    assert long_job("another").id != job.id
    jobs.stop(job.id)
    again = long_job()
    assert again.id != job.id and again.live


def test_progress_of_a_command_is_read_while_it_runs(long_job):
    job = running(long_job())
    assert job.progress is None, "a command that has said nothing yet has no stage"
    with (job.folder / EVENTS).open("a") as stream:
        stream.write('{"stage": "training prompts", "done": 3, "of": 12, "time": 1}\n{"stage": "held-out prom')
    assert jobs.find(job.id).progress == Progress("training prompts", 3, 12)
    assert jobs.find(job.id).progress.share == 0.25


def test_progress_is_written_to_the_job_that_a_process_belongs_to(tmp_path, monkeypatch):
    monkeypatch.delenv(EVENTS_VARIABLE, raising=False)
    jobs.emit("nowhere", 1, 2)
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / EVENTS))
    jobs.emit("first", 1, 2)
    jobs.emit("second", 2, 2)
    assert [(item["stage"], item["done"]) for item in job_events.newest(tmp_path)] == [("first", 1), ("second", 2)]


def test_numbers_for_a_curve_are_kept_in_order_and_what_is_not_finite_is_missing(tmp_path, monkeypatch):
    folder = folder_of("20260101-000000-000000-aaaaaa", FINE)
    monkeypatch.setenv(EVENTS_VARIABLE, str(folder / EVENTS))
    job_events.begin()
    losses = [2.5, float("nan"), 0.25]
    for step, loss in enumerate(losses, 1):
        jobs.emit("training", step, 3, loss=loss, tokens_per_second=100)
    with (folder / EVENTS).open("a") as stream:
        stream.write('[1]\n"stage"\n{"stage": "training", "done": 4')
    told = jobs.events(folder.name)
    assert [(event["done"], event["loss"]) for event in told] == [(1, 2.5), (2, None), (3, 0.25)]
    assert [event["time"] for event in told] == sorted(event["time"] for event in told)
    assert jobs.find(folder.name).progress == Progress("training", 3, 3, {"loss": 0.25, "tokens_per_second": 100.0})


def test_of_a_long_file_the_newest_20000_lines_are_read():
    folder = folder_of("20260101-000000-000000-aaaaaa", FINE)
    lines = [json.dumps({"stage": "a", "done": place, "of": 30_000, "time": place}) for place in range(30_000)]
    (folder / EVENTS).write_text("".join(f"{line}\n" for line in lines))
    told = jobs.events(folder.name)
    assert [event["done"] for event in told] == list(range(10_000, 30_000))


def event(stage: str, done: int, when: float, of: int = 100) -> dict:
    return {"stage": stage, "done": done, "of": of, "time": when}


@given(
    speed=st.floats(0.01, 1000), counts=st.lists(st.integers(1, 50), min_size=1, max_size=30), began=st.floats(0, 2e9)
)
def test_steady_work_has_its_speed_and_the_time_that_is_left_at_that_speed(speed, counts, began):
    done, of = [sum(counts[:place]) for place in range(len(counts) + 1)], sum(counts) + 7
    told = [event("before", 9, began - 5), *(event("now", count, began + count / speed, of) for count in done)]
    rate, left = job_events.pace(told, told[-1]["time"])
    assert rate == pytest.approx(speed, rel=0.01)
    assert left == pytest.approx(7 / speed, rel=0.01)


@pytest.mark.parametrize(
    ("told", "now", "pace"),
    [
        ([], 9, (None, None)),
        ([event("a", 5, 1)], 9, (None, None)),
        ([event("a", 1, 0), event("a", 9, 4), event("b", 0, 5)], 6, (None, None)),  # a stage of its own
        ([event("a", 90, 0), event("a", 10, 10), event("a", 20, 15)], 15, (2.0, 40.0)),  # it began anew
        ([event("a", 0, 0), event("a", 10, 10)], 13, (1.0, 87.0)),  # three seconds of the wait are over
        ([event("a", 0, 0), event("a", 10, 10)], 90, (1 / 9, 810.0)),  # it stands still
        ([event("a", 0, 5), event("a", 10, 5)], 6, (None, None)),  # no time between
        ([event("a", 0, 5), event("a", 10, 3)], 6, (None, None)),  # the clock was set back
        ([event("a", 0, 0), event("a", 100, 10)], 12, (10.0, 0.0)),
    ],
)
def test_pace_counts_the_current_stage_only(told, now, pace):
    assert job_events.pace(told, now) == pytest.approx(pace)


def test_every_browser_is_told_the_same_rate_and_time_left(long_job):
    job = running(long_job())
    now = time.time()
    with (job.folder / EVENTS).open("a") as stream:
        stream.writelines(json.dumps(event("answers", place, now - 60 + place)) + "\n" for place in range(0, 61, 5))
    script = f"from core import jobs\njob = jobs.find({job.id!r})\nprint(job.rate, job.seconds_left)"
    rate, left = map(float, processes.finish(processes.start(script, cache=paths.cache())).split())
    assert rate == pytest.approx(1.0)
    assert 30 < left <= 40
    assert jobs.find(job.id).rate == pytest.approx(rate)
    stopped = jobs.stop(job.id)
    assert stopped.seconds_left is None


@pytest.mark.parametrize(("done", "of", "share"), [(0, 0, 0.0), (1, 4, 0.25), (9, 4, 1.0)])
def test_a_share_lies_between_0_and_1(done, of, share):
    assert Progress("a stage", done, of).share == share


def record(**changes) -> str:
    fine = {"title": "t", "arguments": [], "time": 1.0, "pid": 2**22 + 5, "born": 1.0}
    return json.dumps({**fine, **changes})


DAMAGE = {
    "a cut record": {JOB: '{"title": '},
    "an empty record": {JOB: ""},
    "a record that is a list": {JOB: "[1]"},
    "a record that is a text": {JOB: '"x"'},
    "a record of nothing": {JOB: "{}"},
    "a number that is no process": {JOB: record(pid="many")},
    "a negative number": {JOB: record(pid=-4)},
    "a number no system has": {JOB: record(pid=2**70)},
    "a time that is no number": {JOB: record(born="yesterday")},
    "arguments that are none": {JOB: record(arguments=3)},
    "an end that is a list": {JOB: record(), END: "[]"},
    "an end of nothing": {JOB: record(), END: "{}"},
    "events that are numbers": {JOB: record(), EVENTS: "3\n4\n"},
    "events of nothing": {JOB: record(), EVENTS: '{"stage": "a"}\n'},
}


def folder_of(identity: str, files: dict[str, str]) -> Path:
    folder = paths.cache() / "jobs" / identity
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


FINE = {JOB: record(title="fine"), END: '{"state": "done"}'}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_job_folder_does_not_hide_the_others_and_is_named(damage):
    fine, damaged = folder_of("20260101-000000-000000-aaaaaa", FINE), "20250101-000000-000000-aaaaaa"
    folder_of(damaged, DAMAGE[damage])
    assert [job.title for job in jobs.jobs() if job.id != damaged] == ["fine"]
    assert jobs.find(fine.name).state == "done"
    for ask in (jobs.find, jobs.stop):
        try:
            assert not ask(damaged).live
        except DamagedArtifact as error:
            assert damaged in str(error)


def test_a_job_starts_and_waits_beside_damaged_folders(long_job):
    for number, files in enumerate(DAMAGE.values()):
        folder_of(f"20250101-000000-000000-{number:06x}", files)
    running(long_job())
    second = jobs.start(["models"], "second")
    assert second.ahead == 1
    jobs.stop(second.id)


@pytest.mark.parametrize(
    "identity", ["", ".", "..", "../jobs", "a/b", "/etc", "x" * 5000, "a\0b", ".turn.lock", "unheard-of", "%2e%2e"]
)
def test_an_id_that_names_no_job_is_refused_and_touches_nothing(identity):
    folder_of("20260101-000000-000000-aaaaaa", {JOB: record()})
    (paths.cache() / JOB).write_text(record())
    before = sorted(paths.cache().rglob("*"))
    for ask in (jobs.find, jobs.stop, jobs.resume, jobs.delete, jobs.events):
        with pytest.raises(BadInput, match="There is no job") as raised:
            ask(identity)
        assert len(str(raised.value)) < 200
    assert sorted(paths.cache().rglob("*")) == before


# a disk that is full, or that cannot be written

needs_a_disk = pytest.mark.skipif(
    not processes.can_mount(), reason="this machine does not let tests mount a small disk"
)

ON_A_DISK = """
import contextlib, json, os, pathlib, subprocess, sys
import psutil
from core import job_events, job_folder, jobs, paths
from core.errors import NotWritable, OutOfSpace
from tests import sample_jobs
from tests.core.test_jobs import ended, running

cache = pathlib.Path(sys.argv[1])

def fill():
    with contextlib.suppress(OSError), open(cache / "ballast", "ab", buffering=0) as stream:
        while stream.write(bytes(4096)):
            pass

def make_read_only():
    for how in (["--bind", cache], ["-o", "remount,bind,ro"]):  # the first: files that are open stay as they are
        subprocess.run(["mount", *how, cache], check=True)

def folders():
    return sorted(path.name for path in jobs.root().iterdir() if not path.name.startswith("."))
"""


def on_a_disk(folder: Path, kilobytes: int, script: str) -> str:
    """What a script says whose cache is a disk of that size."""
    (folder / "disk").mkdir()
    code, disk = ON_A_DISK + script, folder / "disk"
    return processes.finish(processes.start(code, disk, cache=disk, disk=(disk, kilobytes)))


@needs_a_disk
def test_on_a_disk_that_is_nearly_full_no_job_starts(tmp_path):
    said = on_a_disk(
        tmp_path,
        20_000,
        """
try:
    jobs.start(["models"], "quick")
except OutOfSpace as error:
    print(error, folders(), psutil.Process().children())
""",
    )
    assert said == (
        "A job needs 0.1 GB of disk and 0.0 GB are free. Free some space, or set TILLER_CACHE to a folder on another "
        "disk, and try again. [] []\n"
    )


@needs_a_disk
def test_a_job_whose_record_finds_no_room_is_ended_and_leaves_nothing(tmp_path):
    """The room can be gone between the look and the writing; here the record itself is too large."""
    said = on_a_disk(
        tmp_path,
        600,
        """
job_folder.LEAST_BYTES = 0
try:
    jobs.start(["models"], "x" * 1_000_000)
except OutOfSpace as error:
    print(error, folders(), psutil.Process().children())
job_folder.SPARE_BYTES = 1_000_000
try:
    jobs.start(["models"], "quick")
except OutOfSpace as error:
    print(error, folders(), psutil.Process().children())
""",
    )
    assert said.count("The disk is full while writing") == said.count("[] []\n") == 2


def test_a_process_that_is_not_on_record_does_not_work():
    """Whoever started it may have been killed before it could say so."""
    folder = paths.cache() / "jobs" / "20260101-000000-000000-aaaaaa"
    folder.mkdir(parents=True)
    script = (
        "import runpy, sys\nsys.argv = ['x', *sys.argv[1:]]\nrunpy.run_module('core.job_process', run_name='__main__')"
    )
    processes.finish(processes.start(script, folder, "models", cache=paths.cache()))
    assert list(folder.iterdir()) == []


@needs_a_disk
def test_progress_that_finds_no_room_waits_for_it_and_the_work_goes_on(tmp_path):
    said = on_a_disk(
        tmp_path,
        200,
        """
os.environ[job_events.EVENTS_VARIABLE] = str(cache / job_events.EVENTS)
sys.stderr = sys.stdout
count = 0
for room in (True, False, False, True):
    fill() if not room else (cache / "ballast").unlink(missing_ok=True)
    for _ in range(100):  # more than what the file's last block still holds
        jobs.emit("answers", count := count + 1, 400)
print([event["done"] for event in job_events.newest(cache, 1 << 20)] == list(range(1, 401)))
""",
    )
    assert said == "Progress cannot be written (is the disk full?). It is kept until it can.\nTrue\n"


@needs_a_disk
def test_on_a_disk_that_fills_up_jobs_can_be_stopped_and_say_how_they_ended(tmp_path):
    said = on_a_disk(
        tmp_path,
        2000,
        """
job_folder.LEAST_BYTES = 0
os.mkfifo(cache / "pipe")
first = running(jobs.start(["generate", "--prompts", str(cache / "pipe")], "first"))
fill()
print(jobs.stop(first.id).state)
(cache / "ballast").unlink()
first, second = running(jobs.resume(first.id)), jobs.start(["models"], "second")
jobs.mark(first.folder, {"state": "stopped"})
fill()
os.kill(json.loads((first.folder / jobs.JOB).read_text())["pid"], 9)
over = ended(second)
print(over.state, over.error)
(cache / "ballast").unlink()
print(ended(jobs.resume(second.id)).state)
""",
    ).splitlines()
    assert said[0] == "stopped"
    assert said[1].startswith("failed ") and ("No space left" in said[1] or "disk is full" in said[1])
    assert said[2] == "done"


@needs_a_disk
def test_on_a_disk_that_cannot_be_written_each_wish_is_refused_in_one_sentence_and_jobs_are_still_read(tmp_path):
    said = on_a_disk(
        tmp_path,
        2000,
        """
job_folder.LEAST_BYTES = 0
done, stopped = sample_jobs.make("done", number=1), sample_jobs.make("stopped", number=2)
os.mkfifo(cache / "pipe")
live = running(jobs.start(["generate", "--prompts", str(cache / "pipe")], "live"))
make_read_only()
wishes = [lambda: jobs.start(["models"], "x"), lambda: jobs.resume(stopped), lambda: jobs.delete(done)]
for wish in wishes:
    try:
        wish()
    except NotWritable as error:
        print(error)
print([job.state for job in jobs.jobs()], jobs.stop(live.id).state, psutil.Process().children())
""",
    ).splitlines()
    sentence = "The cache folder cannot be written (read-only file system). Set TILLER_CACHE to a folder you can write"
    assert [line.startswith(sentence) for line in said[:3]] == [True] * 3
    assert said[3:] == ["['running', 'stopped', 'done'] lost []"]


def test_a_cache_that_is_no_folder_is_refused_in_one_sentence_and_holds_no_jobs(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path / "file"))
    assert jobs.jobs() == jobs.live() == []
    with pytest.raises(NotWritable, match=r"cannot be written \(not a directory\)\. Set TILLER_CACHE to a folder"):
        jobs.start(["models"], "quick")
