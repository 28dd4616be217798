"""The chosen cell's answers: one prompt, answered unsteered, steered and with a control, side by side."""

from __future__ import annotations

import streamlit as st

from core.directions import library
from core.errors import TillerError
from core.figures.transfer_tables import is_own, member
from core.generation.comparison import Settings, to_link
from core.words import coefficient
from pages.parts import address
from pages.parts.downloads import show_answers_downloads
from pages.parts.shell import errors, link_to
from pages.parts.spillover.answers import Prompt
from pages.parts.spillover.panes import pane_html, prompt_html
from pages.parts.transfer.answers import Answers, answers_of
from pages.parts.transfer.choice import PAGE, Shown, choose, control_name, current, parameters
from pages.parts.transfer.controls import show_control_choice

LONGEST_PROMPT = 2000  # characters that a link to Steer carries


def show_browser(now: Shown) -> None:
    """Heading and downloads, then the browser itself, which turns pages without drawing the rest again."""
    found = answers_of(now.result)  # a damaged table is said here, once
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="transfer-browser-top"):
        st.html("<h2 class='spill-h'>Read the answers of this cell</h2>", width="stretch")
        show_answers_downloads("transfer", now.result, len(found.prompts))
    _browse()


@st.fragment
def _browse() -> None:
    now = current()
    if now is not None:
        with errors():
            _show(now, answers_of(now.result))
        address.write(PAGE, parameters(now))


def _show(now: Shown, found: Answers) -> None:
    prompt = found.prompts[min(now.choice.prompt, len(found.prompts)) - 1]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="transfer-pager"):
        _turn("Previous", ":material/chevron_left:", prompt.number - 1, len(found.prompts), "P")
        _turn("Next", ":material/chevron_right:", prompt.number + 1, len(found.prompts), "N")
        st.html(
            f'<span class="spill-where" role="status">Prompt {prompt.number} of {len(found.prompts)}</span>',
            width="stretch",
        )
        show_control_choice(now)
    _panes(now, found, prompt)


def _turn(label: str, icon: str, to: int, n: int, shortcut: str) -> None:
    st.button(
        label, icon=icon, shortcut=shortcut, key=f"transfer.{label}", disabled=not 1 <= to <= n, on_click=choose,
        kwargs={"prompt": to},
    )  # fmt: skip


def _panes(now: Shown, found: Answers, prompt: Prompt) -> None:
    summary, row = now.summary, now.row
    receiver = row["receiver"]
    of_receiver = member(summary, receiver)
    dose = f"{coefficient(row['coefficient'])} at block {row['block']}"
    whose = "its own direction" if is_own(row) else f"{row['donor']}’s direction, mapped"
    panes = [
        ("Organism", f"{receiver}, {of_receiver['organism_name']}, not steered", found.unsteered(receiver, prompt)),
        ("Organism, steered", f"{whose}, {dose}", found.steered(row, prompt)),
    ]
    if now.control is not None:
        named = control_name(now.control)
        panes.append((f"Control: {named}", f"same length, {dose}", found.control(row, now.control, prompt)))
    shown = "".join(pane_html(name, made_by, answer, of_receiver["limits"]) for name, made_by, answer in panes)
    st.html(prompt_html(prompt, len(summary["suites"]) > 1) + f'<div class="spill-panes">{shown}</div>')
    query = steer_query(now, prompt)
    if query is None:
        st.caption("This direction is not on this machine, so it cannot be steered with live.")
    else:
        link_to("Steer", ":primary[Steer with it]", query, ":material/tune:", "Live, with the same settings")


def steer_query(now: Shown, prompt: Prompt) -> dict[str, str] | None:
    """The Steer page's link to a cell and a prompt; None where its direction is not on this machine."""
    row, settings = now.row, now.summary["settings"]
    try:
        if all(card.id != row["reference"] for card in library.cards(row["receiver"])):
            return None
        organism = member(now.summary, row["receiver"])["organism_name"]
        steered = Settings(
            model=row["receiver"], organism=organism, direction=row["reference"],
            block=row["block"], coefficient=row["coefficient"], scope=settings["scope"],
            max_tokens=settings["max_tokens"],
        )  # fmt: skip
        if len(prompt.text) <= LONGEST_PROMPT:
            steered = steered.model_copy(update={"prompt": prompt.text})
        return to_link(steered)
    except (TillerError, KeyError, ValueError):
        return None
