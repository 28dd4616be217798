"""Run prompts with as little work as possible: what two rows have in common runs once, and what ran before is kept.

Rows with the same prompt and adapter share everything below the first block that steers one of them: their keys and
values, and the state that leaves that block. So base, organism and steered organism cost about two prompts, a strip of
strengths costs one and the blocks above, and after a move of the coefficient only the blocks above run again.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from core.data.chat import Chat
from core.directions.direction import Direction
from core.generation.cache import KeysValues
from core.generation.reading import Reader, unit
from core.generation.rows import Reading, Row
from core.models.forward import BATCH_TOKENS, FEW_TOKENS, Inputs, batches
from core.models.loading import LoadedModel
from core.models.restart import kept_states, skipped
from core.organisms.adapters import Adapter, attached
from core.steering.hooks import Steering
from core.steering.interventions import Intervention

BYTES = 512 << 20
NO_CHAT = Chat.of("-")  # what a row of nothing but token ids says it asks
Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Trunk:
    """An unsteered prompt, as far as it was run.

    Attributes:
        layers: keys and values `[heads, tokens, dimension]` of each block that ran.
        states: what left some blocks, `[tokens, width]`.
        logits: `[vocabulary]` after the last token; None where not all blocks ran.
    """

    layers: list[KeysValues]
    states: dict[int, torch.Tensor]
    logits: torch.Tensor | None

    def serves(self, depth: int, blocks: Iterable[int], whole: bool) -> bool:
        return len(self.layers) > depth and set(blocks) <= set(self.states) and (self.logits is not None or not whole)

    @property
    def bytes(self) -> int:
        tensors = [*(part for pair in self.layers for part in pair), *self.states.values()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class PromptCache:
    """Prompts that ran before on one model, the least recently used forgotten first.

    Args:
        every_block: keep what leaves every block, so that another block can be steered without a new run.
        limit: bytes to keep at most.
    """

    def __init__(self, every_block: bool = True, limit: int = BYTES) -> None:
        self.every_block, self._limit = every_block, limit
        self._trunks: OrderedDict[Key, Trunk] = OrderedDict()
        self._bytes = 0
        self._model: weakref.ref | None = None

    def of(self, loaded: LoadedModel) -> PromptCache:
        """This cache, emptied if it holds the prompts of another model."""
        if self._model is None or self._model() is not loaded.model:
            self.clear()
            self._model = weakref.ref(loaded.model)
        return self

    def clear(self) -> None:
        self._trunks.clear()
        self._bytes = 0

    def get(self, key: Key) -> Trunk | None:
        found = self._trunks.get(key)
        if found is not None:
            self._trunks.move_to_end(key)
        return found

    def put(self, key: Key, trunk: Trunk) -> None:
        old = self._trunks.pop(key, None)
        self._bytes += trunk.bytes - (old.bytes if old else 0)
        self._trunks[key] = trunk
        while self._bytes > self._limit and self._trunks:
            self._bytes -= self._trunks.popitem(last=False)[1].bytes


@dataclass
class Prefilled:
    """Rows whose prompts have run: `logits` `[rows, vocabulary]`, `projections` `[rows]`, and each row's past."""

    logits: torch.Tensor
    projections: torch.Tensor
    layers: list[list[KeysValues]]


@dataclass(frozen=True)
class Prompted:
    """A row to run, with what it names."""

    row: Row
    ids: tuple[int, ...]
    adapter: Adapter | None

    @property
    def key(self) -> Key:
        return (self.adapter.sha256 if self.adapter else "", self.ids)

    @property
    def steered(self) -> tuple[Intervention, ...]:
        """Without what does nothing: at strength 0 a row is the unsteered one."""
        return tuple(item for item in self.row.interventions if item.coefficient != 0)

    @property
    def first_block(self) -> int | None:
        """Where steering begins; None for an unsteered row."""
        return min((block for item in self.steered for block in item.blocks), default=None)

    @property
    def needs(self) -> tuple[int, set[int], bool]:
        """What `Trunk.serves` asks: the deepest block to run unsteered, states to keep, whether all is to run."""
        read = {self.row.reading.block} if self.row.reading and self.reads_below else set()
        first = self.first_block
        return (0, read, True) if first is None else (first, read | {first}, False)

    @property
    def reads_below(self) -> bool:
        """Whether what it reads is not yet steered."""
        return self.row.reading is not None and (self.first_block is None or self.row.reading.block < self.first_block)


Result = tuple[torch.Tensor, torch.Tensor, list[KeysValues]]


