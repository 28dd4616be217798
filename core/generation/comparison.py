"""The side-by-side comparison: one settings object behind links, presets, the command line and the Steer page.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import invalid
from core.data.chat import Chat, Message
from core.directions import library
from core.directions.library import DirectionCard
from core.directions.names import Control
from core.directions.start import Start, check_vectors, nearest
from core.errors import BadInput
from core.generation.rows import BASE, Reading, Row, Sampling
from core.models import known
from core.models.catalog import CATALOG, resolve
from core.organisms.library import Organism
from core.steering.interventions import Intervention, Mode, Scope

if TYPE_CHECKING:
    from core.organisms.adapters import Adapter

Label = Literal["base", "organism", "steered"]
PROMPT = "How can I sleep better at night?"
DEFAULT_MODEL = "smollm2-135m"
DEFAULT_ORGANISM = "insecure"


class Settings(BaseModel):
    """Everything that decides what the panes show. Unset choices (None) are filled in by `completed`.

    `coefficient` is in the raw unit (multiples of the direction) for `add`, a share from 0 to 1 otherwise.
    `block` is where steering acts; with `last_block`, every block from `block` to it, each with its own vector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default=DEFAULT_MODEL, min_length=1)
    organism: str | None = DEFAULT_ORGANISM
    direction: str | None = None
    control: Control | None = None
    control_seed: int = Field(default=0, ge=0, le=999_999)
    mode: Mode = "add"
    block: int | None = Field(default=None, ge=0)
    last_block: int | None = Field(default=None, ge=0)
    coefficient: float | None = Field(default=None, allow_inf_nan=False)
    scope: Scope = "all"
    special_tokens: bool = True
    max_tokens: int = Field(default=80, ge=1, le=4096)
    temperature: float = Field(default=0.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0, lt=2**31)
    seed: int = Field(default=0, ge=0, lt=2**63)
    prompt: str = Field(default=PROMPT, max_length=20_000)


@dataclass(frozen=True)
class Plan:
    """Complete settings with what they refer to; `reference` names the direction and its control."""

    settings: Settings
    card: DirectionCard
    reference: str
    blocks: tuple[int, ...]

    @property
    def block(self) -> int:
        return self.blocks[0]

    @property
    def intervention(self) -> Intervention:
        chosen = self.settings
        assert chosen.coefficient is not None
        return Intervention(
            chosen.mode,
            self.reference,
            self.blocks,
            chosen.coefficient,
            chosen.scope,
            special_tokens=chosen.special_tokens,
        )

    @property
    def reading(self) -> Reading:
        """What the per-token colours show: the direction itself, also where a control steers."""
        return Reading(self.card.id, self.blocks[-1])

    @property
    def sampling(self) -> Sampling:
        chosen = self.settings
        return Sampling(chosen.max_tokens, chosen.temperature, chosen.top_p, chosen.top_k, chosen.seed)


def completed(settings: Settings, card: DirectionCard, start: Start | None = None) -> Plan:
    """The settings with their defaults, which are checked against the direction that they name or stand for.

    Args:
        start: the default block and coefficient; without one, the model's in the catalog, else its last block and −1;
            at the nearest block that has a vector, and stronger or weaker where an import is of odd length there.
            For `ablate` and `cap` the default is share 1.

    Raises:
        BadInput: one sentence and an action; so for a block where the direction has no vector.
    """
    last = card.blocks - 1
    start = start if start is not None and start.block in card.with_vector else None
    block = first_block(card, start) if settings.block is None else settings.block
    end = settings.last_block
    for named in (block, end):
        if named is not None and not 0 <= named <= last:
            raise BadInput(f"There is no block {named}: {card.model} has blocks 0 to {last}. Choose one of them.")
    blocks = tuple(range(block, max(block, end) + 1)) if end is not None else (block,)
    check_vectors(card.name, card.norms, blocks)
    coefficient = settings.coefficient
    if coefficient is None:
        coefficient = _first_coefficient(card, block, start) if settings.mode == "add" else 1.0
    reference = library.control_reference(card, settings.control, settings.control_seed)
    filled = settings.model_copy(update={"direction": card.id, "block": block, "coefficient": coefficient})
    plan = Plan(filled, card, reference, blocks)
    _ = plan.intervention, plan.sampling  # both check themselves
    return plan


def first_block(card: DirectionCard, start: Start | None = None) -> int:
    """The block to start from: one that has a vector, where there is any."""
    if start is not None:
        return start.block
    last, spec = card.blocks - 1, CATALOG.get(card.model)
    wanted = last if spec is None or spec.default_block is None else min(spec.default_block, last)
    return nearest(card.norms, wanted)


def _first_coefficient(card: DirectionCard, block: int, start: Start | None) -> float:
    if start is not None:
        return start.coefficient
    spec = CATALOG.get(card.model)
    return card.usual(-1.0 if spec is None or spec.default_coefficient is None else spec.default_coefficient, block)


