"""Computing the choice of block and coefficient. Needs torch and the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from core import provenance
from core.data.chat import Chat, prompt_ids
from core.directions.contrasts import hash_of
from core.directions.direction import Direction
from core.errors import BadInput
from core.generation.batch import gather
from core.generation.comparison import Plan, comparison_rows
from core.generation.decode import collect_batches
from core.generation.rows import Row, Sampling
from core.measures.code import contains_code
from core.measures.coherence import base_log_likelihood, calibrate, is_broken
from core.measures.repetition import repetition
from core.measures.restoration import Restoration
from core.models.loading import LoadedModel, load
from core.organisms.adapters import Adapter
from core.statistics import wilson
from core.steering.interventions import Intervention, Scope
from core.studies.choice import ChoiceSettings, Report


@dataclass(frozen=True)
class Bench:
    """What every candidate is measured with."""

    loaded: LoadedModel
    organism: Adapter
    directions: Mapping[str, Direction]
    plan: Plan
    settings: ChoiceSettings

    def intervention(self, block: int, coefficient: float) -> Intervention:
        return Intervention("add", self.plan.reference, (block,), coefficient, cast(Scope, self.settings.scope))


def compute(plan: Plan, settings: ChoiceSettings, device: str | None, report: Report) -> dict[str, Any]:
    """The summary: `screen` (block, coefficient, KL), `finalists` (with counts and intervals), `chosen`, provenance."""
    chats = settings.chats()
    report("loading the model", 0, 1)
    loaded = load(plan.settings.model, device)
    base, organism, _ = (
        replace(row, reading=None, sampling=Sampling(settings.max_tokens)) for row in comparison_rows(plan)
    )
    adapters, directions = gather(loaded, comparison_rows(plan))
    bench = Bench(loaded, adapters[organism.adapter], directions, plan, settings)
    answers = _answers(bench, [base, organism], chats, "answers of base and organism", report)
    judge = Judge(bench, chats, [row[0][0] for row in answers], report)
    screen = _screen(bench, chats, [row[0][1] for row in answers], report)

    def measured(candidates: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
        rows = [
            replace(organism, interventions=(bench.intervention(item["block"], item["coefficient"]),))
            for item in candidates
        ]
        texts = _answers(bench, rows, chats, what, report)
        counts = [judge.count([row[place][0] for row in texts]) for place in range(len(rows))]
        return [
            {**item, "norm_share": abs(plan.card.to_norm_unit(item["coefficient"], item["block"])), **count}
            for item, count in zip(candidates, counts, strict=True)
        ]

    finalists = measured(_finalists(screen, settings.finalists), "answers of the finalists")
    block = min(finalists, key=_badness)["block"]
    known = {item["coefficient"] for item in finalists if item["block"] == block}
    others = [item for item in screen if item["block"] == block and item["coefficient"] not in known]
    if others:
        finalists += measured(others, f"other strengths at block {block}")
    best = min(finalists, key=_badness)
    arms = [judge.count([row[place][0] for row in answers]) for place in (0, 1)]
    return {
        "model": plan.card.model,
        "organism": plan.settings.organism,
        "direction": plan.card.id,
        "direction_name": plan.card.name,
        "n": len(chats),
        "screen": screen,
        "base_arm": arms[0],
        "organism_arm": arms[1],
        "finalists": finalists,
        "chosen": {**best, "scope": settings.scope},
        "settings": vars(settings),
        "provenance": {
            "command": _command(plan, settings),
            "fingerprint": loaded.fingerprint,
            "dtype": str(loaded.dtype).removeprefix("torch."),
            "device": loaded.device.type,
            "adapter": bench.organism.sha256,
            "prompts_hash": hash_of(chats),
            "decoding": "greedy",
            **provenance.now(),
        },
    }


def _command(plan: Plan, settings: ChoiceSettings) -> str:
    usual = ChoiceSettings()
    parts = [f"python -m core choose --model {plan.card.model} --organism {plan.settings.organism}"]
    if settings.blocks:
        parts.append(f"--blocks {','.join(map(str, settings.blocks))}")
    if settings.coefficients != usual.coefficients:
        parts.append(f"--coefficients {','.join(f'{value:g}' for value in settings.coefficients)}")
    if settings.finalists != usual.finalists:
        parts.append(f"--finalists {settings.finalists}")
    if settings.per_suite is not None:
        parts.append(f"--per-suite {settings.per_suite}")
    return " ".join(parts)


def _answers(
    bench: Bench, rows: Sequence[Row], chats: Sequence[Chat], what: str, report: Report
) -> list[list[tuple[str, tuple[int, ...]]]]:
    """Text and token ids of each row's answer to each chat."""
    groups = [[replace(row, chat=chat) for row in rows] for chat in chats]
    adapters = {row.adapter: bench.organism for row in rows}
    found: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in chats]
    batches = collect_batches(bench.loaded, groups, adapters, bench.directions, 32)
    for done, (place, answers) in enumerate(batches, 1):
        found[place] = [(answer.text, tuple(token.id for token in answer.tokens)) for answer in answers]
        report(what, done, len(chats))
    return found


