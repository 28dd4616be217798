"""The folded controls of the Steer page: model, organism, direction and control; scope and sampling."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from core import paths
from core.directions import library
from core.directions.library import DirectionCard
from core.directions.names import CONTROLS, label
from core.errors import TillerError
from core.generation.comparison import DEFAULT_ORGANISM, Settings
from core.generation.rows import MAX_TOKENS
from core.models import known, memory
from core.models.catalog import CATALOG, FolderSource, ModelSpec, exact
from core.models.sources import is_ready
from core.organisms.library import find_organism, organisms
from core.words import number
from pages.parts.methods import term
from pages.parts.models import take_typed
from pages.parts.steer import links
from pages.parts.steer.controls import bound, fresh_key, heard
from pages.parts.steer.results import Now

NOTHING = "none"
ITSELF = "itself"
STEERED_WITH = {ITSELF: "the direction itself"} | {name: f"{label(name)}, equal length" for name in CONTROLS}
SCOPE_HELP = (
    "**all** tokens; **prompt** only; **response**: from the last prompt token on, so that the first generated token "
    f"is already steered. {term('scope')}"
)
CONTROL_HELP = (
    "Is it this direction, or would any push do? **random**: a random direction of exactly the same length. "
    "**orthogonal**: random with its component along the direction removed. **sign flipped**: the direction turned "
    "round. **wrong layer**: another block's vector. **wrong source**: another organism's direction. "
    f"{term('controls')}"
)
SEED_HELP = "Which random draw; for a wrong layer, how many blocks further away; for a wrong source, which organism."
MODEL_HELP = f"Choose one, or type a folder on this computer or `owner/name` of the Hugging Face hub. {term('model')}"
ORGANISM_HELP = f"A base model plus a LoRA adapter trained on a narrow dataset. {term('organism')}"
DIRECTION_HELP = (
    "One vector per block. By default the model contrast of exactly this organism, found by its hash. "
    f"{term('direction')}"
)
# setting, label, least, most, step, help
NUMBERS: tuple[tuple[str, str, Any, Any, Any, str], ...] = (
    ("max_tokens", "Longest answer, tokens", 1, MAX_TOKENS, 10, "The answer stops there if it has not ended."),
    ("seed", "Seed", 0, 2**53 - 1, 1, "The same seed gives the same text, up to rounding."),
    ("temperature", "Temperature", 0.0, 5.0, 0.1, f"0 is greedy: the likeliest token each time. {term('sampling')}"),
    ("top_p", "Top-p", 0.01, 1.0, 0.05, "Only the likeliest tokens that make up this share; 1 is off."),
    ("top_k", "Top-k", 0, 1_000_000, 10, "Only this many of the likeliest tokens; 0 is off."),
)


def setup_label(now: Now) -> str:
    """Model, organism and direction in one line."""
    chosen = now.settings
    model = _title(now).partition(" (")[0].removesuffix(" Instruct")
    direction = now.plan.card.name if now.plan else "no direction"
    if now.plan and now.plan.card.imported_from:
        direction += f" (imported from {now.plan.card.imported_from[:40]})"
    along = STEERED_WITH[chosen.control] if chosen.control else direction
    return _escaped(f"{model[:40]} + {chosen.organism or 'no organism'}, along {along}")


def writing_label(settings: Settings) -> str:
    """Scope and sampling in one line."""
    how = "greedy" if settings.temperature == 0 else f"temperature {number(settings.temperature)}"
    return f"{settings.scope} · {how} · {settings.max_tokens} tokens"


def show_setup(now: Now) -> None:
    """Model, organism, direction and control."""
    settings = now.settings
    _model(now)
    if now.spec is not None and not now.ready:
        st.caption(_escaped(f"{_cost(now.spec)} {now.spec.note}".rstrip()))
    if now.spec is not None:
        try:
            _organism(settings, now.spec.id)
            _direction(now, now.spec.id)
        except TillerError:
            pass  # the page says what is wrong, once
    bound(
        st.selectbox, "Steer with", "control", settings.control or ITSELF, list(STEERED_WITH), start="index",
        format_func=lambda key: STEERED_WITH[key], help=CONTROL_HELP,
        convert=lambda value: None if value == ITSELF else value,
    )  # fmt: skip
    bound(st.number_input, "Seed of the control", "control_seed", settings.control_seed, 0, 999_999, help=SEED_HELP)


def _title(now: Now) -> str:
    """What the model is called; a folder by its name, not by its place."""
    return now.spec.title if now.spec is not None else paths.placeless(now.settings.model)


def _is_folder(now: Now) -> bool:
    return now.spec is not None and isinstance(now.spec.source, FolderSource)


def _model(now: Now) -> None:
    chosen = now.settings.model
    known = sorted(CATALOG.values(), key=lambda spec: not is_ready(spec))
    names = {spec.id: spec.title + ("" if is_ready(spec) else " · not downloaded") for spec in known}
    names.setdefault(chosen, _title(now) + (" · a folder" if _is_folder(now) else ""))
    key = fresh_key("model", chosen)
    st.selectbox(
        "Model",
        list(names),
        index=list(names).index(chosen),
        format_func=lambda choice: names.get(choice, choice),
        key=key,
        on_change=_choose_model,
        args=(key,),
        accept_new_options=True,
        help=MODEL_HELP,
    )


@st.cache_data(ttl=30, show_spinner=False)
def _cost(spec: ModelSpec) -> str:
    """What the model takes and what is free; asking a GPU for the latter can take a second."""
    return memory.cost(spec)


def _choose_model(key: str) -> None:
    """Another model has other organisms, directions and blocks: those choices start again."""
    if not heard("model", key):
        return
    chosen = (st.session_state[key] or "").strip() or Settings().model
    try:
        spec = take_typed(chosen)
        chosen, there = exact(spec), [item.name for item in organisms(spec.id)]
    except TillerError:
        there = []  # the page says what is wrong with the name
    wanted = [name for name in (links.settings().organism, DEFAULT_ORGANISM, *there) if name in there]
    unset = dict.fromkeys(("direction", "block", "last_block", "coefficient"))
    links.change(model=chosen, organism=wanted[0] if wanted else None, **unset)


def _organism(settings: Settings, model: str) -> None:
    names: dict[str, str] = {}
    for item in organisms(model):
        key = item.sha256[:12] if item.name in names else item.name
        names[key] = item.name + ("" if item.shipped else f" · trained {str(item.manifest.get('time', ''))[:10]}")
    names[NOTHING] = "none: steer the base model"
    chosen = settings.organism or NOTHING
    names.setdefault(chosen, chosen)
    bound(
        st.selectbox, "Organism", "organism", chosen, list(names), start="index",
        format_func=lambda key: names.get(key, key), help=ORGANISM_HELP,
        convert=lambda value: None if value == NOTHING else value,
    )  # fmt: skip


def _direction(now: Now, model: str) -> None:
    wanted = known.same_weights(model)
    found = {card.id: card for card in now.cards.values() if card.model in wanted}
    if not found:
        st.caption("No direction of this model is on this machine yet.")
        return
    own = _own_direction(now.settings, model)
    names = {key: describe(card, key == own) for key, card in found.items()}
    for sentence in library.damaged():
        st.caption(_escaped(paths.placeless(f"Left out: {sentence}")))
    chosen = now.plan.card.id if now.plan else now.settings.direction
    bound(
        st.selectbox, "Direction", "direction", chosen if chosen in found else None, list(names), start="index",
        format_func=lambda key: names.get(key, key), placeholder="Choose a direction", help=DIRECTION_HELP,
        convert=lambda value: None if value == own else value,
    )  # fmt: skip


def _own_direction(settings: Settings, model: str) -> str | None:
    card = library.default_card(find_organism(model, settings.organism)) if settings.organism else None
    return card.id if card else None


def describe(card: DirectionCard, own: bool = False) -> str:
    """A direction's name (which says its contrast), what it was made of, and when."""
    record = card.provenance
    date = str(record.get("time", "unknown date"))[:10]
    origin = f" · imported from {card.imported_from}" if card.imported_from else ""
    whose = " · the organism's own" if own else ""
    return f"{card.name} · n = {record.get('n', 'unknown')} · {date}{origin}{whose}"


def show_writing(settings: Settings) -> None:
    """Scope, special tokens and sampling."""
    scopes = ("all", "prompt", "response")
    bound(
        st.segmented_control, "Scope", "scope", settings.scope, scopes, start="default", required=True, help=SCOPE_HELP
    )
    bound(
        st.toggle, "Steer special tokens too", "special_tokens", settings.special_tokens,
        help="Turn markers and the like. Off leaves them unchanged.",
    )  # fmt: skip
    sides = st.columns(2)
    for place, (name, titled, least, most, step, explained) in enumerate(NUMBERS):
        value = max(least, min(most, getattr(settings, name)))
        side = sides[place % 2]
        bound(side.number_input, titled, name, value, least, most, step=step, help=explained)


def _escaped(text: str) -> str:
    """`text` for a label, where Markdown would be interpreted."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:])", r"\\\1", text)