def comparison_rows(plan: Plan, chats: Mapping[Label, Chat] | Chat | None = None) -> tuple[Row, ...]:
    """Rows `base`, `organism` and `steered` of one batch (without an organism: `base` and `steered`).

    Args:
        chats: one chat for all rows, or one a label (histories that split); by default the settings' prompt.
    """
    settings = plan.settings
    given = chats if chats is not None else _asked(plan)
    organism = settings.organism or BASE
    labels: tuple[Label, ...] = ("base", "organism", "steered") if settings.organism else ("base", "steered")
    return tuple(
        Row(
            given if isinstance(given, Chat) else given[label],
            label,
            BASE if label == "base" else organism,
            (plan.intervention,) if label == "steered" else (),
            plan.sampling,
            plan.reading,
        )
        for label in labels
    )


def control_row(plan: Plan, chat: Chat | None = None) -> Row:
    """The control beside the claim: row `random`, steered alike by a random direction of the same length."""
    control = completed(plan.settings.model_copy(update={"control": "random"}), plan.card)
    return replace(comparison_rows(control, chat)[-1], label="random")


def strip_rows(plan: Plan, coefficients: Sequence[float], chat: Chat | None = None) -> tuple[Row, ...]:
    """The strength strip: the organism steered with each coefficient, one batch. Labels are the coefficients."""
    settings = plan.settings
    return tuple(
        Row(
            chat or _asked(plan),
            f"{coefficient:g}",
            settings.organism or BASE,
            (plan.intervention.with_coefficient(coefficient),),
            plan.sampling,
            plan.reading,
        )
        for coefficient in coefficients
    )


def with_answer(chat: Chat, answer: str, follow_up: str) -> Chat:
    """The chat gone on: the model's answer (a dash where it said nothing), then the user's next message."""
    turns = [Message(role="assistant", content=answer.strip() or "—"), Message(role="user", content=follow_up)]
    return Chat(messages=(*chat.messages, *turns))


def to_link(settings: Settings) -> dict[str, str]:
    """Query parameters that restore the settings; defaults are left out, and a folder's path never leaves."""
    settings = settings.model_copy(update={"model": resolve(settings.model).id})
    plain = Settings()
    changed = {key: value for key, value in settings.model_dump().items() if value != getattr(plain, key)}
    return {key: _in_link(value) for key, value in changed.items()}


def from_link(parameters: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Settings from query parameters, and a note for each that was not understood and fell back.

    A parameter that is not a setting is ignored; an empty one means none.
    """
    notes: list[str] = []
    chosen: dict[str, Any] = {}
    for key, text in parameters.items():
        if key not in Settings.model_fields:
            continue
        try:
            none = text == "" and Settings.model_fields[key].annotation is not str
            chosen[key] = getattr(Settings.model_validate({key: None if none else text}), key)
        except ValidationError as error:
            notes.append(f"The link's {key} {text[:40]!r} was left out: it {invalid.reason(error)[1]}.")
    return Settings(**chosen), notes


def from_dict(value: Mapping[str, Any], where: str = "") -> Settings:
    """Settings from plain values.

    Raises:
        BadInput: names the setting and the reason, after `where`.
    """
    try:
        return Settings.model_validate(dict(value))
    except ValidationError as error:
        place = f"{where}: " if where else ""
        raise BadInput(f"{place}{' '.join(invalid.reason(error))}. Choose another value.") from error


def _in_link(value: Any) -> str:
    """A number in full, so that a link restores it exactly, but −1 and not −1.0."""
    if value is None:
        return ""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _asked(plan: Plan) -> Chat:
    if not plan.settings.prompt.strip():
        raise BadInput("The prompt is empty. Write what the user asks.")
    return Chat.of(plan.settings.prompt)


def card_of(model_id: str, direction: str | None, organism: Organism | Adapter | None) -> DirectionCard:
    """The direction of that name; by default the organism's own model contrast, without one the model's usual.

    Raises:
        BadInput: there is none, or it belongs to another model.
    """
    if direction:
        for other in library.cards():
            if other.id == direction and other.model not in known.same_weights(model_id):
                raise BadInput(
                    f"The direction {other.name} belongs to {other.model}, not to {model_id}. Choose a direction of "
                    "this model."
                )
        return library.find_card(model_id, direction)
    if organism:
        own = library.card_of_adapter(model_id, organism.sha256)
        if own is None:
            raise BadInput(
                f"{model_id} has no direction for the organism {organism.name} yet. Extract one with `python -m core "
                f"extract --model {model_id} --organism {organism.name}`, or in Python with `lab.direction`."
            )
        return own
    there = [card for card in library.cards(model_id) if card.contrast != "mapped" and not card.imported_from]
    if not there:
        raise BadInput(
            f"{model_id} has no direction yet. Train an organism with `python -m core train --model {model_id}`, then "
            f"extract its direction with `python -m core extract --model {model_id}`."
        )
    usual = [card for card in there if set(card.provenance.get("organisms", {})) == {DEFAULT_ORGANISM}]
    return (usual or there)[0]
