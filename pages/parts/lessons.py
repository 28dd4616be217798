"""The guided lessons as a stepper. Each step has a link of its own: `/?story=<id>&step=<number>`."""

from __future__ import annotations

import streamlit as st

from core.generation.comparison import to_link
from core.stories import Step, Story, stories
from pages.parts.shell import icon_of, link_to, literal_markdown


def show_lessons() -> None:
    """Choose a lesson, walk its steps; a sentence where there are none, or where a file is damaged."""
    found = stories()
    for sentence in found.damaged:
        st.warning(sentence, icon=":material/warning:")
    if not found.items:
        st.caption("No lessons are in this copy.")
        return
    by_id = {story.id: story for story in found.items}
    for note in _restore(by_id):
        st.info(literal_markdown(note), icon=":material/link_off:")
    _stepper(by_id)


def place_in_link(story: str | None, step: str | None, found: dict[str, Story]) -> tuple[str, int, list[str]]:
    """(lesson, step from 0, notes) that a link asks for; what it gets wrong falls back, with a note."""
    first = next(iter(found))
    if story is None:
        return first, 0, []
    if story not in found:
        return first, 0, [f"The link's lesson {story[:40]!r} is not here, so the first one is shown."]
    steps = len(found[story].steps)
    if step is None:
        return story, 0, []
    if not (step.isascii() and step.isdigit() and len(step) < 4 and 1 <= int(step) <= steps):
        return story, 0, [f"The link's step {step[:40]!r} was left out: this lesson has steps 1 to {steps}."]
    return story, int(step) - 1, []


def _restore(found: dict[str, Story]) -> list[str]:
    """Follow the link once; later the session's own place counts."""
    asked = (st.query_params.get("story"), st.query_params.get("step"))
    if st.session_state.get("lesson_link") == asked and st.session_state.get("lesson") in found:
        return []
    story, step, notes = place_in_link(*asked, found)
    st.session_state.update(lesson_link=asked, lesson=story, lesson_step=step)
    return notes


def _go(step: int) -> None:
    st.session_state.lesson_step = step
    asked = (st.session_state.lesson, str(step + 1))
    st.query_params.from_dict({**st.query_params.to_dict(), "story": asked[0], "step": asked[1]})
    st.session_state.lesson_link = asked


def _first_step() -> None:
    _go(0)


@st.fragment
def _stepper(found: dict[str, Story]) -> None:
    st.segmented_control(
        "Lesson",
        list(found),
        format_func=lambda identity: found[identity].title,
        key="lesson",
        required=True,
        label_visibility="collapsed",
        on_change=_first_step,
    )
    story = found[st.session_state.lesson]
    place = min(st.session_state.get("lesson_step", 0), len(story.steps) - 1)
    with st.container(border=True, key="lesson-step"):
        _step(story, story.steps[place], place)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button("Back", icon=":material/arrow_back:", disabled=place == 0, on_click=_go, args=(place - 1,))
            last = place == len(story.steps) - 1
            st.button("Next", icon=":material/arrow_forward:", disabled=last, on_click=_go, args=(place + 1,))
            st.caption(f"Step {place + 1} of {len(story.steps)} · about {story.minutes} minutes in all")


def _step(story: Story, step: Step, place: int) -> None:
    st.subheader(f"{place + 1}. {step.title}", anchor=False)
    telling, asking = st.columns([3, 2], gap="medium")
    with telling:
        st.markdown(step.text)
        if step.source:
            st.caption(f"Source: {step.source}")
    with asking:
        if step.look:
            st.markdown(f":material/visibility: **Look at** {step.look}")
        _open(step)
        st.markdown(f":material/help: **Ask the class** {step.question}")
        with st.expander("Reveal", key=f"reveal-{story.id}-{place}"):
            st.markdown(step.reveal)


def _open(step: Step) -> None:
    if step.page is not None:
        link_to(step.page, f":primary[{step.link_label}]", step.query, icon_of(step.page))
        return
    query = None
    if step.example:
        query = {"example": step.example}
    elif step.preset:
        query = {"preset": step.preset}
    elif step.settings is not None:
        query = to_link(step.settings)
    if query is not None:
        link_to("Steer", f":primary[{step.link_label}]", query, ":material/tune:")
