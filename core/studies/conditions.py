"""Conditions: who answers a list of prompts and how it is steered; the answers are generated once and kept.

A study is made of conditions, so a killed one goes on where it was, and two studies that share a condition share its
answers. What is kept is what the model wrote and how likely the base finds it; judging is done anew each time, so a
better detector needs no new answers. A condition's answers lie in the cache folder `cells`, named by the hash of
everything that their text depends on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core import paths, store
from core.data.chat import Chat, Message
from core.errors import DamagedArtifact
from core.generation.rows import BASE, Answer, Row, Sampling
from core.steering.interventions import Intervention

if TYPE_CHECKING:
    from core.directions.direction import Direction
    from core.generation.prefill import PromptCache
    from core.models.loading import LoadedModel
    from core.organisms.adapters import Adapter

METHOD = 1
Name = TypeVar("Name")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptAnswer:
    """An answer as it is kept. `likelihood`: mean natural-log probability a token under the bare base, in nats."""

    text: str
    tokens: int
    reason: str
    likelihood: float


@dataclass(frozen=True)
class Condition:
    """Who answers, and how it is steered."""

    adapter: Adapter | None
    interventions: tuple[Intervention, ...]


class Conditions:
    """The conditions of one model, one list of prompts and one way to sample.

    Args:
        directions: the directions that interventions name, by reference.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        prompts: Sequence[Chat],
        sampling: Sampling,
        directions: Mapping[str, Direction],
        rows_a_batch: int | None = None,
    ) -> None:
        from core.models.forward import ROWS_A_BATCH

        self._loaded, self._prompts, self._sampling, self._directions = loaded, list(prompts), sampling, directions
        self._batch = rows_a_batch or ROWS_A_BATCH.of(loaded)
        self._likelihoods: dict[tuple[int, str], float] = {}
        self._kept: PromptCache | None = None
        self._common = [
            METHOD, loaded.id, loaded.fingerprint, str(loaded.dtype), loaded.device.type, asdict(sampling),
            [chat.as_dicts() for chat in self._prompts],
        ]  # fmt: skip

    def path(self, condition: Condition) -> Path:
        """Where the answers are kept."""
        key = store.content_hash(
            [
                *self._common,
                condition.adapter.sha256 if condition.adapter else BASE,
                [item.as_dict() for item in condition.interventions],
            ]
        )
        return paths.cache() / "cells" / key[:2] / f"{key[2:34]}.json"

    def saved(self, condition: Condition) -> list[KeptAnswer] | None:
        """The answers where they were generated before; a damaged file is set aside."""
        path = self.path(condition)
        try:
            body = store.read_json(path)
            answers = body["answers"]
            if body["checksum"] != store.content_hash(answers) or len(answers) != len(self._prompts):
                raise ValueError("it is not what was saved")
            found = [KeptAnswer(**{**answer, "likelihood": _number(answer["likelihood"])}) for answer in answers]
        except FileNotFoundError:
            return None
        except (DamagedArtifact, KeyError, TypeError, ValueError) as error:
            log.warning("set aside damaged answers, which are made again: %s (%s)", paths.shown(path), error)
            path.replace(path.with_name(f".damaged-{path.name}"))
            return None
        for place, answer in enumerate(found):
            self._likelihoods[place, answer.text] = answer.likelihood
        return found

    def all_answers(
        self, wanted: Mapping[Name, Condition], report: Callable[[int, int], None]
    ) -> dict[Name, list[KeptAnswer]]:
        """The answers of several conditions, by what each is called.

        Args:
            report: is told before each condition and after each batch how many answers of how many there are.
        """
        each, found = len(self._prompts), {}
        for done, (name, condition) in enumerate(wanted.items()):

            def tell(answered: int, _: int, before: int = done * each) -> None:
                report(before + answered, len(wanted) * each)

            tell(0, each)
            found[name] = self.answers(condition, tell)
        return found

    def answers(self, condition: Condition, report: Callable[[int, int], None] | None = None) -> list[KeptAnswer]:
        """The condition's answers, one a prompt in the order of the prompts; generated and kept unless they are there.

        Args:
            report: is told after each batch how many prompts of how many are answered.
        """
        found = self.saved(condition)
        if found is None:
            found = self.generate(condition, report)
            answers = [{**asdict(answer), "likelihood": _plain(answer.likelihood)} for answer in found]
            store.write_json(self.path(condition), {"answers": answers, "checksum": store.content_hash(answers)})
        return found

    def generate(self, condition: Condition, report: Callable[[int, int], None] | None = None) -> list[KeptAnswer]:
        """The answers, made now and not kept."""
        written = self.write(condition, report)
        likelihoods = self._score([answer.text for answer in written])
        return [
            KeptAnswer(answer.text, len(answer.tokens), answer.reason or "", likelihood)
            for answer, likelihood in zip(written, likelihoods, strict=True)
        ]

    def write(self, condition: Condition, report: Callable[[int, int], None] | None = None) -> list[Answer]:
        """What the model says, without a word on how likely it is."""
        from core.generation.decode import collect_batches
        from core.generation.prefill import PromptCache
        from core.measures.coherence import read_prompts

        if self._kept is None:  # conditions that share an adapter and a block share their prompts up to that block
            self._kept = PromptCache(every_block=False)
            read_prompts(self._loaded, self._prompts, self._kept)
        name = condition.adapter.name if condition.adapter else BASE
        groups = [
            [Row(chat, adapter=name, interventions=condition.interventions, sampling=self._seeded(place))]
            for place, chat in enumerate(self._prompts)
        ]
        adapters = {name: condition.adapter} if condition.adapter else {}
        written: dict[int, Answer] = {}
        batches = collect_batches(self._loaded, groups, adapters, self._directions, self._batch, self._kept)
        for place, (answer,) in batches:
            written[place] = answer
            if report:
                report(len(written), len(groups))
        return [written[place] for place in range(len(groups))]

    def _seeded(self, place: int) -> Sampling:
        """Each prompt draws its own random numbers."""
        chosen = asdict(self._sampling)
        return Sampling(**{**chosen, "seed": chosen["seed"] + place}) if chosen["temperature"] else self._sampling

    def _score(self, texts: Sequence[str]) -> list[float]:
        """Likelihoods; a text that another condition gave to the same prompt is not scored again."""
        from core.measures.coherence import base_log_likelihood

        new = [place for place, text in enumerate(texts) if text.strip() and (place, text) not in self._likelihoods]
        chats = [
            Chat(messages=(*self._prompts[place].messages, Message(role="assistant", content=texts[place].strip())))
            for place in new
        ]
        values = base_log_likelihood(self._loaded, chats, prompts=self._kept) if chats else []
        for place, value in zip(new, values, strict=True):
            self._likelihoods[place, texts[place]] = value
        return [self._likelihoods.get((place, text), float("nan")) for place, text in enumerate(texts)]


def _plain(value: float) -> float | None:
    return None if value != value else value


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