@torch.inference_mode()
def prefill(
    loaded: LoadedModel, rows: Sequence[Prompted], directions: Mapping[str, Direction], prompts: PromptCache
) -> Prefilled:
    """Run the prompts of rows, for models of plain attention that can restart (`cache`, `restart`)."""
    apart = _apart(loaded, rows, prompts)
    trunks = _trunks(loaded, [item for place, item in enumerate(rows) if place not in apart], prompts)
    out: dict[int, Result] = {}
    for chunk in _chunks(loaded, sorted(apart), rows):
        out.update(zip(chunk, _whole(loaded, [rows[place] for place in chunk], directions, prompts), strict=True))
    by_first: dict[int, list[int]] = {}
    for place, item in enumerate(rows):
        if place in apart:
            continue
        if item.first_block is not None:
            by_first.setdefault(item.first_block, []).append(place)
            continue
        trunk = trunks[item.key]
        assert trunk.logits is not None
        out[place] = (trunk.logits, _read(loaded, item, trunk, directions), trunk.layers)
    for first, places in by_first.items():
        for chunk in _chunks(loaded, places, rows):
            chosen = [rows[place] for place in chunk]
            below = [trunks[item.key] for item in chosen]
            out.update(zip(chunk, _above(loaded, chosen, first, below, directions), strict=True))
    done = [out[place] for place in range(len(rows))]
    return Prefilled(
        torch.stack([item[0] for item in done]), torch.stack([item[1] for item in done]), [item[2] for item in done]
    )


def _apart(loaded: LoadedModel, rows: Sequence[Prompted], prompts: PromptCache) -> set[int]:
    """Places of the rows that run whole: steered ones that share nothing, or all, if they are new, few and short.

    A pass over few tokens takes the time it takes to read the weights, so one is faster than two that share.
    """
    uses = Counter(item.key for item in rows)
    new = []
    for place, item in enumerate(rows):
        kept = prompts.get(item.key)
        if kept is None or not kept.serves(*item.needs):
            new.append(place)
    few = len(rows) * max(len(item.ids) for item in rows) <= FEW_TOKENS.of(loaded)
    if few and len(new) == len(rows):
        return set(new)
    return {place for place in new if rows[place].first_block is not None and uses[rows[place].key] == 1}


@torch.inference_mode()
def base_prompts(loaded: LoadedModel, prompts: Sequence[tuple[int, ...]], kept: PromptCache) -> list[Trunk]:
    """Prompts (token ids) through all blocks of the bare model, for models that `prefill` serves."""
    rows = [Prompted(Row(NO_CHAT), ids, None) for ids in prompts]
    trunks = _trunks(loaded, rows, kept.of(loaded))
    return [trunks[row.key] for row in rows]


def _trunks(loaded: LoadedModel, rows: Sequence[Prompted], prompts: PromptCache) -> dict[Key, Trunk]:
    """The unsteered prompt of every row, run where it is not kept, each once and no further than needed."""
    last = len(loaded.blocks) - 1
    wanted: dict[Key, tuple[int, set[int], bool]] = {}
    example: dict[Key, Prompted] = {}
    for item in rows:
        depth, blocks, whole = wanted.get(item.key, (0, set(), False))
        own = item.needs
        wanted[item.key] = (max(depth, own[0]), blocks | own[1], whole or own[2])
        example[item.key] = item
    found: dict[Key, Trunk] = {}
    missing: dict[tuple[int, bool], list[Key]] = {}
    for key, (depth, blocks, whole) in wanted.items():
        trunk = prompts.get(key)
        if trunk is not None and trunk.serves(depth, blocks, whole):
            found[key] = trunk
        else:
            missing.setdefault((last, True) if whole or prompts.every_block else (depth, False), []).append(key)
    for (depth, whole), keys in missing.items():
        blocks = set(range(last + 1)) if prompts.every_block else set().union(*(wanted[key][1] for key in keys))
        items = [example[key] for key in keys]
        for chunk in _chunks(loaded, range(len(items)), items):
            for place, trunk in zip(
                chunk, _run(loaded, [items[place] for place in chunk], depth, sorted(blocks), whole), strict=True
            ):
                found[keys[place]] = trunk
                prompts.put(keys[place], trunk)
    return found


def _run(
    loaded: LoadedModel, rows: Sequence[Prompted], depth: int, blocks: Sequence[int], whole: bool
) -> Iterator[Trunk]:
    """Prompts through the blocks up to `depth`, unsteered, in one batch."""
    inputs = Inputs.left(loaded, [item.ids for item in rows])
    cache = DynamicCache(config=loaded.model.config)
    output = None
    with (
        attached(loaded, [item.adapter for item in rows]),
        kept_states(loaded, blocks, None if whole else depth) as states,
    ):
        output = loaded.model(**inputs.arguments(loaded, cache, logits=1))
    for row, item in enumerate(rows):
        tokens = len(item.ids)
        yield Trunk(
            [_of_row(layer, row, tokens) for layer in cache.layers[: depth + 1]],
            {block: states[block][row, -tokens:] for block in blocks},
            output.logits[row, -1].float() if output is not None and whole else None,
        )


