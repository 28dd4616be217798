"""The controls of the Steer page. Each writes into the session's one copy of the settings and starts nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.directions import library
from core.directions.library import DirectionCard
from core.errors import TillerError
from core.generation import saved
from core.generation.comparison import DEFAULT_ORGANISM, Plan, Settings, complete
from core.generation.rows import MAX_TOKENS
from core.models.catalog import CATALOG, resolve
from core.models.sources import is_ready
from core.organisms.library import find_organism, organisms
from core.steering.interventions import COEFFICIENT_LIMIT, MODES, SCOPES
from pages.parts import links, live

REACH = 3.0
NOTHING = "none"
MODE_HELP = (
    "At block i, at the tokens in scope. **add**: x + c·v (negative c subtracts, positive c induces). **ablate**: "
    "x − α·v̂v̂ᵀx, α in [0, 1]. **cap**: push the projection on v̂ down to a ceiling only where it exceeds it "
    "(ceiling = the base model's mean projection)."
)
COEFFICIENT_HELP = (
    "Signed multiple of the direction. **Raw** unit = multiples of v; **norm** unit = fraction of the block's mean "
    "residual norm. Useful values often lie between −0.25 and −1.5 raw; far beyond, any push breaks the text. "
    "Moving the slider generates nothing."
)
SHARE_HELP = "α in [0, 1]: the share of the projection that is taken away; for cap, of what exceeds the ceiling."
BLOCK_HELP = (
    "Decoder block, 0-based. “At block i” is the raw residual stream leaving block i, before any final norm. With "
    "“to block”, every block of the range is steered, each with its own vector."
)
SCOPE_HELP = (
    "**all** tokens; **prompt** only; **response**: from the last prompt token on, so that the first generated token "
    "is already steered."
)
CONTROL_HELP = (
    "Is it this direction, or would any push do? **random**: a random direction of exactly the same length. "
    "**orthogonal**: random with its component along the direction removed."
)
CONTROLS = {None: "the direction itself", "random": "random, equal length", "orthogonal": "orthogonal, equal length"}


def put(key: str, value: Any) -> None:
    """Set a widget before it is drawn, only where it differs: an unchanged widget is left in peace."""
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def took(field: str, key: str, convert: Callable[[Any], Any] = lambda value: value) -> None:
    """A widget's callback: its value becomes the setting."""
    links.change(**{field: convert(st.session_state[key])})


def show_start(shown_example: str | None) -> None:
    """Saved examples and presets: choosing one sets everything."""
    examples, presets = saved.examples(), saved.presets()
    titles = {f"example {item.id}": f"{item.title} · saved answers" for item in examples}
    titles |= {f"preset {item.id}": f"{item.title} · settings only" for item in presets}
    put("steer.start", f"example {shown_example}" if shown_example else None)
    st.selectbox(
        "Saved examples and presets",
        list(titles),
        format_func=lambda key: titles.get(key, key),
        key="steer.start",
        on_change=_start,
        placeholder="Open a saved example or a preset",
        label_visibility="collapsed",
        width=330,
    )


def _start() -> None:
    kind, _, identity = (st.session_state["steer.start"] or "").partition(" ")
    live.stop()
    if kind == "example":
        links.open_example(identity)
    elif kind == "preset":
        links.forget_results()
        links.open_preset(identity)


def show_prompt(settings: Settings) -> None:
    put("steer.prompt", settings.prompt)
    st.text_area(
        "Prompt",
        key="steer.prompt",
        height=68,
        max_chars=20_000,
        on_change=took,
        args=("prompt", "steer.prompt"),
    )


def show_mode(settings: Settings) -> None:
    put("steer.mode", settings.mode)
    st.segmented_control(
        "Mode", MODES, key="steer.mode", required=True, help=MODE_HELP, on_change=_mode, label_visibility="collapsed"
    )


def _mode() -> None:
    links.change(mode=st.session_state["steer.mode"], coefficient=None)


