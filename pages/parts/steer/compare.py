"""The comparison on the Steer page: asking for it, the panes as they fill, and going on talking."""

from __future__ import annotations

import streamlit as st

from core.errors import BadInput
from core.generation.comparison import comparison_rows, control_row
from core.generation.rows import Answer
from pages.parts.literal import literal
from pages.parts.shell import show_error
from pages.parts.steer import links, live
from pages.parts.steer.panes import legend_html, pane_html
from pages.parts.steer.results import Now, Result, follow_up, of_example, panes, provenance, tint_of

REQUEST, WITH_CONTROL, COLOURS = "steer_request", "steer_with_control", "steer.colours"
BEGUN, UNASKED = "steer_begun", "steer_unasked_example"


def ask(what: str) -> None:
    """A button's callback: the wish is carried out when the script has the newest settings."""
    st.session_state[REQUEST] = what


def is_fresh() -> bool:
    """Whether this session has neither generated nor emptied the panes."""
    return live.job("panes") is None and not st.session_state.get(BEGUN)


def now_shown() -> Now:
    """What the session's settings mean, and which saved example to show."""
    kept = st.session_state.get(UNASKED)
    now = Now.of(links.settings(), st.session_state.get(links.EXAMPLE), is_fresh(), kept)
    st.session_state[UNASKED] = now.example.id if now.example and is_fresh() else kept
    return now


def shown_example(now: Now) -> str | None:
    """Id of the saved example in the panes."""
    return now.example.id if now.example and live.job("panes") is None else None


def results(now: Now) -> list[Result]:
    """What is shown: the session's jobs, else the saved example."""
    found = [Result.of(job) for kind in ("panes", "control") if (job := live.job(kind)) is not None]
    if shown_example(now) and now.example:
        return [of_example(now.example, with_control=live.job("control") is None), *found]
    return found


def carry_out(now: Now) -> None:
    """Do what a button asked for.

    Raises:
        TillerError: it cannot be done with these settings.
    """
    wish = st.session_state.pop(REQUEST, None)
    if wish is None:
        return
    if now.plan is None or now.problem:
        raise now.problem or BadInput("These settings cannot be run. Choose others.")
    plan, with_control = now.plan, st.session_state.get(WITH_CONTROL, False)
    if wish == "control":
        st.session_state[WITH_CONTROL] = True
        shown = [answer.row for result in results(now) for answer in result.answers if answer.row.label == "steered"]
        going_on = shown and len(shown[0].chat.messages) > 1
        live.submit("control", plan.settings.model, (control_row(plan, shown[0].chat if going_on else None),))
        return
    if wish == "generate":
        rows = comparison_rows(plan)
        rows = (*rows, control_row(plan)) if with_control else rows
    else:
        rows = follow_up(results(now), wish.removeprefix("follow "), plan, with_control)
    live.submit("panes", plan.settings.model, rows)
    live.forget("control")
    st.session_state[links.EXAMPLE] = None


def drop_control() -> None:
    """Show the three panes alone again."""
    st.session_state[WITH_CONTROL] = False
    live.forget("control")


def new_conversation() -> None:
    """Empty the panes."""
    live.stop("panes", "control")
    links.forget_results()
    st.session_state[links.EXAMPLE] = None
    st.session_state[BEGUN] = True


def show_buttons(now: Now) -> None:
    """Generate, Stop, and the control beside the claim."""
    able = now.ready and now.plan is not None
    with st.container(horizontal=True, gap="small", key="steer-buttons"):
        st.button(
            "Generate", type="primary", icon=":material/play_arrow:", disabled=not able, key="steer.generate",
            on_click=ask, args=("generate",), help=None if now.ready else "The model is not on this machine yet.",
        )  # fmt: skip
        running = any(live.is_live(kind) for kind in live.KINDS)
        st.button("Stop", icon=":material/stop:", disabled=not running, key="steer.stop", on_click=live.stop)
        if st.session_state.get(WITH_CONTROL):
            st.button("Drop the random direction", icon=":material/close:", key="steer.drop", on_click=drop_control)
        else:
            st.button(
                "Compare with a random direction", icon=":material/casino:", key="steer.compare", on_click=ask,
                args=("control",), disabled=not able or now.settings.control == "random",
                help="A fourth pane: the same push, block and scope along a random direction of the same length.",
            )  # fmt: skip


def show_panes(now: Now) -> None:
    """Status, legend and panes; polls only while something is being made or loaded."""
    every = _pace(now)
    st.fragment(_panes, run_every=every)(now, every)


def _pace(now: Now) -> float | None:
    return live.pace("panes", "control") or (live.WARMING if _to_warm(now) else None)


def _to_warm(now: Now) -> bool:
    """Whether the model is to be loaded in the background."""
    return now.spec is not None and now.ready and links.may_load_unasked() and live.is_cold(now.spec.id)


def _panes(now: Now, every: float | None) -> None:
    if _to_warm(now):
        live.warm(now.settings.model)
    found = results(now)
    if not found and now.plan is not None:
        empty = tuple(Answer(row) for label, row in now.rows.items() if label != "random")
        found = [Result(now.plan.card.model, empty)]
    tint = tint_of(found, now)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="steer-status", wrap=False):
        st.html(f'<div class="status" role="status">{literal(_status(now))}</div>', width="stretch")
        if tint:
            st.session_state.setdefault(COLOURS, True)
            if st.toggle("Colour tokens", key=COLOURS, persist_state="session"):
                st.html(legend_html(tint), width="content")
            else:
                tint = None
    for kind in ("panes", "control"):
        if error := live.failure(kind):
            show_error(error)
    shown = panes(found, now)
    if shown:
        for place, pane in zip(st.columns(len(shown), gap="small"), shown, strict=True):
            place.html(pane_html(pane, tint))
    if now.example and shown_example(now):
        said = " · ".join(text for text in (provenance(now.example), live.warming()) if text)
        st.html(f'<div class="made">{literal(said)}</div>')
    if _pace(now) != every:
        st.rerun()  # begun, got under way, or ended: the whole page follows


def _status(now: Now) -> str:
    about = now.example.about if now.example and shown_example(now) else ""
    control = live.status("control")
    said = (about, live.status("panes"), f"Random direction: {control.lower()}" if control else "")
    return " · ".join(text for text in said if text) or live.warming()


def show_follow_up(now: Now) -> None:
    """Go on talking: each pane continues its own history."""
    found = results(now)
    talking = any(result.answers for result in found) and not any(result.live for result in found)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="steer-follow"):
        st.chat_input(
            "Follow-up message: each pane goes on with its own history", key="steer.follow", max_chars=20_000,
            disabled=not (now.ready and talking and now.plan), on_submit=_follow,
        )  # fmt: skip
        if found:
            st.button("New conversation", icon=":material/restart_alt:", key="steer.new", on_click=new_conversation)


def _follow() -> None:
    message = (st.session_state["steer.follow"] or "").strip()
    if message:
        ask(f"follow {message}")
