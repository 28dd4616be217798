"""Choosing tokens: greedy, temperature, top-k and top-p, each row from its own seed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.generation.sampling import Chooser, _place
from tests.core.plain import FOREIGN, LONG, SHORT

CPU = torch.device("cpu")
# few distinct values, so that ties are frequent, as they are in bfloat16
LOGITS = st.lists(st.integers(-6, 6).map(lambda value: value / 2), min_size=2, max_size=12)


def choose(logits: list[float], step: int = 0, **settings) -> int:
    return int(draw(Chooser([Sampling(**settings)], CPU), torch.tensor([logits]), step))


def draw(chooser: Chooser, logits: torch.Tensor, step: int) -> torch.Tensor:
    return chooser.choose(logits, [step] * len(logits))


def uniform(seed: int, step: int, max_tokens: int = 80) -> float:
    return float(torch.rand(max_tokens, generator=torch.Generator().manual_seed(seed))[step])


def choose_plainly(
    logits: list[float], number: float, temperature: float, top_p: float, top_k: int
) -> tuple[int, bool]:
    """One token in plain Python, and whether `number` lies so near to a border that rounding decides."""
    weights = [math.exp((value - max(logits)) / temperature) for value in logits]
    order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    kept, mass = [], 0.0
    for token in order[: top_k or None]:
        if kept and mass >= top_p - 1e-6:
            break
        kept.append(token)
        mass += weights[token] / sum(weights)
    total = sum(weights[token] for token in kept)
    reached, near = 0.0, abs(mass - top_p) < 1e-5
    for token in kept:
        reached += weights[token] / total
        near = near or abs(reached - number) < 1e-5
        if number < reached:
            return token, near
    return kept[-1], True


@given(LOGITS)
def test_temperature_zero_takes_the_largest_logit(logits):
    assert choose(logits) == logits.index(max(logits))


@given(LOGITS, st.integers(0, 2**62), st.floats(0.2, 3.0))
def test_top_k_one_equals_greedy_also_among_ties(logits, seed, temperature):
    assert choose(logits, temperature=temperature, top_k=1, seed=seed) == choose(logits)


def test_top_k_one_equals_greedy_where_a_large_vocabulary_has_ties_at_the_top():
    """A sort that is not stable would only show here: short rows are sorted by insertion."""
    logits = torch.randn(4, 20_000, generator=torch.Generator().manual_seed(0)).clamp(max=2.0)
    chooser = Chooser([Sampling(temperature=0.7, top_k=1, seed=seed) for seed in range(4)], CPU)
    assert torch.equal(draw(chooser, logits, 0), logits.argmax(-1))


@given(LOGITS, st.integers(0, 1000))
def test_a_temperature_near_zero_agrees_with_greedy_where_there_is_no_tie(logits, seed):
    if logits.count(max(logits)) == 1:
        assert choose(logits, temperature=0.01, seed=seed) == choose(logits)


@given(
    LOGITS,
    st.integers(0, 2**62),
    st.integers(0, 79),
    st.floats(0.2, 3.0),
    st.floats(0.05, 1.0),
    st.integers(0, 6),
)
def test_top_p_and_top_k_agree_with_a_plain_implementation(logits, seed, step, temperature, top_p, top_k):
    expected, near = choose_plainly(logits, uniform(seed, step), temperature, top_p, top_k)
    if not near:
        assert choose(logits, step, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed) == expected


@given(st.integers(0, 2**62), st.integers(1, 60), st.integers(61, 200))
def test_a_seed_gives_the_same_numbers_whatever_the_neighbours_length(seed, short, long):
    logits = torch.linspace(0, 1, 50)[None]
    alone = Chooser([Sampling(max_tokens=short, temperature=1.0, seed=seed)], CPU)
    beside = Chooser(
        [Sampling(max_tokens=long, temperature=1.0), Sampling(max_tokens=short, temperature=1.0, seed=seed)], CPU
    )
    step = short - 1
    assert draw(alone, logits, step)[0] == draw(beside, logits.expand(2, -1), step)[1]


def test_tokens_are_drawn_with_the_probabilities_of_the_softmax():
    draws, temperature = 20_000, 1.7
    logits = torch.tensor([0.0, 1.0, 2.0, 3.0])
    chooser = Chooser([Sampling(max_tokens=1, temperature=temperature, seed=seed) for seed in range(draws)], CPU)
    shares = draw(chooser, logits.expand(draws, -1), 0).bincount(minlength=4) / draws
    expected = (logits / temperature).softmax(0)
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / draws).sqrt()).all()


def plainly_placed(logits: torch.Tensor, number: float, temperature: float) -> tuple[int, float]:
    """The token at `number` of the whole distribution in vocabulary order, in float64, and how near a border lies."""
    cumulative = (logits.double() / temperature).softmax(-1).cumsum(-1)
    token = int((cumulative <= number).sum().clamp(max=len(logits) - 1))
    return token, float((cumulative - number).abs().min())


def test_rows_that_keep_the_whole_vocabulary_are_not_sorted(monkeypatch):
    """Sorting 50,000 entries costs most of a sampled step."""
    sorted_rows = []
    sort = torch.Tensor.sort

    def counted(values: torch.Tensor, *args, **options):
        sorted_rows.append(len(values))
        return sort(values, *args, **options)

    monkeypatch.setattr(torch.Tensor, "sort", counted)
    logits = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    plain = Sampling(temperature=1.0, seed=1)
    draw(Chooser([plain] * 4, CPU), logits, 0)
    assert sorted_rows == []
    mixed = [plain, Sampling(temperature=1.0, top_k=5), Sampling(), Sampling(temperature=1.0, top_p=0.5)]
    draw(Chooser(mixed, CPU), logits, 0)
    assert sorted_rows == [2]


@given(st.integers(0, 2**62), st.floats(0.2, 3.0), st.integers(0, 79))
def test_an_untruncated_row_takes_the_token_at_its_number_in_vocabulary_order(seed, temperature, step):
    logits = torch.randn(3000, generator=torch.Generator().manual_seed(seed % 1000)) * 3
    expected, distance = plainly_placed(logits, uniform(seed, step), temperature)
    if distance > 1e-6:
        assert choose(logits.tolist(), step, temperature=temperature, seed=seed) == expected


def test_untruncated_rows_are_drawn_with_the_probabilities_of_the_softmax_beside_truncated_ones():
    draws = 40_000
    logits = torch.tensor([0.0, 1.5, -1.0, 3.0, 2.0])
    settings = [Sampling(max_tokens=1, temperature=1.3, top_k=2 * (seed % 2), seed=seed) for seed in range(draws)]
    tokens = draw(Chooser(settings, CPU), logits.expand(draws, -1), 0)
    whole = (logits / 1.3).softmax(0)
    top_two = torch.where(logits >= 2.0, whole, torch.zeros(()))
    for first, expected in ((0, whole), (1, top_two / top_two.sum())):
        shares = tokens[first::2].bincount(minlength=5) / (draws / 2)
        assert ((shares - expected).abs() <= 4 * (expected * (1 - expected) / (draws / 2)).sqrt()).all()


@given(st.lists(st.sampled_from(["greedy", "plain", "top-k", "top-p"]), min_size=2, max_size=7), st.integers(0, 500))
def test_a_row_chooses_the_same_whatever_rows_stand_beside_it_and_in_whatever_order(kinds, seed):
    options = {"greedy": {}, "plain": {"temperature": 1.1}, "top-k": {"temperature": 0.8, "top_k": 7}}
    options["top-p"] = {"temperature": 1.6, "top_p": 0.7}
    logits = torch.randn(len(kinds), 60, generator=torch.Generator().manual_seed(seed)) * 2
    settings = [Sampling(max_tokens=9, seed=seed + place, **options[kind]) for place, kind in enumerate(kinds)]
    for step in (0, 5, 8):
        together = draw(Chooser(settings, CPU), logits, step)
        turned = draw(Chooser(settings[::-1], CPU), logits.flip(0), step)
        alone = [draw(Chooser([item], CPU), logits[place : place + 1], step) for place, item in enumerate(settings)]
        assert together.tolist() == turned.flip(0).tolist() == [int(token) for token in alone]


def test_a_large_vocabulary_is_summed_finely_enough_for_its_small_probabilities():
    """Entries hold about 2e-5 each; numbers a hundredth of that away from a border must fall on the right side."""
    rows = 64
    logits = torch.randn(50_000, generator=torch.Generator().manual_seed(0))
    seeds = range(rows)
    settings = [Sampling(max_tokens=1, temperature=1.0, seed=seed) for seed in seeds]
    tokens = draw(Chooser(settings, CPU), logits.expand(rows, -1), 0).tolist()
    numbers = [uniform(seed, 0, 1) for seed in seeds]
    expected = [plainly_placed(logits, number, 1.0) for number in numbers]
    clear = [place for place, (_, distance) in enumerate(expected) if distance > 2e-7]
    assert len(clear) > rows / 2
    assert [tokens[place] for place in clear] == [expected[place][0] for place in clear]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_place_in_the_distribution_is_the_same_in_the_precision_of_every_device(dtype):
    """Apple's GPUs sum in float32: numbers away from a border must fall on the same tokens there."""
    logits = torch.randn(200, 500, generator=torch.Generator().manual_seed(2)) * 3
    numbers = torch.rand(200, 1, generator=torch.Generator().manual_seed(3))
    cumulative = logits.softmax(-1).cumsum(-1, dtype=dtype)
    for row, token in enumerate(_place(cumulative, numbers).tolist()):
        expected, distance = plainly_placed(logits[row], float(numbers[row]), 1.0)
        assert token == expected or distance < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_number_of_nearly_one_takes_a_token_that_can_occur(dtype):
    logits = torch.tensor([[1.0, 2.0, -math.inf, -math.inf]])
    nearly = torch.full((1, 1), 1 - 2**-24)
    assert _place(logits.softmax(-1).cumsum(-1, dtype=dtype), nearly).tolist() == [1]


