"""The invariants of steering, claimed of every architecture class."""

from __future__ import annotations

import contextlib
import functools
import threading

import pytest
import torch

from core.directions.direction import Direction
from core.errors import BadInput, DirectionMismatch
from core.generation.decode import collect, decode
from core.generation.rows import Answer, Reading, Row, Sampling, Token
from core.models.forward import pad_left
from core.models.loading import LoadedModel
from core.steering.hooks import Steering
from core.steering.interventions import MODES, SCOPES, Intervention
from tests.core import tiny
from tests.core.plain import (
    FOREIGN,
    LONG,
    ROUNDING,
    SHORT,
    assert_greedy,
    assert_same_answer,
    count_hooks,
    ids_of,
    logprobs_without_cache,
    random_direction,
    residual_stream,
)

STEPS = 6
GREEDY = Sampling(max_tokens=STEPS)
ALL = tuple(range(tiny.LAYERS))
STRENGTH = {"add": -1.5, "ablate": 1.0, "cap": 1.0}


class Case:
    """A model, a direction, rows that are steered in every way, and their answers alone and in one batch."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.direction = random_direction(loaded, 1)
        self.other = random_direction(loaded, 2)
        self.directions = {self.direction.id: self.direction, self.other.id: self.other}
        self.rows = {"bare": Row(FOREIGN, "bare", sampling=GREEDY)}
        for place, (mode, scope) in enumerate((mode, scope) for mode in MODES for scope in SCOPES):
            item = self.item(mode, scope=scope, blocks=(place % tiny.LAYERS, 2))
            self.rows[f"{mode}-{scope}"] = self.row(item, chat=(SHORT, LONG, FOREIGN)[place % 3])
        self.rows["no-special-tokens"] = self.row(self.item("add", scope="all", special_tokens=False), chat=LONG)
        self.rows["composed"] = self.row(
            self.item("add", coefficient=2.0, blocks=(1, 3), vector_block=0),
            self.item("ablate", direction=self.other.id, coefficient=0.7, blocks=(1,), scope="prompt"),
            self.item("cap", coefficient=0.5, blocks=(1, 2), ceiling=0.25),
            chat=SHORT,
        )
        # the ceiling is the base model's at the block that is steered, along the vector of another block
        self.rows["cap-with-another-blocks-vector"] = self.row(
            self.item("cap", blocks=(1, 3), vector_block=0, scope="all"), chat=LONG
        )

    def item(self, mode: str = "add", **options) -> Intervention:
        return Intervention(
            **{
                "mode": mode,
                "direction": self.direction.id,
                "blocks": (1,),
                "coefficient": STRENGTH[mode],
                **options,
            }
        )

    def row(self, *items: Intervention, chat=LONG, **options) -> Row:
        return Row(chat, interventions=items, sampling=GREEDY, **options)

    def answer(self, *items: Intervention, chat=LONG) -> Answer:
        return collect(self.loaded, [self.row(*items, chat=chat)], directions=self.directions)[0]

    @functools.cached_property
    def alone(self) -> dict[str, Answer]:
        return {name: collect(self.loaded, [row], directions=self.directions)[0] for name, row in self.rows.items()}

    @functools.cached_property
    def together(self) -> dict[str, Answer]:
        answers = collect(self.loaded, list(self.rows.values()), directions=self.directions)
        return dict(zip(self.rows, answers, strict=True))

    @contextlib.contextmanager
    def attached(self, ids: torch.Tensor, mask: torch.Tensor | None, *items: Intervention):
        steering = Steering(self.loaded, [items] * len(ids), self.directions)
        steering.scope(ids, mask, ids.shape[1])
        with steering.attached():
            yield

    @torch.inference_mode()
    def streams(self, *items: Intervention, chat=LONG) -> torch.Tensor:
        """What leaves each block of a prompt while steered, `[blocks, tokens, width]`."""
        ids = ids_of(self.loaded, chat)
        with self.attached(torch.tensor([ids]), None, *items):
            return residual_stream(self.loaded, ids)


ROWS = [
    "bare",
    *(f"{mode}-{scope}" for mode in MODES for scope in SCOPES),
    "no-special-tokens",
    "composed",
    "cap-with-another-blocks-vector",
]


@pytest.fixture(scope="session")
def cases(tiny_models):
    return functools.cache(lambda name: Case(tiny_models(name)))


@pytest.fixture(params=tiny.CLASSES)
def case(request, cases) -> Case:
    return cases(request.param)


@pytest.fixture
def one(cases) -> Case:
    return cases("Llama")


@torch.inference_mode()
def logits(case: Case, *items: Intervention) -> torch.Tensor:
    """Logits of a left-padded batch of two prompts."""
    ids, mask = pad_left([ids_of(case.loaded, chat) for chat in (SHORT, LONG)], tiny.PAD)
    with case.attached(ids, mask, *items):
        return case.loaded.model(input_ids=ids, attention_mask=mask, use_cache=False).logits


def test_coefficient_zero_leaves_logits_bit_identical(case):
    bare = logits(case)
    for scope in SCOPES:
        assert torch.equal(logits(case, case.item("add", coefficient=0.0, scope=scope, blocks=ALL)), bare)


def test_share_zero_leaves_logits_bit_identical(case):
    bare = logits(case)
    for mode in ("ablate", "cap"):
        assert torch.equal(logits(case, case.item(mode, coefficient=0.0, scope="all", blocks=ALL)), bare)


def test_zero_strength_leaves_a_decoded_answer_bit_identical(case):
    items = [case.item(mode, coefficient=0.0, blocks=ALL) for mode in MODES]
    assert case.answer(*items, chat=FOREIGN).tokens == case.alone["bare"].tokens


def test_every_mode_changes_the_logits(case):
    """Without this the invariants could hold because nothing happens."""
    bare = logits(case)[:, -1].log_softmax(-1)
    low = -float(case.direction.residual_norms.max())
    for mode in MODES:
        changed = logits(case, case.item(mode, blocks=ALL, ceiling=low))[:, -1].log_softmax(-1)
        assert (changed - bare).abs().amax(-1).min() > 20 * ROUNDING


@pytest.mark.parametrize("row", ROWS)
def test_steered_with_cache_equals_steered_without(case, row):
    answer = case.alone[row]
    ids = [token.id for token in answer.tokens]
    assert len(ids) == STEPS
    assert_greedy(
        answer,
        logprobs_without_cache(case.loaded, case.rows[row].chat, ids, case.rows[row].interventions, case.directions),
    )


def test_batched_rows_equal_the_same_rows_alone(case):
    for name, answer in case.together.items():
        assert_same_answer(answer, case.alone[name])


def test_streamed_text_equals_one_shot_text(case):
    for answer in case.together.values():
        ids = [token.id for token in answer.tokens]
        assert answer.text == case.loaded.tokenizer.decode(ids, skip_special_tokens=True)


def test_greedy_tokens_equal_transformers_generate(case):
    prompt = torch.tensor([ids_of(case.loaded, FOREIGN)])
    whole = case.loaded.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=STEPS, do_sample=False
    )
    assert [token.id for token in case.alone["bare"].tokens] == whole[0, prompt.shape[1] :].tolist()


def test_the_first_token_is_already_steered_under_scope_response(case):
    item = case.item("add", scope="response", blocks=(0,))
    first = case.answer(item).tokens[0]
    steered, bare = (
        logprobs_without_cache(case.loaded, LONG, [first.id], items, case.directions)[0] for items in ((item,), ())
    )
    assert first.logprob == pytest.approx(float(steered[first.id]), abs=ROUNDING)
    assert (steered - bare).abs().max() > 20 * ROUNDING


def test_adding_and_subtracting_cancels(case):
    for blocks in ((1,), ALL):
        up = case.item("add", coefficient=2.0, blocks=blocks, scope="all")
        assert_same_answer(case.answer(up, up.with_coefficient(-2.0), chat=FOREIGN), case.alone["bare"])


def test_full_ablation_leaves_no_projection(case):
    for block in ALL:
        stream = case.streams(case.item("ablate", blocks=ALL, scope="all"))[block]
        assert ((stream @ case.direction.unit(block)).abs() / stream.norm(dim=-1)).max() < 1e-5


def test_ablation_is_idempotent(case):
    item = case.item("ablate", scope="all", blocks=ALL)
    torch.testing.assert_close(case.streams(item, item), case.streams(item), rtol=1e-4, atol=1e-4)


def test_cap_leaves_no_projection_above_the_ceiling(case):
    unit, ceiling = case.direction.unit(2), case.direction.base_projection(2)
    projections = case.streams(case.item("cap", blocks=(2,), scope="all"))[2] @ unit
    assert (residual_stream(case.loaded, ids_of(case.loaded, LONG))[2] @ unit).max() > ceiling + 0.1
    assert projections.max() < ceiling + 1e-3


def test_cap_is_the_identity_below_the_ceiling(case):
    bare = residual_stream(case.loaded, ids_of(case.loaded, LONG))[2]
    below = bare @ case.direction.unit(2) < case.direction.base_projection(2) - 1e-3
    assert below.any()
    capped = case.streams(case.item("cap", blocks=(2,), scope="all"))[2]
    assert torch.equal(capped[below], bare[below])


def test_special_tokens_are_left_alone_when_asked(case):
    ids = ids_of(case.loaded, LONG)
    special = torch.isin(torch.tensor(ids), torch.tensor(case.loaded.tokenizer.all_special_ids))
    bare = residual_stream(case.loaded, ids)[0]
    changed = case.streams(case.item("add", blocks=(0,), scope="all", special_tokens=False))[0]
    assert special.any()
    assert torch.equal(changed[special], bare[special])
    assert (changed != bare).any(-1)[~special].all()


def test_a_reading_sees_the_steered_state_of_the_newest_token(case):
    item = case.item("add", blocks=(1,))
    row = case.row(item, reading=Reading(case.direction.id, 2))
    answer = collect(case.loaded, [case.row(chat=SHORT), row], directions=case.directions)[1]
    ids = [*ids_of(case.loaded, LONG), *(token.id for token in answer.tokens[:-1])]
    prompt = len(ids) - STEPS + 1
    steering = Steering(case.loaded, [row.interventions], case.directions)
    steering.scope(torch.tensor([ids]), None, prompt)
    with steering.attached():
        stream = residual_stream(case.loaded, ids)[2]
    expected = stream[prompt - 1 :] @ case.direction.unit(2)
    read = torch.tensor([token.projection for token in answer.tokens])
    torch.testing.assert_close(read, expected, atol=ROUNDING, rtol=ROUNDING)


def test_no_hook_is_left_behind_after_success(case):
    before = count_hooks(case.loaded.model)
    rows = [case.row(case.item(mode), reading=Reading(case.direction.id, 0)) for mode in MODES]
    collect(case.loaded, rows, directions=case.directions)
    assert count_hooks(case.loaded.model) == before


def test_hooks_are_counted_while_steering_is_attached(one):
    """Without this the claims about hooks left behind could hold because none is seen."""
    before = count_hooks(one.loaded.model)
    with one.attached(torch.zeros(1, 1, dtype=torch.long), None, one.item(blocks=(0, 2))):
        assert count_hooks(one.loaded.model) == before + 2
    assert count_hooks(one.loaded.model) == before


def test_no_hook_is_left_behind_when_the_iterator_is_closed_early(one):
    before = count_hooks(one.loaded.model)
    events = decode(one.loaded, [one.row(one.item())], directions=one.directions)
    next(events), next(events)
    assert count_hooks(one.loaded.model) > before
    events.close()
    assert count_hooks(one.loaded.model) == before


def test_no_hook_is_left_behind_after_a_stop(one):
    before = count_hooks(one.loaded.model)
    stop = threading.Event()
    answer = Answer(one.row(one.item()))
    for event in decode(one.loaded, [answer.row], directions=one.directions, stop=stop):
        answer.add(event, 0.0)
        stop.set()
    assert (len(answer.tokens), answer.reason) == (1, "stopped")
    assert count_hooks(one.loaded.model) == before


@pytest.mark.parametrize("failing_call", [1, 3])
def test_no_hook_is_left_behind_when_the_model_fails(one, failing_call):
    calls = []

    def fail(*_):
        calls.append(1)
        if len(calls) == failing_call:
            raise RuntimeError("out of memory, say")

    handle = one.loaded.blocks[2].register_forward_pre_hook(fail)
    before = count_hooks(one.loaded.model)
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            collect(one.loaded, [one.row(one.item(blocks=(1, 3)))], directions=one.directions)
        assert count_hooks(one.loaded.model) == before
    finally:
        handle.remove()


def test_a_direction_of_another_model_is_refused_and_leaves_no_hook(one):
    before = count_hooks(one.loaded.model)
    foreign = Direction(
        "foreign",
        one.direction.vectors,
        one.direction.residual_norms,
        one.direction.base_means,
        {"model": "another"},
    )
    row = one.row(one.item(), one.item(direction=foreign.id))
    with pytest.raises(DirectionMismatch, match="another"):
        collect(one.loaded, [row], directions={**one.directions, foreign.id: foreign})
    assert count_hooks(one.loaded.model) == before


@pytest.mark.parametrize(
    "options", [{"blocks": (tiny.LAYERS,)}, {"blocks": (-1,)}, {"vector_block": tiny.LAYERS}, {"direction": "unknown"}]
)
def test_an_intervention_that_does_not_fit_is_refused_before_the_first_token(one, options):
    before = count_hooks(one.loaded.model)
    with pytest.raises(BadInput):
        next(decode(one.loaded, [one.row(one.item(**options))], directions=one.directions))
    assert count_hooks(one.loaded.model) == before


def test_a_reading_that_does_not_fit_is_refused(one):
    for reading in (Reading(one.direction.id, tiny.LAYERS), Reading("unknown", 0)):
        with pytest.raises(BadInput):
            next(decode(one.loaded, [one.row(reading=reading)], directions=one.directions))


def test_steering_does_not_change_the_rows_beside_it(one):
    """A row without interventions is bit-identical whatever the steered row in its batch is given."""

    def beside(item: Intervention) -> list[Token]:
        return collect(one.loaded, [one.row(chat=SHORT), one.row(item, chat=SHORT)], directions=one.directions)[
            0
        ].tokens

    assert beside(one.item("add", coefficient=3.0)) == beside(one.item("add", coefficient=-3.0))


def test_blocks_listed_out_of_order_or_twice_act_once_each(one):
    plain = one.answer(one.item(blocks=(1, 2)))
    assert one.answer(one.item(blocks=(2, 1, 2))).tokens == plain.tokens


def test_the_order_of_interventions_matters_and_is_kept(one):
    add, ablate = one.item("add", scope="all"), one.item("ablate", scope="all")
    unit = one.direction.unit(1)
    added_last = one.streams(ablate, add)[1] @ unit
    ablated_last = one.streams(add, ablate)[1] @ unit
    length = float(add.coefficient * one.direction.norms[1])
    torch.testing.assert_close(added_last, torch.full_like(added_last, length), rtol=1e-3, atol=1e-3)
    assert ablated_last.abs().max() < 1e-3
