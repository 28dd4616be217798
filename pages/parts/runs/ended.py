"""Jobs that are over: how they ended, what they said, and resuming, opening or deleting them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import streamlit as st

from core import jobs, paths
from core.errors import TillerError
from core.jobs import Job
from core.words import clock
from pages.parts.literal import literal
from pages.parts.runs import targets, view, words
from pages.parts.runs.rows import row, show_confirmation, show_fold, show_link, unfolded
from pages.parts.runs.view import ALL, STATES, View
from pages.parts.shell import literal_markdown

RESUME = "Runs the same command again, which goes on from what it had saved."
SAID = {
    "stopped": "what it had saved is kept",
    "lost": "it ended without a word, as when the machine is switched off",
}


def show_ended(now: View) -> None:
    """The list with its filters; the newest first."""
    over = [job for job in jobs.jobs() if not job.live]
    st.html('<h2 class="run-h">Before</h2>')
    if not over:
        st.html('<p class="run-small">No job has ended yet. Training, measuring and importing are jobs.</p>')
        return
    found = [job for job in over if now.state in (ALL, job.state) and now.command in (ALL, *job.arguments[:1])]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        view.show_filter("State", "state", STATES, now)
        view.show_filter("Command", "command", sorted({job.arguments[0] for job in over if job.arguments}), now)
        if found:
            show_fold(ALL, "delete", f"Delete these {len(found)}", "Keep them")
    if found and unfolded(ALL) == "delete":
        warning = f"{len(found)} entries and their logs go. What the jobs made stays."
        show_confirmation(ALL, warning, "Delete them all", functools.partial(_delete, [job.id for job in found]))
    if not found:
        st.html(f'<p class="run-small">None of the {len(over)} jobs is of that kind. Choose others above.</p>')
    resumed = {job.resumes for job in jobs.jobs()}
    for job in found[: now.jobs]:
        _row(job, job.id in resumed)
    view.show_more("jobs", len(found), now)


def _row(job: Job, resumed: bool) -> None:
    with st.container(border=True, gap="xsmall", key=f"run-{job.id}"):
        with row(job.id) as (said, actions):
            with said:
                st.html(_told(job, resumed))
            with actions:
                if job.state == "done":
                    show_link(targets.of_job(job))
                elif not resumed:
                    st.button(
                        "Resume", icon=":material/play_arrow:", key=f"resume-{job.id}", help=RESUME,
                        on_click=_resume, args=(job.id,),
                    )  # fmt: skip
                show_fold(job.id, "log", "Log", "Hide log")
                show_fold(job.id, "delete", "Delete", "Keep")
        if unfolded(job.id) == "log":
            text = paths.placeless(job.log().rstrip()) or "It said nothing."
            st.html(f'<div class="run-log" tabindex="0" role="region" aria-label="Log">{literal(text)}</div>')
        elif unfolded(job.id) == "delete":
            warning = "Its log and its entry go. What it made stays."
            show_confirmation(job.id, warning, "Delete this job", functools.partial(_delete, [job.id]))


def _told(job: Job, resumed: bool) -> str:
    """Title, state, times, command and the last line of a failure, as HTML."""
    times = [f"asked for {words.moment(job.started)}"]
    if job.state != "lost":  # nobody knows when that ended
        times = [f"ended {words.moment(job.started + job.seconds)}", f"took {clock(job.seconds)} with waiting"]
    return (
        f'<div class="run-head"><b>{literal(job.title)}</b> '
        f'<span class="run-state run-{literal(job.state)}">{literal(job.state)}</span></div>'
        + words.facts(SAID.get(job.state, ""), *times, "resumed later" if resumed else "")
        + f"<code class='run-command'>{literal(words.command(job.arguments))}</code>"
        + (f'<p class="run-error">{literal(paths.placeless(job.error))}</p>' if job.error else "")
    )


def _resume(identity: str) -> None:
    try:
        jobs.resume(identity)
    except TillerError as error:
        st.toast(literal_markdown(str(error)))


def _delete(identities: Sequence[str]) -> None:
    said: set[str] = set()  # each once, of however many jobs
    for identity in identities:
        try:
            jobs.delete(identity)
        except TillerError as error:
            said.add(str(error))
    for sentence in sorted(said):
        st.toast(literal_markdown(sentence))
