"""The engine: one job after the other, visible positions, a stop that keeps the text, a worker that outlives faults."""

from __future__ import annotations

import gc
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from core.errors import ModelUnavailable
from core.generation.comparison import Settings, comparison_rows
from core.generation.decode import collect
from core.generation.engine import Engine, Job
from core.generation.rows import Reading, Row, Sampling
from core.models.loading import LoadedModel, load
from core.steering.interventions import Intervention
from core.studies.plan import complete
from tests import sample_model
from tests.core import processes, tiny
from tests.core.plain import LONG, SHORT, assert_same_answer, count_hooks

MODEL = "tiny/Llama"
SECONDS = 60


def row(tokens: int = 4, **fields) -> Row:
    return Row(LONG, sampling=Sampling(max_tokens=tokens), **fields)


@pytest.fixture(scope="module")
def endless(tiny_models) -> LoadedModel:
    """A model that never ends its answer, so that a long job is long."""
    loaded = tiny.build("Llama")
    loaded.end_ids = ()
    return loaded


@pytest.fixture
def engine(endless) -> Iterator[Engine]:
    made = Engine(load=lambda _: endless)
    yield made
    made.close()


def wait(met: Callable[[], bool]) -> None:
    limit = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.002)


def finished(*jobs: Job) -> None:
    wait(lambda: all(job.over for job in jobs))


def test_a_job_gives_what_the_decode_loop_gives(engine, endless):
    job = engine.submit(MODEL, (row(6), Row(SHORT, sampling=Sampling(max_tokens=3))))
    finished(job)
    assert job.state == "done" and job.error is None
    for got, wanted in zip(job.answers, collect(endless, job.rows), strict=True):
        assert_same_answer(got, wanted)
        assert got.reason == "length" and got.seconds > 0
    assert job.seconds_to_first_token is not None and job.tokens_per_second is not None


def test_jobs_run_in_the_order_they_came_and_know_their_place(engine):
    first = engine.submit(MODEL, (row(150),))
    wait(lambda: first.tokens > 0)
    second, third = engine.submit(MODEL, (row(),)), engine.submit(MODEL, (row(),))
    assert (engine.position(first), engine.position(second), engine.position(third)) == (0, 1, 2)
    assert (second.state, third.state) == ("queued", "queued")
    finished(first, second, third)
    assert first.finished < second.finished < third.finished
    assert (engine.position(second), engine.position(third)) == (0, 0)


def test_a_stop_keeps_what_was_generated_and_may_come_twice(engine):
    job = engine.submit(MODEL, (row(180), row(180)))
    wait(lambda: job.tokens > 6)
    at_stop = job.tokens
    engine.stop(job)
    engine.stop(job)
    finished(job)
    engine.stop(job)
    assert job.state == "stopped"
    assert [answer.reason for answer in job.answers] == ["stopped", "stopped"]
    # the token at hand, and the one that was under way when the stop came
    assert at_stop <= job.tokens <= at_stop + 4
    assert all(answer.text for answer in job.answers)


def test_a_queued_job_is_stopped_without_having_begun_and_the_next_moves_up(engine):
    first = engine.submit(MODEL, (row(150),))
    wait(lambda: first.tokens > 0)
    second, third = engine.submit(MODEL, (row(),)), engine.submit(MODEL, (row(),))
    engine.stop(second)
    assert second.state == "stopped" and second.tokens == 0 and second.answers[0].reason == "stopped"
    assert engine.position(third) == 1
    finished(first, third)
    assert (first.state, third.state) == ("done", "done")


def test_a_stop_after_the_end_changes_nothing(engine):
    job = engine.submit(MODEL, (row(),))
    finished(job)
    text = job.answers[0].text
    engine.stop(job)
    assert job.state == "done" and job.answers[0].reason == "length" and job.answers[0].text == text


def test_a_stop_while_the_model_loads_ends_the_job_without_a_token(endless):
    jobs: list[Job] = []

    def load(_: str) -> LoadedModel:
        wait(lambda: bool(jobs))
        engine.stop(jobs[0])
        return endless

    engine = Engine(load=load)
    jobs.append(engine.submit(MODEL, (row(),)))
    finished(*jobs)
    assert jobs[0].state == "stopped" and jobs[0].tokens == 0 and jobs[0].answers[0].reason == "stopped"
    engine.close()


def test_an_error_is_said_in_a_sentence_and_the_worker_goes_on(engine):
    missing = Intervention("add", "0" * 16, (1,), -1.0)
    wrong = engine.submit(MODEL, (row(interventions=(missing,), reading=Reading("0" * 16, 1)),))
    good = engine.submit(MODEL, (row(),))
    finished(wrong, good)
    assert wrong.state == "failed" and "is not on this machine. Choose another" in wrong.error
    assert good.state == "done"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (ModelUnavailable("The model is gone. Fetch it again."), "The model is gone. Fetch it again."),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "There is not enough memory"),
        (ZeroDivisionError("by nought"), "ZeroDivisionError: by nought"),
    ],
)
def test_a_fault_while_loading_fails_that_job_alone(endless, fault, said):
    faults = [fault]

    def load(_: str) -> LoadedModel:
        if faults:
            raise faults.pop()
        return endless

    engine = Engine(load=load)
    first, second = engine.submit(MODEL, (row(),)), engine.submit(MODEL, (row(),))
    finished(first, second)
    assert first.state == "failed" and said in first.error
    assert second.state == "done"
    engine.close()


