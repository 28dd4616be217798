"""The controls of the Steer page that are always in sight. Each changes the session's settings and starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.directions.library import DirectionCard
from core.generation import saved
from core.generation.comparison import Plan, Settings
from core.steering.interventions import COEFFICIENT_LIMIT, MODES
from pages.parts import links, live

REACH = 3.0
LINE = [5.0, 1.6, 1.6]
MODE_HELP = (
    "At block i, at the tokens in scope. **add**: x + c·v (negative c subtracts, positive c induces). **ablate**: "
    "x − α·v̂v̂ᵀx, α in [0, 1]. **cap**: push the projection on v̂ down to a ceiling only where it exceeds it "
    "(ceiling = the base model's mean projection)."
)
COEFFICIENT_HELP = (
    "Signed multiple of the direction. **Raw** unit = multiples of v; **norm** unit = fraction of the block's mean "
    "residual norm. Negative subtracts the direction, positive adds it. Values beyond the slider can be typed. Moving "
    "the slider generates nothing."
)
SHARE_HELP = "α from 0 to 1: the share of the projection that is taken away; for cap, of what exceeds the ceiling."
BLOCK_HELP = (
    "Decoder block, 0-based. “At block i” is the raw residual stream leaving block i, before any final norm. With "
    "“to block”, every block of the range is steered, each with its own vector."
)

Widget = Callable[..., Any]


def bound(
    widget: Widget,
    label: str,
    field: str,
    shown: Any,
    *arguments: Any,
    key: str | None = None,
    convert: Callable[[Any], Any] = lambda value: value,
    **options: Any,
) -> None:
    """Draw a widget that shows `shown` and, when the user changes it, becomes the setting `field`.

    The widget is set before it is drawn, and only where it differs: one that was not changed is left in peace.
    """
    key = f"steer.{key or field}"
    if key not in st.session_state or st.session_state[key] != shown:
        st.session_state[key] = shown
    widget(label, *arguments, key=key, on_change=_took, args=(field, key, convert), **options)


def _took(field: str, key: str, convert: Callable[[Any], Any]) -> None:
    links.change(**{field: convert(st.session_state[key])})


def show_start(shown_example: str | None) -> None:
    """Saved examples and presets: choosing one sets everything."""
    titles = {f"example {item.id}": f"{item.title} · saved answers" for item in saved.examples()}
    titles |= {f"preset {item.id}": f"{item.title} · settings, to run live" for item in saved.presets()}
    chosen = f"example {shown_example}" if shown_example else None
    if st.session_state.get("steer.start") != chosen:
        st.session_state["steer.start"] = chosen
    st.selectbox(
        "Saved examples and presets",
        list(titles),
        index=None,
        format_func=lambda key: titles.get(key, key),
        key="steer.start",
        on_change=_start,
        placeholder="Open a saved example or a preset",
        label_visibility="collapsed",
        width=330,
    )


def _start() -> None:
    kind, _, identity = (st.session_state["steer.start"] or "").partition(" ")
    if kind:
        live.stop()
        links.open_example(identity) if kind == "example" else links.open_preset(identity)


def show_prompt(settings: Settings) -> None:
    """What the user asks."""
    bound(st.text_area, "Prompt", "prompt", settings.prompt, height=68, max_chars=20_000)


def show_mode(settings: Settings) -> None:
    """add, ablate or cap; the strength starts again at the mode's usual one."""
    if st.session_state.get("steer.mode") != settings.mode:
        st.session_state["steer.mode"] = settings.mode
    st.segmented_control(
        "Mode", MODES, key="steer.mode", required=True, on_change=_choose_mode, label_visibility="collapsed"
    )


def _choose_mode() -> None:
    links.change(mode=st.session_state["steer.mode"], coefficient=None)


def show_strength(plan: Plan) -> None:
    """Coefficient as a slider and as numbers in both units, kept in step; a share for `ablate` and `cap`."""
    value = plan.settings.coefficient or 0.0
    sliding, raw, norm = st.columns(LINE, vertical_alignment="bottom")
    if plan.settings.mode != "add":
        share: dict[str, Any] = {"min_value": 0.0, "max_value": 1.0, "step": 0.05}
        bound(sliding.slider, "Share α", "coefficient", value, key="share", help=SHARE_HELP, **share)
        bound(raw.number_input, "share", "coefficient", value, key="share_typed", **share)
        return
    reached = max(-REACH, min(REACH, value))
    limits = (-COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)
    numbers: dict[str, Any] = {"step": 0.05, "format": "%.3f"}
    bound(
        sliding.slider, "Coefficient", "coefficient", reached, -REACH, REACH, step=0.05, key="slide",
        help=COEFFICIENT_HELP,
    )  # fmt: skip
    bound(raw.number_input, "raw, × v", "coefficient", value, *limits, key="raw", **numbers)
    fraction = round(plan.card.to_norm_unit(value, plan.block), 4)
    to_raw = _to_raw(plan.card, plan.block)
    bound(norm.number_input, "norm unit", "coefficient", fraction, key="norm", convert=to_raw, **numbers)


def _to_raw(card: DirectionCard, block: int) -> Callable[[float], float]:
    def convert(fraction: float) -> float:
        raw = card.from_norm_unit(fraction, block)
        # the digits that a link holds, so that the link restores it exactly
        return float(f"{max(-COEFFICIENT_LIMIT, min(COEFFICIENT_LIMIT, raw)):.6g}")

    return convert


def show_block(plan: Plan) -> None:
    """The block as a slider and as a number, and the end of a range."""
    last = plan.card.blocks - 1
    sliding, typing, ending = st.columns(LINE, vertical_alignment="bottom")
    bound(sliding.slider, "Block", "block", plan.block, 0, max(1, last), key="block_slide", help=BLOCK_HELP)
    bound(typing.number_input, "block", "block", plan.block, 0, last, key="block")
    end = plan.settings.last_block
    bound(ending.number_input, "to block", "last_block", end, 0, last, value=None, placeholder="same")