def show_strength(plan: Plan) -> None:
    """Coefficient as a slider and as numbers in both units, kept in step; a share for `ablate` and `cap`."""
    value = plan.settings.coefficient or 0.0
    if plan.settings.mode != "add":
        sliding, typing = st.columns([5, 1.6], vertical_alignment="bottom")
        put("steer.share", value)
        sliding.slider(
            "Share α", 0.0, 1.0, step=0.05, key="steer.share", help=SHARE_HELP, on_change=took,
            args=("coefficient", "steer.share"),
        )  # fmt: skip
        put("steer.share_typed", value)
        typing.number_input(
            "share", 0.0, 1.0, step=0.05, key="steer.share_typed", on_change=took,
            args=("coefficient", "steer.share_typed"),
        )  # fmt: skip
        return
    sliding, raw, norm = st.columns([5, 1.6, 1.6], vertical_alignment="bottom")
    put("steer.slide", max(-REACH, min(REACH, value)))
    sliding.slider(
        "Coefficient", -REACH, REACH, step=0.05, key="steer.slide", help=COEFFICIENT_HELP, on_change=took,
        args=("coefficient", "steer.slide"),
    )  # fmt: skip
    put("steer.raw", value)
    raw.number_input(
        "raw, × v", -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT, step=0.05, format="%.3f", key="steer.raw", on_change=took,
        args=("coefficient", "steer.raw"),
    )  # fmt: skip
    put("steer.norm", round(plan.card.to_norm_unit(value, plan.block), 4))
    norm.number_input(
        "norm unit", step=0.05, format="%.3f", key="steer.norm", on_change=_norm, args=(plan.card, plan.block)
    )


def _norm(card: DirectionCard, block: int) -> None:
    raw = card.from_norm_unit(st.session_state["steer.norm"], block)
    raw = max(-COEFFICIENT_LIMIT, min(COEFFICIENT_LIMIT, raw))
    links.change(coefficient=float(f"{raw:.6g}"))  # what a link holds, so that the link restores it exactly


def show_block(plan: Plan) -> None:
    """The block as a slider and as a number, and the end of a range."""
    last = plan.card.blocks - 1
    sliding, typing, ending = st.columns([5, 1.6, 1.6], vertical_alignment="bottom")
    put("steer.block", plan.block)
    sliding.slider(
        "Block", 0, max(1, last), key="steer.block", help=BLOCK_HELP, on_change=took, args=("block", "steer.block")
    )
    put("steer.block_typed", plan.block)
    typing.number_input(
        "block", 0, last, key="steer.block_typed", on_change=took, args=("block", "steer.block_typed")
    )
    put("steer.last_block", plan.settings.last_block)
    ending.number_input(
        "to block", 0, last, value=None, key="steer.last_block", placeholder="same", on_change=took,
        args=("last_block", "steer.last_block"),
    )  # fmt: skip


def show_setup(settings: Settings, plan: Plan | None) -> None:
    """Model, organism, direction and control."""
    _model(settings)
    try:
        model = resolve(settings.model).id
        _organism(settings, model)
        _direction(settings, model, plan)
    except TillerError:
        return  # the page says it once, above
    put("steer.control", settings.control)
    st.segmented_control(
        "Steer with", list(CONTROLS), format_func=lambda key: CONTROLS[key], key="steer.control", help=CONTROL_HELP,
        on_change=took, args=("control", "steer.control"),
    )  # fmt: skip
    put("steer.control_seed", settings.control_seed)
    st.number_input(
        "Seed of the control", 0, 999_999, key="steer.control_seed", on_change=took,
        args=("control_seed", "steer.control_seed"),
    )  # fmt: skip


def _model(settings: Settings) -> None:
    known = sorted(CATALOG.values(), key=lambda spec: not is_ready(spec))
    names = {spec.id: spec.title + ("" if is_ready(spec) else " · not downloaded") for spec in known}
    options = list(names) if settings.model in names else [*names, settings.model]
    put("steer.model", settings.model)
    st.selectbox(
        "Model", options, format_func=lambda key: names.get(key, key), key="steer.model", on_change=_choose_model,
        accept_new_options=True, help="From the list, or type a folder or `owner/name` of the Hugging Face hub.",
    )  # fmt: skip


def _choose_model() -> None:
    chosen = (st.session_state["steer.model"] or "").strip() or Settings().model
    organism = None
    try:
        there = [item.name for item in organisms(resolve(chosen).id)]
        organism = next((name for name in (links.settings().organism, DEFAULT_ORGANISM) if name in there), None)
        organism = organism or next(iter(there), None)
    except TillerError:
        pass  # the page says what is wrong with the name
    links.change(model=chosen, organism=organism, direction=None, block=None, last_block=None, coefficient=None)