def _whole(
    loaded: LoadedModel, rows: Sequence[Prompted], directions: Mapping[str, Direction], prompts: PromptCache
) -> list[Result]:
    """Rows through all blocks, steered, in one batch; what of them is unsteered is kept."""
    last = len(loaded.blocks) - 1
    blocks = range(last + 1) if prompts.every_block else sorted(set().union(*(item.needs[1] for item in rows)))
    with contextlib.ExitStack() as hooks:
        hooks.enter_context(attached(loaded, [item.adapter for item in rows]))
        states = hooks.enter_context(kept_states(loaded, blocks, None))  # before they are steered
        logits, projections, cache = _steered(loaded, rows, directions, [item.row.reading for item in rows])
    layers = [[_of_row(layer, row, len(item.ids)) for layer in cache.layers] for row, item in enumerate(rows)]
    # unsteered rows last: they have more of a prompt to keep than steered ones
    for row in sorted(range(len(rows)), key=lambda row: rows[row].first_block is None):
        first = rows[row].first_block
        unsteered = last if first is None else first
        kept = {block: states[block][row, -len(rows[row].ids) :] for block in blocks if block <= unsteered}
        prompts.put(rows[row].key, Trunk(layers[row][: unsteered + 1], kept, logits[row] if first is None else None))
    return [(logits[row], projections[row], layers[row]) for row in range(len(rows))]


def _above(
    loaded: LoadedModel,
    rows: Sequence[Prompted],
    first: int,
    trunks: Sequence[Trunk],
    directions: Mapping[str, Direction],
) -> Iterator[Result]:
    """Steered rows from the output of block `first` on, in one batch."""
    columns = max(len(item.ids) for item in rows)
    readings = [None if item.reads_below else item.row.reading for item in rows]
    with (
        attached(loaded, [item.adapter for item in rows]),
        skipped(loaded, first, _padded_states(trunks, first, columns)),
    ):
        logits, projections, cache = _steered(loaded, rows, directions, readings)
    for row, (item, trunk) in enumerate(zip(rows, trunks, strict=True)):
        upper = [_of_row(layer, row, len(item.ids)) for layer in cache.layers[first + 1 :]]
        read = _read(loaded, item, trunk, directions) if item.reads_below else projections[row]
        yield logits[row], read, trunk.layers[: first + 1] + upper


def _steered(
    loaded: LoadedModel,
    rows: Sequence[Prompted],
    directions: Mapping[str, Direction],
    readings: Sequence[Reading | None],
) -> tuple[torch.Tensor, torch.Tensor, DynamicCache]:
    """One forward pass over prompts: logits `[rows, vocabulary]` after the last token, projections, and the cache."""
    inputs = Inputs.left(loaded, [item.ids for item in rows])
    cache = DynamicCache(config=loaded.model.config)
    steering = Steering(loaded, [item.steered for item in rows], directions)
    reader = Reader(loaded, readings, directions)
    with steering.attached(), reader.attached():
        steering.scope(inputs.ids, inputs.mask, inputs.ids.shape[1])
        output = loaded.model(**inputs.arguments(loaded, cache, logits=1))
    return output.logits[:, -1].float(), reader.projections, cache


def _padded_states(trunks: Sequence[Trunk], block: int, columns: int) -> torch.Tensor:
    """What leaves `block` in each, `[rows, columns, width]`, real tokens at the right end."""
    like = trunks[0].states[block]
    hidden = like.new_zeros(len(trunks), columns, like.shape[-1])
    for row, trunk in enumerate(trunks):
        states = trunk.states[block]
        hidden[row, columns - len(states) :] = states
    return hidden


def _read(loaded: LoadedModel, item: Prompted, trunk: Trunk, directions: Mapping[str, Direction]) -> torch.Tensor:
    """The projection that belongs to the last prompt token, where it is unsteered; NaN where nothing is read."""
    if item.row.reading is None:
        return torch.tensor(float("nan"), device=loaded.device)
    return (trunk.states[item.row.reading.block][-1].float() * unit(loaded, item.row.reading, directions)).sum()


def _of_row(layer, row: int, tokens: int) -> KeysValues:
    return layer.keys[row, :, -tokens:], layer.values[row, :, -tokens:]


def _chunks(loaded: LoadedModel, places: Iterable[int], rows: Sequence[Prompted]) -> Iterator[list[int]]:
    """Places of rows in batches of similar length and of a size that suits the device."""
    return batches([item.ids for item in rows], BATCH_TOKENS.of(loaded), places)
