"""The controls of the Steer page that are always in sight. Each changes the session's settings and starts nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.directions.library import DirectionCard
from core.directions.start import COEFFICIENT_LIMIT
from core.generation import saved
from core.generation.comparison import Plan, Settings
from core.steering.interventions import MODES
from core.studies.choice.start import start_for
from pages.parts import widgets
from pages.parts.methods import term
from pages.parts.steer import links, live
from pages.parts.steer.results import examples_in_order

REACH = 3.0
LINE = [5.0, 1.6, 1.6]
MODE_HELP = (
    f"At block i, at the tokens in scope. **{term('intervention-add', 'add')}**: x + c·v (negative c subtracts, "
    f"positive c induces). **{term('intervention-ablate', 'ablate')}**: x − α·v̂v̂ᵀx, α in [0, 1]. "
    f"**{term('intervention-cap', 'cap')}**: push the projection on v̂ down to a ceiling only where it exceeds it "
    "(ceiling = the base model's mean projection)."
)
COEFFICIENT_HELP = (
    "Signed multiple of the direction. **Raw** unit = multiples of v; **norm** unit = fraction of the block's mean "
    "residual norm. Negative subtracts the direction, positive adds it. Values beyond the slider can be typed. Moving "
    f"the slider generates nothing. {term('coefficient')}"
)
SHARE_HELP = "α from 0 to 1: the share of the projection that is taken away; for cap, of what exceeds the ceiling."
BLOCK_HELP = (
    "Decoder block, 0-based. “At block i” is the raw residual stream leaving block i, before any final norm. With "
    f"“to block”, every block of the range is steered, each with its own vector. {term('block')}"
)

bound = functools.partial(widgets.bound, "steer", links.change)
fresh_key = functools.partial(widgets.fresh_key, "steer")
heard = functools.partial(widgets.heard, "steer")


def show_start(shown_example: str | None) -> None:
    """Saved examples and presets: choosing one sets everything."""
    examples = examples_in_order()
    with_answers = {item.id for item in examples}
    titles = {f"example {item.id}": f"{item.title} · saved answers" for item in examples}
    titles |= {f"preset {item.id}": item.title for item in saved.presets() if item.id not in with_answers}
    shown = f"example {shown_example}" if shown_example else None
    key = fresh_key("start", shown)
    st.selectbox(
        "Saved examples and presets",
        list(titles),
        index=list(titles).index(shown) if shown in titles else None,
        format_func=lambda choice: titles.get(choice, choice),
        key=key,
        on_change=_start,
        args=(key,),
        placeholder="Open a saved example or a preset",
        label_visibility="collapsed",
    )


def _start(key: str) -> None:
    kind, _, identity = (st.session_state[key] or "").partition(" ")
    if kind and heard("start", key):
        live.stop()
        links.open_example(identity) if kind == "example" else links.open_preset(identity)


def show_prompt(settings: Settings) -> None:
    """What the user asks."""
    bound(st.text_area, "Prompt", "prompt", settings.prompt, height=68, max_chars=20_000)


def show_mode(settings: Settings) -> None:
    """add, ablate or cap; the strength starts again at the mode's usual one."""
    key = fresh_key("mode", settings.mode)
    st.segmented_control(
        "Mode",
        MODES,
        default=settings.mode,
        key=key,
        required=True,
        on_change=_choose_mode,
        args=(key,),
        label_visibility="collapsed",
    )


def _choose_mode(key: str) -> None:
    if heard("mode", key):
        links.change(mode=st.session_state[key], coefficient=None)


def show_strength(plan: Plan) -> None:
    """Coefficient as a slider and as numbers in both units, kept in step; a share for `ablate` and `cap`."""
    value = plan.settings.coefficient or 0.0
    sliding, raw, norm = _line("steer-strength")
    if plan.settings.mode != "add":
        share: dict[str, Any] = {"min_value": 0.0, "max_value": 1.0, "step": 0.05}
        about = f"{MODE_HELP}\n\n{SHARE_HELP}"
        bound(sliding.slider, "Share α", "coefficient", value, name="share", help=about, **share)
        bound(raw.number_input, "share", "coefficient", value, name="share_typed", **share)
        return
    reached = max(-REACH, min(REACH, value))
    limits = (-COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)
    numbers: dict[str, Any] = {"step": 0.05, "format": "%.3f"}
    bound(
        sliding.slider, "Coefficient", "coefficient", reached, -REACH, REACH, step=0.05, name="slide",
        help=f"{MODE_HELP}\n\n{COEFFICIENT_HELP}",
    )  # fmt: skip
    bound(raw.number_input, "raw, × v", "coefficient", value, *limits, name="raw", **numbers)
    fraction = round(plan.card.to_norm_unit(value, plan.block), 4)
    to_raw = _to_raw(plan.card, plan.block)
    bound(norm.number_input, "norm unit", "coefficient", fraction, name="norm", convert=to_raw, **numbers)


def _line(key: str) -> list[Any]:
    """A slider and two numbers; on a narrow screen the numbers share a line below it."""
    with st.container(key=key):
        return list(st.columns(LINE, vertical_alignment="bottom"))


def _to_raw(card: DirectionCard, block: int) -> Callable[[float], float]:
    def convert(fraction: float) -> float:
        raw = card.from_norm_unit(fraction, block)
        # the digits that a link holds, so that the link restores it exactly
        return float(f"{max(-COEFFICIENT_LIMIT, min(COEFFICIENT_LIMIT, raw)):.6g}")

    return convert


def show_block(plan: Plan) -> None:
    """The block as a slider and as a number, and the end of a range; the help says where it starts, and why."""
    there = plan.card.with_vector  # of another program's direction perhaps a few blocks alone
    first, last = there[0], there[-1]
    choice = start_for(plan.card.id)
    about = f"{BLOCK_HELP}\n\n**{term('start-values', 'Start values')}:** {choice.why}" if choice else BLOCK_HELP
    sliding, typing, ending = _line("steer-block")
    if last > first:
        bound(sliding.slider, "Block", "block", plan.block, first, last, name="block_slide", help=about)
    bound(typing.number_input, "block", "block", plan.block, first, last)
    end = plan.settings.last_block
    bound(ending.number_input, "to block", "last_block", end, first, last, placeholder="same")
