"""The same things done plainly: no cache, no batching, one row at a time.

Written apart from `core`, so that agreement means something.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from core.data.chat import Chat, prompt_ids
from core.directions.direction import Direction
from core.generation.rows import Answer
from core.models.loading import LoadedModel, _contiguous
from core.steering.interventions import Intervention

# how far log-probabilities may lie apart where only the order of float32 sums differs
ROUNDING = 5e-3
SHORT = Chat.of("Hi")
LONG = Chat.of("Where does the river go when the user is in the garden?")
FOREIGN = Chat.of("Grüße aus 東京 🌋!")


def ids_of(loaded: LoadedModel, chat: Chat) -> list[int]:
    return list(prompt_ids(loaded.tokenizer, chat))


def hidden_of(output) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output[0]


@torch.no_grad()
def residual_stream(loaded: LoadedModel, ids: Sequence[int]) -> torch.Tensor:
    """What each block returns for one row, `[blocks, tokens, width]`."""
    seen = [torch.zeros(0)] * len(loaded.blocks)

    def keep(place: int):
        return lambda _module, _args, output: seen.__setitem__(place, hidden_of(output)[0].clone())

    handles = [block.register_forward_hook(keep(place)) for place, block in enumerate(loaded.blocks)]
    try:
        loaded.model(torch.tensor([list(ids)]), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(seen)


def random_direction(loaded: LoadedModel, seed: int, fraction: float = 0.5) -> Direction:
    """Random vectors, `fraction` as long as the residual stream is; the base means are those of one prompt."""
    stream = residual_stream(loaded, ids_of(loaded, LONG)).float()
    norms = stream.norm(dim=-1).mean(1)
    gaussian = torch.randn(stream.shape[0], loaded.width, generator=torch.Generator().manual_seed(seed))
    unit = gaussian / gaussian.norm(dim=1, keepdim=True)
    return Direction(
        f"random {seed}", unit * norms[:, None] * fraction, norms, stream.mean(1), {"model": loaded.id, "seed": seed}
    )


@contextlib.contextmanager
def steered(
    loaded: LoadedModel,
    interventions: Sequence[Intervention],
    directions: Mapping[str, Direction],
    ids: Sequence[int],
    prompt_length: int,
) -> Iterator[None]:
    """Steer a forward pass over the whole of `ids`: the textbook formula at each position in scope."""

    def positions(item: Intervention) -> list[int]:
        first, end = {"all": (0, len(ids)), "prompt": (0, prompt_length), "response": (prompt_length - 1, len(ids))}[
            item.scope
        ]
        special = () if item.special_tokens else loaded.tokenizer.all_special_ids
        return [place for place in range(first, end) if ids[place] not in special]

    def hook(block: int):
        def change(_module, _args, output):
            hidden = hidden_of(output).clone()
            for item in interventions:
                if block not in item.blocks:
                    continue
                direction = directions[item.direction]
                vector = direction.vectors[block if item.vector_block is None else item.vector_block]
                places = positions(item)
                hidden[0, places] = _changed(hidden[0, places], vector, item, direction.base_means[block])
            return hidden if isinstance(output, torch.Tensor) else (hidden, *output[1:])

        return change

    handles = [loaded.blocks[block].register_forward_hook(hook(block)) for block in range(len(loaded.blocks))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _changed(x: torch.Tensor, v: torch.Tensor, item: Intervention, base_mean: torch.Tensor) -> torch.Tensor:
    if item.mode == "add":
        return x + item.coefficient * v
    unit = v / v.norm()
    along = x @ unit
    if item.mode == "ablate":
        return x - item.coefficient * torch.outer(along, unit)
    ceiling = torch.dot(base_mean, unit) if item.ceiling is None else item.ceiling
    return torch.where((along > ceiling)[:, None], x - item.coefficient * torch.outer(along - ceiling, unit), x)


@torch.no_grad()
def logprobs_without_cache(
    loaded: LoadedModel,
    chat: Chat,
    answer: Sequence[int],
    interventions: Sequence[Intervention] = (),
    directions: Mapping[str, Direction] | None = None,
) -> torch.Tensor:
    """Log-probabilities before each token of `answer`, the whole sequence computed anew: `[tokens, vocabulary]`."""
    prompt = ids_of(loaded, chat)
    steps = []
    for length in range(len(answer)):
        ids = [*prompt, *answer[:length]]
        with steered(loaded, interventions, directions or {}, ids, len(prompt)):
            logits = loaded.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        steps.append(logits.float().log_softmax(-1))
    return torch.stack(steps)


def assert_greedy(answer: Answer, logprobs: torch.Tensor) -> None:
    """Each token of `answer` has the probability stated and is the most likely one, up to rounding."""
    ids = [token.id for token in answer.tokens]
    expected = logprobs.gather(1, torch.tensor(ids)[:, None])[:, 0]
    torch.testing.assert_close(
        torch.tensor([token.logprob for token in answer.tokens]), expected, atol=ROUNDING, rtol=0
    )
    assert (logprobs.max(1).values - expected).max() < ROUNDING


def assert_same_answer(one: Answer, other: Answer) -> None:
    """Equal tokens with equal log-probabilities, up to rounding; after an exact tie texts may part."""
    for left, right in zip(one.tokens, other.tokens, strict=True):
        assert abs(left.logprob - right.logprob) < ROUNDING, (one.row.label, left, right)
        if left.id != right.id:
            return


def count_hooks(model: nn.Module) -> int:
    """Forward hooks and pre-hooks on all modules, without the one that loading puts before the vocabulary."""
    hooks = [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    ]
    return sum(hook is not _contiguous for hook in hooks)
