"""Long work of the Separation page: how far each job is, with a stop; it is found again after a reload."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core import jobs
from core.errors import TillerError
from core.jobs import Job
from pages.parts.literal import literal
from pages.parts.shell import errors, literal_markdown, show_error

POLL_SECONDS = 1.0


def live(verb: str, *also: str) -> list[Job]:
    """Jobs of a verb that wait or run, the first to run first; `also` must be among their arguments."""
    found = [job for job in jobs.jobs() if job.live and job.arguments[:1] == (verb,)]
    return [job for job in reversed(found) if set(also) <= set(job.arguments)]


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
        st.progress(job.progress.share if job.progress else 0.0, literal_markdown(status(job)))
        st.button("Stop", icon=":material/stop:", key=f"stop-{job.id}", on_click=_stop, args=(job.id,))


def status(job: Job) -> str:
    """Where a job stands, in words."""
    if job.state == "waiting":
        before = f"{job.ahead} {'job' if job.ahead == 1 else 'jobs'} before this one"
        return f"Waiting: {before} · {clock(job.seconds)}" if job.ahead else f"Starting · {clock(job.seconds)}"
    if job.progress is None:
        return f"Starting · {clock(job.seconds)}"
    at = job.progress
    counted = f" · {at.done} of {at.of}" if at.of > 1 else ""
    return f"{at.stage}{counted} · {clock(job.seconds)}{_left(job)}"


def clock(seconds: float) -> str:
    """`75` is `1:15`."""
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def show_end(job: Job) -> None:
    """How a job of this session ended, where there is no result to show."""
    if job.state == "failed":
        show_error(job.error or "It failed.")
    elif job.state == "stopped":
        st.caption(f"Stopped after {clock(job.seconds)}. Nothing was saved.")
    elif job.state == "lost":
        st.caption("The job ended without a word; the machine may have been switched off. Start it again.")


def _stop(identity: str) -> None:
    with errors():
        jobs.stop(identity)


def _left(job: Job) -> str:
    """Time left in this stage, from its pace since this session first saw it."""
    assert job.progress is not None
    place = f"pace-{job.id}"
    first = st.session_state.get(place)
    at = job.progress
    if first is None or first[0] != at.stage or at.done < first[1]:
        st.session_state[place] = (at.stage, at.done, job.seconds)
        return ""
    done, took = at.done - first[1], job.seconds - first[2]
    return f" · about {clock((at.of - at.done) * took / done)} left in this stage" if done > 0 and took > 0 else ""
