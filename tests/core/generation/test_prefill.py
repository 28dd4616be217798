"""Prompts that share their work give what each gives alone, and the work is really shared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.chat import Chat
from core.generation import prefill
from core.generation.cache import plain_attention
from core.generation.decode import collect, collect_batches, decode
from core.generation.prefill import PromptCache
from core.generation.rows import Reading, Row, Sampling, Token
from core.models.forward import ByDevice
from core.models.loading import LoadedModel
from core.models.restart import can_restart
from core.steering.interventions import Intervention
from tests.core import tiny
from tests.core.plain import FOREIGN, LONG, SHORT, assert_same_answer, ids_of, random_direction

STEPS = 5


@pytest.fixture(scope="module")
def direction(tiny_models):
    assert can_restart(tiny_models("Llama"))  # tried once a model, on a few tokens that no test should count
    return random_direction(tiny_models("Llama"), 0)


def steered(
    direction, coefficient: float, block: int = 2, chat: Chat = LONG, read: int | None = None, **options
) -> Row:
    item = Intervention("add", direction.id, (block,), coefficient, **options)
    reading = None if read is None else Reading(direction.id, read)
    return Row(chat, interventions=(item,), sampling=Sampling(max_tokens=STEPS), reading=reading)


@pytest.fixture
def sharing(monkeypatch) -> None:
    """Share also among rows that are few and short."""
    monkeypatch.setattr(prefill, "FEW_TOKENS", ByDevice(0, 0))


@contextlib.contextmanager
def tokens_through(loaded: LoadedModel) -> Iterator[list[int]]:
    """How many tokens each block computes while active; a block that is skipped computes none."""
    seen = [0] * len(loaded.blocks)
    handles = []
    for place, block in enumerate(loaded.blocks):

        def count(_module, args, kwargs, place=place):
            hidden = args[0] if args else kwargs["hidden_states"]
            seen[place] += hidden.shape[0] * hidden.shape[1]

        handles.append(block.self_attn.register_forward_pre_hook(count, with_kwargs=True))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def first_tokens(loaded: LoadedModel, rows: list[Row], direction, prompts: PromptCache | None = None) -> list[Token]:
    """The first token of every row; nothing is decoded."""
    with contextlib.closing(decode(loaded, rows, directions={direction.id: direction}, prompts=prompts)) as events:
        return [next(events) for _ in rows]  # type: ignore[misc]


@pytest.mark.usefixtures("sharing")
def test_only_the_blocks_above_run_again_after_a_move_of_the_coefficient(llama, direction):
    prompts, length = PromptCache(), len(ids_of(llama, LONG))
    rows = [Row(LONG, sampling=Sampling(max_tokens=STEPS)), steered(direction, 0.5)]
    with tokens_through(llama) as seen:
        first_tokens(llama, rows, direction, prompts)
    assert seen == [length, length, length, 2 * length]
    rows[1] = steered(direction, 0.75)
    with tokens_through(llama) as seen:
        moved = first_tokens(llama, rows, direction, prompts)
    assert seen == [0, 0, 0, length]
    fresh = first_tokens(llama, rows, direction)
    assert [token.id for token in moved] == [token.id for token in fresh]
    assert [token.logprob for token in moved] == pytest.approx([token.logprob for token in fresh], abs=1e-4)


def test_few_tokens_run_in_one_pass_and_are_kept_all_the_same(llama, direction):
    prompts, length = PromptCache(), len(ids_of(llama, SHORT))
    rows = [Row(SHORT, sampling=Sampling(max_tokens=STEPS)), steered(direction, 0.5, chat=SHORT)]
    with tokens_through(llama) as seen:
        together = first_tokens(llama, rows, direction, prompts)
    assert seen == [2 * length] * tiny.LAYERS
    for row, token in zip(rows, together, strict=True):
        assert token.logprob == pytest.approx(first_tokens(llama, [row], direction)[0].logprob, abs=1e-4)
    with tokens_through(llama) as seen:
        first_tokens(llama, [rows[0], steered(direction, 0.75, chat=SHORT)], direction, prompts)
    assert seen == [0, 0, 0, length]


def test_after_a_move_of_the_block_the_same_prompt_serves_from_there(llama, direction):
    prompts, length = PromptCache(), len(ids_of(llama, LONG))
    first_tokens(llama, [steered(direction, 0.5, block=2)], direction, prompts)
    with tokens_through(llama) as seen:
        first_tokens(llama, [steered(direction, 0.5, block=0)], direction, prompts)
    assert seen == [0, length, length, length]
    with tokens_through(llama) as seen:  # what lies above a steered block was never unsteered
        first_tokens(llama, [steered(direction, 0.5, block=3)], direction, prompts)
    assert seen == [length] * tiny.LAYERS


@pytest.mark.usefixtures("sharing")
def test_a_strip_of_strengths_runs_what_its_rows_share_once(llama, direction):
    rows = [steered(direction, 0.1 * place, block=1) for place in range(1, 7)]
    with tokens_through(llama) as seen:
        first_tokens(llama, rows, direction)
    length = len(ids_of(llama, LONG))
    assert seen == [length, length, 6 * length, 6 * length]


@pytest.mark.usefixtures("sharing")
def test_a_strength_of_zero_is_the_unsteered_row(llama, direction):
    with tokens_through(llama) as seen:
        same = first_tokens(llama, [steered(direction, 0.0), Row(LONG)], direction)
    assert seen == [len(ids_of(llama, LONG))] * tiny.LAYERS
    assert same[0].logprob == same[1].logprob


def test_every_class_gives_the_same_from_a_prompt_it_remembers(any_class, sharing):
    own = random_direction(any_class, 0)
    prompts = PromptCache()
    plain = Sampling(max_tokens=STEPS)
    bare = [Row(chat, sampling=plain, reading=Reading(own.id, 3)) for chat in (SHORT, LONG)]
    alone = {row: collect(any_class, [row], directions={own.id: own})[0] for row in bare}
    for coefficient, block in ((0.5, 1), (0.25, 1), (0.25, 2)):
        rows = [*bare, *(steered(own, coefficient, block, chat, read=1) for chat in (SHORT, LONG))]
        found = collect(any_class, rows, directions={own.id: own}, prompts=prompts)
        for row, answer in zip(rows, found, strict=True):
            wanted = alone.get(row) or collect(any_class, [row], directions={own.id: own})[0]
            assert_same_answer(answer, wanted)


def test_adapters_keep_their_prompts_apart(llama, direction):
    from core.organisms.adapters import Adapter

    path = "model.layers.1.mlp.down_proj"
    layers = {path: (torch.ones(1, 48), torch.ones(tiny.WIDTH, 1) * 0.1)}
    adapters = {name: Adapter(name, name, layers if name == "one" else {}) for name in ("one", "other")}
    prompts = PromptCache()
    rows = [Row(LONG, adapter=name, sampling=Sampling(max_tokens=STEPS)) for name in ("__base__", "one", "other")]
    for row in rows:
        alone = collect(llama, [row], adapters)[0]
        assert_same_answer(collect(llama, [row], adapters, prompts=prompts)[0], alone)
    assert len({answer.tokens[0].logprob for answer in collect(llama, rows, adapters, prompts=prompts)}) == 2


def test_a_prompt_cache_forgets_the_oldest_and_everything_of_another_model(tiny_models, direction):
    loaded, other = tiny_models("Llama"), tiny.build("Llama", seed=1)
    row = Row(LONG, sampling=Sampling(max_tokens=1))
    wanted = collect(other, [row])[0]
    shared = PromptCache()
    collect(loaded, [row], prompts=shared)
    assert_same_answer(collect(other, [row], prompts=shared)[0], wanted)
    small = PromptCache(limit=1)
    collect(loaded, [row], prompts=small)
    with tokens_through(loaded) as seen:
        collect(loaded, [row], prompts=small)
    assert sum(seen) > 0


@pytest.mark.parametrize("name", ["Llama", "Gemma3", "GPT-2", "Qwen3.5"])
def test_rows_that_take_the_places_of_others_say_what_they_say_alone(name, tiny_models):
    """Prompts and answers of many lengths in few places, for a class whose rows can change and one whose cannot."""
    loaded = tiny_models(name)
    own = random_direction(loaded, 0)
    chats = [SHORT, LONG, FOREIGN, Chat.of("When?"), Chat.of("Is it far to the river and the garden behind it?")]
    groups = []
    for place in range(11):
        sampling = Sampling(max_tokens=1 + 5 * place % 13, temperature=0.8 if place % 3 == 0 else 0.0, seed=place)
        item = Intervention("add", own.id, (place % 4,), 0.2 * (place % 3))
        groups.append([Row(chats[place % 5], interventions=(item,), sampling=sampling, reading=Reading(own.id, 1))])
    found = dict(collect_batches(loaded, groups, {}, {own.id: own}, rows_a_batch=3))
    assert sorted(found) == list(range(len(groups)))
    for place, (answer,) in found.items():
        assert_same_answer(answer, collect(loaded, groups[place], {}, {own.id: own})[0])


@settings(max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 6))
def test_no_step_is_spent_on_a_row_that_waits_for_a_longer_one(lengths, slots):
    """With places that are filled at once, steps are what the busiest place needs, not the longest of each batch."""
    loaded = _llama()
    rows = [Row(SHORT, sampling=Sampling(max_tokens=length)) for length in lengths]
    steps = 0

    def count(_module, args, kwargs):
        nonlocal steps
        hidden = args[0] if args else kwargs["hidden_states"]
        steps += hidden.shape[1] == 1

    handle = loaded.blocks[0].register_forward_pre_hook(count, with_kwargs=True)
    try:
        events = list(decode(loaded, rows, slots=slots))
    finally:
        handle.remove()
    assert sum(isinstance(event, Token) for event in events) == sum(lengths)
    busy = [0] * slots
    for length in lengths:  # the first token of a row comes with its prompt
        busy[busy.index(min(busy))] += length - 1
    assert steps <= max(busy)


def _llama(made: list[LoadedModel] = []) -> LoadedModel:  # noqa: B006
    if not made:
        made.append(tiny.build("Llama"))
    return made[0]


def test_which_classes_share_is_what_their_caches_say(tiny_models):
    """Recurrent and convolutional blocks and shared key heads across blocks do not share; plain attention does."""
    shares = {name: plain_attention(tiny_models(name), 12) and can_restart(tiny_models(name)) for name in tiny.CLASSES}
    assert not any(shares[name] for name in tiny.HYBRID)
    assert not shares["Gemma4"]
    assert all(shares[name] for name in ("Llama", "Qwen2", "Qwen3", "Gemma3", "Phi3", "DeepSeek-V3", "GPT-2", "LLaVA"))
    assert not plain_attention(tiny_models("Gemma3"), tiny.WINDOW)
