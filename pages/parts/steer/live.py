"""The session's own generations: it keeps their ids, the engine keeps the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from core.errors import TillerError
from core.generation.engine import Job
from core.generation.rows import Row
from core.models.catalog import resolve
from pages.parts.shell import engine

Kind = Literal["panes", "control", "strip", "warm"]
KINDS: tuple[Kind, ...] = ("panes", "control", "strip")
FIRST_TOKEN, WRITING, WAITING, WARMING = 0.15, 0.3, 0.5, 1.0  # seconds between polls


class _Jobs(list[Job]):
    """What a session has asked for; when its browser goes, nobody waits for it and the queue goes on."""

    def stop(self) -> None:
        for job in self:
            engine().stop(job)


@st.cache_resource(scope="session", show_spinner=False, on_release=_Jobs.stop)
def _asked() -> _Jobs:
    return _Jobs()


def job(kind: Kind) -> Job | None:
    """The session's last job of a kind, while the engine still remembers it."""
    return engine().job(st.session_state.get(f"steer_job_{kind}"))


def is_live(kind: Kind) -> bool:
    return _live(kind) is not None


def submit(kind: Kind, model: str, rows: Sequence[Row]) -> None:
    """Generate rows; an earlier job of that kind that still runs is stopped first."""
    stop(kind)
    mine = _asked()
    mine[:] = [earlier for earlier in mine if not earlier.over]
    mine.append(engine().submit(model, tuple(rows)))
    st.session_state[f"steer_job_{kind}"] = mine[-1].id


def stop(*kinds: Kind) -> None:
    """Stop this session's jobs within a token; what they have generated stays. Harmless where nothing runs."""
    for kind in kinds or KINDS:
        found = job(kind)
        if found is not None and not found.over:
            engine().stop(found)


def forget(kind: Kind) -> None:
    """Stop a job and no longer show it."""
    stop(kind)
    st.session_state.pop(f"steer_job_{kind}", None)


def pace(*kinds: Kind) -> float | None:
    """Seconds between two looks at the session's jobs; None while there is nothing to look at.

    Each look takes time from the model, so it is only frequent while the first token is due.
    """
    found = [job for kind in kinds if (job := _live(kind)) is not None]
    if any(job.first_token for job in found):
        return WRITING
    if found:
        return WAITING if all(map(_waits, found)) else FIRST_TOKEN
    return WARMING if is_live("warm") else None


def _live(kind: Kind) -> Job | None:
    found = job(kind)
    return found if found is not None and not found.over else None


def _waits(job: Job) -> bool:
    """Whether a job waits for others, or for its model to be loaded."""
    if job.state == "queued":
        return engine().position(job) > 0
    return job.state == "loading" and engine().model != _model(job)


def is_cold(model: str) -> bool:
    """Whether this session should have the model loaded in the background: once, where it is not in memory."""
    return "steer_job_warm" not in st.session_state and engine().model != model


def warm(model: str) -> None:
    """Load the model in the background, at the second call: importing torch must not delay the first paint."""
    if st.session_state.setdefault("steer_painted", False):
        submit("warm", model, ())
    st.session_state["steer_painted"] = True


def status(kind: Kind) -> str:
    """Where a job stands, in words; empty where there is none."""
    found = job(kind)
    if found is None:
        return ""
    if found.state == "queued":
        before = engine().position(found)
        if not before:
            return "Starting"
        if before == 1 and is_live("warm"):
            return warming()
        return f"Waiting in the queue: {before} {'job' if before == 1 else 'jobs'} before this one"
    if found.state == "loading":
        return f"Loading {_model(found)}" if found.message else "Starting"
    if found.state == "failed":
        return ""
    word = {"running": "Writing", "stopped": "Stopped", "done": "Done"}[found.state]
    parts = [word]
    if found.seconds_to_first_token is not None:
        parts.append(f"first token after {found.seconds_to_first_token:.2f} s")
    rate = found.tokens_per_second
    if rate is not None:
        rows = len(found.rows)
        parts.append(f"{rate:.0f} tokens/s" + (f" over {rows} answers together" if rows > 1 else ""))
    return " · ".join(parts)


def warming() -> str:
    """A sentence while the model is being loaded in the background."""
    found = job("warm")
    return f"Loading {_model(found)} in the background" if found is not None and not found.over else ""


def _model(found: Job) -> str:
    """The id of a job's model, which never tells where a folder lies."""
    return resolve(found.model).id


def failure(kind: Kind) -> TillerError | None:
    """The error of the session's last job of a kind."""
    found = job(kind)
    return TillerError(found.error) if found is not None and found.error else None
