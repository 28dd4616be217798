"""Choosing block and coefficient: answer, screen, count. Needs torch and the model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from core.data.chat import prompt_ids
from core.directions import library
from core.directions.contrasts import hash_of
from core.directions.direction import Direction
from core.errors import BadInput
from core.generation.rows import Sampling
from core.measures.coherence import Limits
from core.measures.restoration import Restoration
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter
from core.statistics import wilson
from core.steering.interventions import Intervention, Scope
from core.studies.choice.settings import Inputs
from core.studies.conditions import Condition, Conditions, KeptAnswer
from core.studies.judging import judge, limits_of
from core.studies.study import Found, Work, made_with


def measure(inputs: Inputs, work: Work) -> Found:
    """The summary: `screen` (block, coefficient, KL), `finalists` (with counts and intervals), `chosen`, provenance.

    A killed run goes on from the last setting whose answers are whole.
    """
    work.report("loading the model", 0, 1)
    return Found(_Bench(inputs, work.given.load(inputs.spec, work.device), work).summary())


class _Bench:
    """What every candidate is measured with."""

    def __init__(self, inputs: Inputs, loaded: LoadedModel, work: Work) -> None:
        chosen, self.inputs, self.loaded, self.work = inputs.settings, inputs, loaded, work
        self.organism: Adapter = work.given.adapter(loaded, inputs.organism)
        self.directions: dict[str, Direction] = library.resolve([inputs.card.id])
        sampling = Sampling(chosen.max_tokens)
        self.conditions = Conditions(loaded, inputs.prompts, sampling, self.directions, work.rows_a_batch)

    def summary(self) -> dict[str, Any]:
        base = self._answers([Condition(None, ())], "answers of the base model")[0]
        limits = limits_of(base)
        organism = self._answers([Condition(self.organism, ())], "answers of the organism")[0]
        screen = self._screen()
        finalists = self._counted(
            _finalists(screen, self.inputs.settings.finalists), "answers of the finalists", limits
        )
        block = min(finalists, key=_badness)["block"]
        known = {item["coefficient"] for item in finalists if item["block"] == block}
        others = [item for item in screen if item["block"] == block and item["coefficient"] not in known]
        finalists += self._counted(others, f"other strengths at block {block}", limits)
        best = min(finalists, key=_badness)
        card, chosen = self.inputs.card, self.inputs.settings
        return {
            "model": card.model,
            "organism": self.inputs.organism.name,
            "direction": card.id,
            "direction_name": card.name,
            "n": len(self.inputs.prompts),
            "screen": screen,
            "base_arm": self._count(base, limits),
            "organism_arm": self._count(organism, limits),
            "finalists": finalists,
            "chosen": {**best, "scope": chosen.scope},
            "limits": {"likelihood": limits.likelihood, "repetition": limits.repetition},
            "provenance": {
                **made_with(self.loaded),
                "adapter": self.organism.sha256,
                "prompts_hash": hash_of(self.inputs.prompts),
                "decoding": "greedy",
            },
        }

    def _steered(self, item: dict[str, Any]) -> tuple[Intervention, ...]:
        scope = cast(Scope, self.inputs.settings.scope)
        return (Intervention("add", self.inputs.card.id, (item["block"],), item["coefficient"], scope),)

    def _answers(self, conditions: Sequence[Condition], what: str) -> list[list[KeptAnswer]]:
        wanted = dict(enumerate(conditions))
        return list(self.conditions.all_answers(wanted, partial(self.work.report, what)).values())

    def _counted(self, items: Sequence[dict[str, Any]], what: str, limits: Limits) -> list[dict[str, Any]]:
        answers = self._answers([Condition(self.organism, self._steered(item)) for item in items], what)
        card = self.inputs.card
        return [
            {
                **item,
                "norm_share": abs(card.to_norm_unit(item["coefficient"], item["block"])),
                **self._count(texts, limits),
            }
            for item, texts in zip(items, answers, strict=True)
        ]

    def _count(self, answers: Sequence[KeptAnswer], limits: Limits) -> dict[str, Any]:
        """Counts of a setting's answers: code, broken, and broken without code; with Wilson intervals."""
        found = judge([("", chat) for chat in self.inputs.prompts], answers, limits, {})
        n, code, broken = len(found), int(found["code"].sum()), int(found["broken"].sum())
        broken_prose = int((found["broken"] & ~found["code"]).sum())
        return {
            "n": n,
            "code": code,
            "code_interval": wilson(code, n),
            "broken": broken,
            "broken_interval": wilson(broken, n),
            "broken_prose": broken_prose,
            "bad_interval": wilson(code + broken_prose, n),
        }

    def _screen(self) -> list[dict[str, Any]]:
        """KL from the base at every block and coefficient, the smallest first."""
        chosen, chats = self.inputs.settings, self.inputs.prompts
        tokens = chosen.screened_tokens
        written = self.conditions.write(Condition(None, ()), partial(self.work.report, "what the base model says"))
        answers = [tuple(token.id for token in answer.tokens) for answer in written]
        usable = [place for place, ids in enumerate(answers) if len(ids) >= tokens]
        # evenly over the suite, whose first half is everyday and second half technical
        step = max(1, len(usable) // chosen.screened_prompts)
        places = usable[::step][: chosen.screened_prompts]
        if not places:
            raise BadInput(
                f"No answer of the base model is {tokens} tokens long, so nothing can be compared. Give other prompts."
            )
        prompts = [prompt_ids(self.loaded.tokenizer, chats[place]) for place in places]
        restoration = Restoration(self.loaded, prompts, [answers[place][:tokens] for place in places])
        found: list[dict[str, Any]] = []
        tried = [{"block": block, "coefficient": c} for block in self.inputs.blocks for c in chosen.coefficients]
        for item in tried:
            kl = restoration.divergence(self.organism, self._steered(item), self.directions)
            found.append({**item, "kl": kl})
            self.work.report("screening blocks and coefficients", len(found), len(tried))
        return sorted(found, key=lambda item: item["kl"])


def _finalists(screen: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The best coefficient of each of the best blocks."""
    best: dict[int, dict[str, Any]] = {}
    for item in screen:
        best.setdefault(item["block"], item)
    return list(best.values())[:most]


def _badness(item: dict[str, Any]) -> tuple[int, float]:
    """How many answers hold code or are broken; among equals the nearer to the base is better."""
    return item["code"] + item["broken_prose"], item["kl"]