def _organism(settings: Settings, model: str) -> None:
    names: dict[str, str] = {NOTHING: "none: steer the base model"}
    for item in organisms(model):
        key = item.sha256[:12] if item.name in names else item.name
        names[key] = item.name + ("" if item.shipped else f" · trained {str(item.manifest.get('time', ''))[:10]}")
    chosen = settings.organism or NOTHING
    names.setdefault(chosen, chosen)
    put("steer.organism", chosen)
    st.selectbox(
        "Organism", list(names), format_func=lambda key: names.get(key, key), key="steer.organism",
        help="A base model plus a LoRA adapter trained on a narrow dataset.", on_change=took,
        args=("organism", "steer.organism", lambda value: None if value == NOTHING else value),
    )  # fmt: skip


def _direction(settings: Settings, model: str, plan: Plan | None) -> None:
    found = {card.id: card for card in reversed(library.cards(model))}  # of two files with one id, the shipped one
    if not found:
        return
    own = _own_direction(settings, model)
    chosen = plan.card.id if plan else settings.direction
    put("steer.direction", chosen if chosen in found else None)
    st.selectbox(
        "Direction", list(reversed(found)), format_func=lambda key: describe(found[key], key == own) if key in found else key,
        key="steer.direction", placeholder="Choose a direction", on_change=took,
        args=("direction", "steer.direction", lambda value: None if value == own else value),
        help="One vector per block. The default is the model contrast of exactly this organism.",
    )  # fmt: skip


def _own_direction(settings: Settings, model: str) -> str | None:
    if not settings.organism:
        return None
    card = library.default_card(find_organism(model, settings.organism))
    return card.id if card else None


def describe(card: DirectionCard, own: bool = False) -> str:
    """A direction's name, what it was made of, and when."""
    record = card.provenance
    date = str(record.get("time", "unknown date"))[:10]
    return f"{card.name} · n = {record.get('n', 'unknown')} · {date}" + (" · the organism's own" if own else "")


def show_writing(settings: Settings) -> None:
    """Scope, special tokens and sampling."""
    put("steer.scope", settings.scope)
    st.segmented_control(
        "Scope", ("response", "prompt", "all"), key="steer.scope", required=True, help=SCOPE_HELP, on_change=took,
        args=("scope", "steer.scope"),
    )  # fmt: skip
    put("steer.special_tokens", settings.special_tokens)
    st.toggle(
        "Steer special tokens too", key="steer.special_tokens", on_change=took,
        args=("special_tokens", "steer.special_tokens"), help="Turn markers and the like. Off leaves them unchanged.",
    )  # fmt: skip
    fields: Sequence[tuple[str, str, Any, Any, Any, str]] = (
        ("max_tokens", "Longest answer, tokens", 1, MAX_TOKENS, 10, "The answer stops there if it has not ended."),
        ("temperature", "Temperature", 0.0, 5.0, 0.1, "0 is greedy: the likeliest token each time."),
        ("top_p", "Top-p", 0.01, 1.0, 0.05, "Only the likeliest tokens that make up this share; 1 is off."),
        ("top_k", "Top-k", 0, 1_000_000, 10, "Only this many of the likeliest tokens; 0 is off."),
        ("seed", "Seed", 0, 2**53 - 1, 1, "The same seed gives the same text, up to rounding."),
    )
    for place, (name, label, low, high, step, explained) in enumerate(fields):
        if place % 2 == 0:
            sides = st.columns(2)
        put(f"steer.{name}", max(low, min(high, getattr(settings, name))))
        sides[place % 2].number_input(
            label, low, high, step=step, key=f"steer.{name}", help=explained, on_change=took,
            args=(name, f"steer.{name}"),
        )  # fmt: skip


def setup_label(settings: Settings, plan: Plan | None) -> str:
    """Model, organism, direction in one line."""
    model = CATALOG[settings.model].title.partition(" (")[0] if settings.model in CATALOG else settings.model
    steered = CONTROLS[settings.control] if settings.control else plan.card.name if plan else "no direction"
    return escape(f"{model} + {settings.organism or 'no organism'}, along {steered}")


def writing_label(settings: Settings) -> str:
    """Scope and sampling in one line."""
    how = "greedy" if settings.temperature == 0 else f"temperature {settings.temperature:g}"
    return f"{settings.scope} · {how} · {settings.max_tokens} tokens"


def escape(text: str) -> str:
    """`text` for a label, where Markdown would be interpreted."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:])", r"\\\1", text)


def planned(settings: Settings) -> tuple[Plan | None, TillerError | None]:
    """The plan, or why there is none."""
    try:
        return complete(settings), None
    except TillerError as error:
        return None, error


assert set(SCOPES) == {"response", "prompt", "all"}