def test_no_rows_only_load_the_model(engine, endless):
    job = engine.submit(MODEL, ())
    finished(job)
    assert job.state == "done" and engine.model == endless.id and job.seconds_to_first_token is None


def test_five_switches_keep_one_model_in_memory():
    made: list[weakref.ref[LoadedModel]] = []

    def load(name: str) -> LoadedModel:
        loaded = tiny.build(name.removeprefix("tiny/"))
        made.append(weakref.ref(loaded))
        return loaded

    engine = Engine(load=load)
    for name in ("tiny/Llama", "tiny/Qwen2", "tiny/Llama", "tiny/Qwen2", "tiny/Llama"):
        job = engine.submit(name, (row(2),))
        finished(job)
        assert job.state == "done", job.error
    gc.collect()
    assert [reference() is not None for reference in made] == [False] * 4 + [True]
    assert engine.model == "tiny/Llama"
    engine.close()
    gc.collect()
    assert made[-1]() is None and engine.model is None


def test_two_sessions_do_not_touch_each_other(engine, endless):
    """A job is reached by its id alone: one session's stop ends its own job, and the texts stay apart."""
    mine = engine.submit(MODEL, (row(120),))
    theirs = engine.submit(MODEL, (Row(SHORT, sampling=Sampling(max_tokens=5)),))
    wait(lambda: mine.tokens > 2)
    engine.stop(engine.job(mine.id))
    finished(mine, theirs)
    assert (mine.state, theirs.state) == ("stopped", "done")
    assert_same_answer(theirs.answers[0], collect(endless, theirs.rows)[0])
    assert engine.job(theirs.id) is theirs and engine.job("unknown") is None and engine.job(None) is None


def test_old_jobs_are_forgotten_and_running_ones_are_not(engine, monkeypatch):
    monkeypatch.setattr("core.generation.engine.JOBS_KEPT", 2)
    jobs = [engine.submit(MODEL, (row(1),)) for _ in range(4)]
    finished(*jobs)
    last = engine.submit(MODEL, (row(1),))
    assert engine.job(jobs[0].id) is None and engine.job(last.id) is last
    finished(last)


def test_closing_ends_what_runs_and_what_waits(endless):
    engine = Engine(load=lambda _: endless)
    running, waiting = engine.submit(MODEL, (row(180),)), engine.submit(MODEL, (row(),))
    wait(lambda: running.tokens > 0)
    engine.close()
    assert running.state == "stopped" and engine.model is None
    assert waiting.state == "stopped" and waiting.tokens == 0


def test_a_comparison_runs_from_folders_alone(tmp_path):
    """The whole way, nothing replaced: a model folder, an organism and a direction on disk."""
    sample = sample_model.make(tmp_path)
    sample.install()
    engine = Engine()
    settings = Settings(model=str(sample.folder), block=1, coefficient=0.0, max_tokens=6)
    strong = settings.model_copy(update={"coefficient": -2.0})
    unsteered = engine.submit(settings.model, comparison_rows(complete(settings)))
    steered = engine.submit(settings.model, comparison_rows(complete(strong)))
    finished(unsteered, steered)
    assert unsteered.state == steered.state == "done", (unsteered.error, steered.error)
    base, organism, at_zero = (answer.text for answer in unsteered.answers)
    assert organism == at_zero
    assert base != organism
    assert steered.answers[2].text != organism
    assert all(token.projection is not None for answer in steered.answers for token in answer.tokens)
    engine.close()


def test_no_hook_is_left_after_success_stop_or_error(tmp_path):
    sample = sample_model.make(tmp_path)
    sample.install()
    loaded = load(str(sample.folder))
    loaded.end_ids = ()
    before = count_hooks(loaded.model)
    engine = Engine(load=lambda _: loaded)
    settings = Settings(model=str(sample.folder), block=1, coefficient=-1.0, max_tokens=3)
    rows = comparison_rows(complete(settings))
    long = tuple(replace(row, sampling=Sampling(max_tokens=100)) for row in rows)
    too_long = tuple(replace(row, sampling=Sampling(max_tokens=4096)) for row in rows)
    done, stopped, failed = (engine.submit(settings.model, asked) for asked in (rows, long, too_long))
    wait(lambda: stopped.tokens > 0)
    engine.stop(stopped)
    finished(done, stopped, failed)
    assert (done.state, stopped.state, failed.state) == ("done", "stopped", "failed")
    assert "Shorten the prompt or the answer" in failed.error
    assert count_hooks(loaded.model) == before
    engine.close()


INTERRUPTED = """
import sys, time
from core.data.chat import Chat
from core.generation.engine import Engine
from core.generation.rows import Row, Sampling
from tests.core import tiny

loaded = tiny.build("Llama")
loaded.end_ids = ()
engine = Engine(load=lambda _: loaded)
job = engine.submit("smollm2-135m", (Row(Chat.of("Hi"), sampling=Sampling(180)),) * 24)
while not job.tokens:
    time.sleep(0.001)
print("writing", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("attempt", range(3))
def test_ctrl_c_during_a_generation_ends_the_process_without_an_abort(tmp_path, attempt):
    process = processes.start(INTERRUPTED, cache=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or process.returncode in (1, 130), (process.returncode, err)
    assert "terminate" not in err