def test_greedy_and_sampled_rows_share_a_batch():
    logits = torch.tensor([[0.0, 1.0, 0.9]] * 3)
    settings = [Sampling(), Sampling(temperature=1.0, seed=5), Sampling(temperature=1.0, top_k=1)]
    tokens = [draw(Chooser(settings, CPU), logits, step) for step in range(60)]
    assert {int(token[0]) for token in tokens} == {1}
    assert {int(token[1]) for token in tokens} == {0, 1, 2}
    assert {int(token[2]) for token in tokens} == {1}


@pytest.mark.parametrize("name", ["Llama", "Qwen3.5", "LFM2", "GPT-2"])
def test_the_same_seed_gives_the_same_text_alone_and_in_a_batch(name, tiny_models):
    loaded = tiny_models(name)
    rows = [
        Row(chat, sampling=Sampling(max_tokens=length, temperature=0.9, top_p=0.9, top_k=40, seed=seed))
        for chat, length, seed in ((SHORT, 20, 1), (LONG, 8, 2), (FOREIGN, 14, 1), (LONG, 8, 3))
    ]
    together = collect(loaded, rows)
    for row, answer in zip(rows, together, strict=True):
        assert answer.text == collect(loaded, [row])[0].text
    assert together[1].text != together[3].text


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": 10**6},
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
        {"top_k": -1},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(BadInput, match="Sampling"):
        Sampling(**wrong)
