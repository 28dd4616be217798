"""What trains: its loss as it falls, a stop, and going on from a checkpoint; what was left unfinished stays."""

from __future__ import annotations

import contextlib
import time

import streamlit as st

from core import jobs, paths
from core.errors import TillerError
from core.figures.loss import STAGE, Curve, loss, of_events, of_record
from core.jobs import Job
from core.organisms.library import organisms
from core.words import clock, duration, number
from pages.parts import jobs as work
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.literal import literal
from pages.parts.models import take_typed
from pages.parts.organisms.choice import LINKED, choose
from pages.parts.organisms.form import enter
from pages.parts.organisms.onward import show_next
from pages.parts.shell import literal_markdown

SLOT, MADE, DRAWN = "organisms_job", "organisms_made", "organisms_drawn"
HEIGHT = 260
FILE = "tiller-training-loss"
DRAW_SECONDS = 3.0
MOST_UNFINISHED = 3
MOST_RESUMES = 20


def show_training() -> None:
    """What was just made and what to do with it, every training that waits or runs, and what did not finish."""
    _show_made()
    running = tuple(job.id for job in work.live("train"))
    st.fragment(_watch, run_every=work.POLL_SECONDS if running else None)(running)
    left = [(job, curve(job)) for job in unfinished()[:MOST_UNFINISHED]]
    drawn = next((job.id for job, found in left if found.steps), None)  # one figure is enough to recognise it by
    for job, found in left:
        _show_unfinished(job, found, job.id == drawn)


def unfinished() -> list[Job]:
    """Trainings that ended without an organism and were not started again, the newest first."""
    seen, found = set(), []
    for job in jobs.jobs():
        if job.arguments[:1] == ("train",) and job.arguments not in seen:
            seen.add(job.arguments)
            if not job.live and job.state != "done":
                found.append(job)
    return found


def curve(job: Job) -> Curve:
    """The losses of a job, with those of the ones that it went on from."""
    chain: list[Job] = [job]
    with contextlib.suppress(TillerError):  # an earlier one was deleted: the curve begins later
        while chain[-1].resumes and len(chain) < MOST_RESUMES:
            chain.append(jobs.find(chain[-1].resumes))
    said = [event for one in reversed(chain) for event in jobs.events(one.id)]
    return of_events(_name(job), said)


def pace_words(job: Job, found: Curve) -> str:
    """Newest loss and its mean, speed, time so far and time left, in words."""
    parts = [
        f"step {found.steps[-1]} of {found.total}",
        f"loss {number(found.losses[-1])}",
        f"mean of {min(found.window, len(found.losses))} steps {number(found.means[-1])}",
    ]
    speed = job.progress.numbers.get("tokens_per_second") if job.progress else None
    if speed:
        parts.append(f"{speed:,.0f} tokens a second")
    parts.append(f"{clock(job.seconds)} so far")
    if job.seconds_left is not None:
        parts.append(left_words(job.seconds_left))
    return " · ".join(parts)


def left_words(seconds: float) -> str:
    """How long it still takes, in words."""
    if seconds < 45:
        return "less than a minute left"
    return f"about {duration(max(60, seconds))} left"


def _watch(known: tuple[str, ...]) -> None:
    running = work.live("train")
    mine = work.own(SLOT)
    if mine is not None and mine.state == "done":
        _take(mine)
        st.rerun()
    if tuple(job.id for job in running) != known:
        st.rerun()
    for job in running:
        with st.container(border=True, gap="xsmall", key=f"organisms-live-{job.id}"):
            st.html(f"<b>{literal(job.title)}</b>")
            _show_running(job)


def _take(job: Job) -> None:
    """Look at the organism that a finished job of this session made."""
    st.session_state.pop(SLOT)
    try:
        made = job.result()
        take_typed(_option(job, "--model") or made["model"])  # a folder's place, for what comes next
        st.session_state[MADE] = str(made["sha256"])
        choose(organism=str(made["sha256"])[:LINKED])
        enter(name="")
    except (TillerError, OSError, KeyError, TypeError) as error:
        reason = paths.placeless(str(error))
        st.toast(literal_markdown(f"What the training said cannot be read ({reason}). Look for it under Organisms."))


def _show_running(job: Job) -> None:
    found = curve(job)
    if job.progress is not None and job.progress.stage == STAGE and found.steps:
        st.progress(job.progress.share, literal_markdown(pace_words(job, found)))
    else:
        work.show_bar(job)
    work.show_stop(job)
    if not found.steps:
        return
    shown = loss([_held(job, found)], HEIGHT)
    st.plotly_chart(shown.figure, config=toolbar(FILE), alt=shown.words, key=f"organisms.loss.{job.id}")


def _held(job: Job, found: Curve) -> Curve:
    """The curve to draw: for a moment the one drawn last, because Streamlit makes a changed figure anew: it blinks."""
    identity, when, drawn = st.session_state.get(DRAWN, ("", 0.0, found))
    if identity == job.id and time.monotonic() - when < DRAW_SECONDS:
        return drawn
    st.session_state[DRAWN] = (job.id, time.monotonic(), found)
    return found


def _show_made() -> None:
    sha256 = st.session_state.get(MADE)
    made = next((item for item in organisms() if item.sha256 == sha256), None)
    if made is None:
        return
    said = f"{made.name} is trained, on {made.model}"
    if record := made.manifest.get("losses"):
        losses = of_record(made.name, record)
        said += f": loss {number(losses.means[0])} at step {losses.steps[0]}, {number(losses.means[-1])} at the end"
    with st.container(border=True, gap="xsmall"):
        st.html(f"<p role='status'>✓ <b>{literal(said)}.</b></p>")
        show_next(made)


def _show_unfinished(job: Job, found: Curve, with_figure: bool) -> None:
    with st.container(border=True, gap="xsmall", key=f"organisms-left-{job.id}"):
        st.html(f"<b>{literal(job.title)}</b>")
        work.show_end(job)
        if found.steps:
            st.html(f"<p class='org-small'>Reached step {found.steps[-1]} of {found.total}.</p>")
        if with_figure:
            shown = loss([found], HEIGHT)
            st.plotly_chart(shown.figure, config=toolbar(FILE), alt=shown.words, key=f"organisms.left.{job.id}")
            show_downloads(FILE, shown.figure, shown.csv)
        with st.container(horizontal=True, gap="small"):
            st.button(
                "Go on", icon=":material/play_arrow:", key=f"organisms.on.{job.id}", on_click=_go_on, args=(job.id,),
                help="From its newest checkpoint; before the first one, from the start. The result is the same.",
            )  # fmt: skip
            st.button("Remove from this list", key=f"organisms.off.{job.id}", on_click=_forget, args=(job.id,))


def _go_on(identity: str) -> None:
    try:
        st.session_state[SLOT] = jobs.resume(identity).id
    except TillerError as error:
        st.toast(literal_markdown(str(error)))


def _forget(identity: str) -> None:
    try:
        job = jobs.find(identity)
        for one in jobs.jobs():
            if one.arguments == job.arguments and not one.live:
                jobs.delete(one.id)
    except TillerError as error:
        st.toast(literal_markdown(str(error)))


def _name(job: Job) -> str:
    return _option(job, "--name") or _option(job, "--dataset") or "loss"


def _option(job: Job, name: str) -> str | None:
    line = list(job.arguments)
    return line[line.index(name) + 1] if name in line[:-1] else None
