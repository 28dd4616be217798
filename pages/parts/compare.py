"""The comparison on the Steer page: asking for it, the panes as they fill, and going on talking."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import BadInput, TillerError
from core.generation.comparison import Plan, Settings, comparison_rows, control_row
from core.generation.saved import Example
from core.models.catalog import ModelSpec
from pages.parts import links, live
from pages.parts.literal import literal
from pages.parts.panes import legend_html, pane_html
from pages.parts.results import Result, follow_up, of_example, panes, tint_of
from pages.parts.shell import show_error

REQUEST, WITH_CONTROL, COLOURS = "steer_request", "steer_with_control", "steer.colours"


def ask(what: str) -> None:
    """A button's callback: the wish is carried out when the script has the newest settings."""
    st.session_state[REQUEST] = what


def results(example: Example | None) -> list[Result]:
    """What is shown: the session's jobs, else the saved example."""
    jobs = [job for kind in ("panes", "control") if (job := live.job(kind)) is not None]
    found = [Result.of(job) for job in jobs]
    if live.job("panes") is None and example is not None:
        return [of_example(example), *found]
    return found


def carry_out(plan: Plan | None, problem: TillerError | None, example: Example | None) -> None:
    """Do what a button asked for.

    Raises:
        TillerError: it cannot be done with these settings.
    """
    wish = st.session_state.pop(REQUEST, None)
    if wish is None:
        return
    if plan is None:
        raise problem or BadInput("These settings cannot be run. Choose others.")
    model, with_control = plan.settings.model, st.session_state.get(WITH_CONTROL, False)
    if wish == "generate":
        rows = comparison_rows(plan)
        live.submit("panes", model, (*rows, control_row(plan)) if with_control else rows)
        live.forget("control")
    elif wish == "control":
        st.session_state[WITH_CONTROL] = True
        steered = next((a for result in results(example) for a in result.answers if a.row.label == "steered"), None)
        chat = steered.row.chat if steered and len(steered.row.chat.messages) > 1 else None
        live.submit("control", model, (control_row(plan, chat),))
    elif wish.startswith("follow "):
        rows = follow_up(results(example), wish.removeprefix("follow "), plan, with_control)
        live.submit("panes", model, rows)
        live.forget("control")


def drop_control() -> None:
    """Show the three panes alone again."""
    st.session_state[WITH_CONTROL] = False
    live.forget("control")


def new_conversation() -> None:
    """Empty the panes."""
    live.stop("panes", "control")
    links.forget_results()
    st.session_state[links.EXAMPLE] = None
    st.session_state["steer_begun"] = True


def show_buttons(spec: ModelSpec | None, ready: bool, plan: Plan | None) -> None:
    """Generate, Stop, and the control beside the claim."""
    with st.container(horizontal=True, gap="small", key="steer-buttons"):
        reason = None if ready else "The model is not on this machine yet."
        st.button(
            "Generate", type="primary", icon=":material/play_arrow:", disabled=not ready or plan is None, help=reason,
            key="steer.generate", on_click=ask, args=("generate",),
        )  # fmt: skip
        running = any(live.is_live(kind) for kind in live.KINDS)
        st.button("Stop", icon=":material/stop:", disabled=not running, key="steer.stop", on_click=live.stop)
        if st.session_state.get(WITH_CONTROL):
            st.button("Drop the random direction", key="steer.drop", icon=":material/close:", on_click=drop_control)
        else:
            st.button(
                "Compare with a random direction", icon=":material/casino:", key="steer.compare", on_click=ask,
                args=("control",), disabled=not ready or plan is None or plan.settings.control == "random",
                help="A fourth pane: the same push, block and scope along a random direction of the same length.",
            )  # fmt: skip


def show_panes(plan: Plan | None, settings: Settings, example: Example | None) -> None:
    """Status, legend and panes; polls only while something is being made."""
    writing = live.is_live("panes") or live.is_live("control")
    every = live.POLL_SECONDS if writing else 1.0 if live.is_live("warm") else None
    st.fragment(_panes, run_every=every)(plan, settings, example, every is not None)


def _panes(plan: Plan | None, settings: Settings, example: Example | None, polling: bool) -> None:
    found = results(example)
    if not found and plan is not None and settings.prompt.strip():
        found = [Result(plan.card.model, tuple(_empty(plan)))]
    tint = tint_of(found) if found else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="steer-status"):
        st.html(f'<div class="status" role="status">{literal(_status())}</div>', width="stretch")
        if tint:
            st.session_state.setdefault(COLOURS, True)
            if st.toggle("Colour tokens", key=COLOURS, persist_state="session"):
                st.html(legend_html(tint), width="content")
            else:
                tint = None
    for kind in ("panes", "control"):
        if error := live.failure(kind):
            show_error(error)
    shown = panes(found, plan, settings)
    if shown:
        for place, pane in zip(st.columns(len(shown), gap="small"), shown, strict=True):
            place.html(pane_html(pane, tint))
    if polling and not any(live.is_live(kind) for kind in ("panes", "control", "warm")):
        st.rerun()


def _empty(plan: Plan) -> Sequence:
    from core.generation.rows import Answer

    return [Answer(row) for row in comparison_rows(plan)]


def _status() -> str:
    said = [text for text in (live.status("panes"), live.status("control")) if text]
    return " · ".join(dict.fromkeys(said)) or live.warming()


def show_follow_up(ready: bool, plan: Plan | None, example: Example | None) -> None:
    """Go on talking: each pane continues its own history."""
    found = results(example)
    talking = any(result.answers for result in found) and not any(result.live for result in found)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="steer-follow"):
        st.chat_input(
            "Follow-up message: each pane goes on with its own history", key="steer.follow", max_chars=20_000,
            disabled=not (ready and talking and plan), on_submit=_follow,
        )  # fmt: skip
        if found:
            st.button("New conversation", icon=":material/restart_alt:", key="steer.new", on_click=new_conversation)


def _follow() -> None:
    message = (st.session_state["steer.follow"] or "").strip()
    if message:
        ask(f"follow {message}")