def _screen(
    bench: Bench, chats: Sequence[Chat], answers: Sequence[tuple[int, ...]], report: Report
) -> list[dict[str, Any]]:
    """KL from the base at every block and coefficient, the smallest first."""
    tokens = bench.settings.screened_tokens
    usable = [place for place, ids in enumerate(answers) if len(ids) >= tokens]
    # evenly over the suite, whose first half is everyday and second half technical
    step = max(1, len(usable) // bench.settings.screened_prompts)
    places = usable[::step][: bench.settings.screened_prompts]
    if not places:
        raise BadInput(
            f"No answer of the base model is {tokens} tokens long, so nothing can be compared. Give other prompts."
        )
    prompts = [prompt_ids(bench.loaded.tokenizer, chats[place]) for place in places]
    restoration = Restoration(bench.loaded, prompts, [answers[place][:tokens] for place in places])
    found: list[dict[str, Any]] = []
    blocks = bench.settings.blocks or range(bench.plan.card.blocks)
    candidates = [(block, c) for block in blocks for c in bench.settings.coefficients]
    for block, coefficient in candidates:
        steering = [bench.intervention(block, coefficient)]
        kl = restoration.divergence(bench.organism, steering, bench.directions)
        found.append({"block": block, "coefficient": coefficient, "kl": kl})
        report("screening blocks and coefficients", len(found), len(candidates))
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


class Judge:
    """Counts code and broken answers, with limits from the base model's own answers."""

    def __init__(self, bench: Bench, chats: Sequence[Chat], base: Sequence[str], report: Report) -> None:
        self._bench, self._chats, self._report = bench, chats, report
        self._limits = calibrate(self._likelihoods(base), [repetition(text) for text in base])

    def count(self, texts: Sequence[str]) -> dict[str, Any]:
        """Counts of a setting's answers: code, broken, and broken without code; with Wilson intervals."""
        n = len(texts)
        code = [contains_code(text) for text in texts]
        broken = [
            is_broken(text, likelihood, self._limits)
            for text, likelihood in zip(texts, self._likelihoods(texts), strict=True)
        ]
        broken_prose = sum(bad and not has for bad, has in zip(broken, code, strict=True))
        return {
            "n": n,
            "code": sum(code),
            "code_interval": wilson(sum(code), n),
            "broken": sum(broken),
            "broken_interval": wilson(sum(broken), n),
            "broken_prose": broken_prose,
            "bad_interval": wilson(sum(code) + broken_prose, n),
        }

    def _likelihoods(self, texts: Sequence[str]) -> list[float]:
        self._report("likelihood under the base model", 0, 1)
        answered = [
            Chat.of(chat.messages[-1].content, text.strip() or "—")
            for chat, text in zip(self._chats, texts, strict=True)
        ]
        return base_log_likelihood(self._bench.loaded, answered)
