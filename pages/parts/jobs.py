"""Long work as pages show it: how far each job is, with a stop; it is found again after a reload and in any browser."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core import jobs
from core.errors import TillerError
from core.jobs import Job
from core.words import clock, number
from pages.parts.literal import literal
from pages.parts.shell import literal_markdown, show_error

POLL_SECONDS = 1.0


def live(verb: str, *also: str) -> list[Job]:
    """Jobs of a verb that wait or run, the first to run first; `also` must be among their arguments."""
    return [job for job in jobs.live() if job.arguments[:1] == (verb,) and set(also) <= set(job.arguments)]


def begin(arguments: Sequence[str], title: str, slot: str) -> None:
    """Start a job and remember it as this session's own under `slot`."""
    st.session_state[slot] = jobs.start(arguments, title).id


def own(slot: str) -> Job | None:
    """This session's own job, while its folder is there."""
    identity = st.session_state.get(slot)
    try:
        return jobs.find(identity) if identity else None
    except TillerError:
        return None


def show_job(job: Job) -> None:
    """Title, waiting position or stage with a bar, time, and a stop."""
    with st.container(border=True, gap="xsmall"):
        st.html(f"<b>{literal(job.title)}</b>")
        show_bar(job)
        show_stop(job)


def show_bar(job: Job) -> None:
    """The bar, and what it stands for in words."""
    st.progress(job.progress.share if job.progress else 0.0, literal_markdown(status(job)))


def show_stop(job: Job) -> None:
    """A button that stops a job; harmless when it has ended, one sentence when it was deleted meanwhile."""
    st.button("Stop", icon=":material/stop:", key=f"stop-{job.id}", on_click=_stop, args=(job.id,))


def status(job: Job) -> str:
    """Where a live job stands, in words."""
    if job.state == "waiting":
        before = f"{job.ahead} {'job' if job.ahead == 1 else 'jobs'} before this one"
        return f"Waiting: {before} · {clock(job.seconds)}" if job.ahead else f"Starting · {clock(job.seconds)}"
    if job.progress is None:
        return f"Starting · {clock(job.seconds)}"
    at = job.progress
    counted = f" · {at.done} of {at.of}" if at.of > 1 else ""
    return f"{at.stage}{counted} · {clock(job.seconds)}{_pace(job)}"


def pace(job: Job) -> str:
    """How fast the current stage goes: `3.2 a second`, `4.1 a minute`; empty where that is not known."""
    if not job.rate:
        return ""
    units = (("a second", 1), ("a minute", 60), ("an hour", 3600))
    unit, seconds = next((item for item in units if job.rate * item[1] >= 1), units[-1])
    return f"{number(job.rate * seconds, 2)} {unit}"


def show_end(job: Job) -> None:
    """How a job of this session ended, where there is no result to show."""
    if job.state == "failed":
        show_error(job.error or "It failed.")
    elif job.state == "stopped":
        st.caption(f"Stopped after {clock(job.seconds)}. Started again, it goes on from what it had saved.")
    elif job.state == "lost":
        st.caption("The job ended without a word; the machine may have been switched off. Start it again.")


def _stop(identity: str) -> None:
    try:
        jobs.stop(identity)
    except TillerError as error:
        st.toast(literal_markdown(str(error)))


def _pace(job: Job) -> str:
    parts = [pace(job)]
    if job.seconds_left is not None:
        parts.append(f"about {clock(job.seconds_left)} left in this stage")
    return "".join(f" · {part}" for part in parts if part)
