"""What runs and waits now: polled while there is something, and not when there is nothing."""

from __future__ import annotations

import streamlit as st

from core import jobs
from core.jobs import Job
from pages.parts import jobs as work
from pages.parts.literal import literal
from pages.parts.runs import targets, words
from pages.parts.runs.rows import row, show_link


def show_running() -> None:
    """The jobs that run or wait, in the order of their turns."""
    known = tuple(job.id for job in jobs.live())
    st.fragment(_show, run_every=work.POLL_SECONDS if known else None)(known)


def _show(known: tuple[str, ...]) -> None:
    running = jobs.live()
    if tuple(job.id for job in running) != known:
        st.rerun()  # the whole page: what has ended belongs below
    count = f"{len(running)} {'job' if len(running) == 1 else 'jobs'}"
    st.html(f'<h2 class="run-h">Now{f": {count}" if running else ""}</h2>')
    if not running:
        st.html('<p class="run-small">Nothing runs. Long work started on any page, in any browser, appears here.</p>')
    for job in running:
        _row(job)


def _row(job: Job) -> None:
    with st.container(border=True, gap="xsmall", key=f"run-live-{job.id}"):
        with row(job.id) as (said, actions):
            with said:
                st.html(
                    f'<div class="run-head"><b>{literal(job.title)}</b> <span class="run-state">{job.state}</span>'
                    f"</div><code class='run-command'>{literal(words.command(job.arguments))}</code>"
                )
            with actions:
                show_link(targets.of_job(job))
                work.show_stop(job)
        work.show_bar(job)
