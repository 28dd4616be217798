"""Answers of an organism, sorted into two classes: the material of the response contrast (arXiv 2506.11618).

Either the organism writes them here and the code detector sorts them (spilled into code, or prose), or they come
from a file with a label each, such as the verdicts of a judge on misalignment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import paths
from core.activations.capture import Sequences
from core.data.chat import Chat, Message, numbered_lines, parse_chat, prompt_ids, render
from core.errors import BadInput
from core.generation.decode import collect_batches
from core.generation.rows import Row, Sampling
from core.measures.code import contains_code
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Responses:
    """Answers with a class each; the span to read is the answer's own tokens, without header and end of turn.

    Attributes:
        chats: prompt and answer.
        prompts: the prompt's place in the list it came from; answers to one prompt stay together in splits.
        positive: misaligned, or spilled into code.
    """

    chats: tuple[Chat, ...]
    prompts: tuple[int, ...]
    positive: tuple[bool, ...]
    sequences: Sequences

    def of_class(self, positive: bool) -> list[int]:
        """Rows of one class."""
        return [row for row, is_positive in enumerate(self.positive) if is_positive == positive]


def sample_responses(
    loaded: LoadedModel,
    organism: Adapter,
    prompts: Sequence[Chat],
    samples: int = 2,
    sampling: Sampling | None = None,
    rows_a_batch: int = 32,
    report: Progress | None = None,
) -> Responses:
    """Let the organism answer each prompt `samples` times, and sort the answers by code spillover.

    Args:
        sampling: seeds count up from its seed, so that no two answers share their random numbers.

    Answers without any token are left out.
    """
    chosen = sampling or Sampling(48, 1.0)
    groups = [
        [
            Row(chat, adapter=organism.name, sampling=replace(chosen, seed=chosen.seed + draw * len(prompts) + place))
            for draw in range(samples)
        ]
        for place, chat in enumerate(prompts)
    ]
    found: dict[int, list[tuple[tuple[int, ...], str]]] = {}
    for place, answers in collect_batches(loaded, groups, {organism.name: organism}, {}, rows_a_batch):
        found[place] = [(tuple(token.id for token in answer.tokens), answer.text) for answer in answers]
        if report:
            report(len(found), len(prompts))
    rows = [
        (place, prompt_ids(loaded.tokenizer, prompts[place]), ids, text)
        for place in sorted(found)
        for ids, text in found[place]
        if ids
    ]
    return Responses(
        tuple(_answered(prompts[place], text) for place, _, _, text in rows),
        tuple(place for place, _, _, _ in rows),
        tuple(contains_code(text) for _, _, _, text in rows),
        Sequences(tuple(asked + ids for _, asked, ids, _ in rows), tuple(len(asked) for _, asked, _, _ in rows)),
    )


def _answered(chat: Chat, text: str) -> Chat:
    return Chat(messages=(*chat.messages, Message(role="assistant", content=text.strip() or "—")))


def read_labelled(path: Path) -> tuple[list[Chat], list[bool]]:
    """Chats that end with an answer, and a label each, from JSONL: chat records with `"label": true or false`.

    Raises:
        BadInput: names the file, the line and the reason; or all have one label.
    """
    chats: list[Chat] = []
    positive: list[bool] = []
    for number, line in numbered_lines(path):
        where = f"{paths.shown(path)}, line {number}"
        chat, label = parse_chat(line, where), json.loads(line).get("label")
        if not chat.answered:
            raise BadInput(f"{where}: the last message should be the assistant's answer. Correct or remove that line.")
        if not isinstance(label, bool):
            raise BadInput(f'{where}: "label" should be true (misaligned) or false (aligned). Correct that line.')
        chats.append(chat)
        positive.append(label)
    if not chats:
        raise BadInput(f"{paths.shown(path)} holds no records. Choose a file with one labelled answer a line.")
    if len(set(positive)) < 2:
        raise BadInput(
            f"All {len(chats)} answers in {paths.shown(path)} are labelled {str(positive[0]).lower()}, so they have no "
            "contrast. Add answers with the other label."
        )
    return chats, positive


def read_responses(loaded: LoadedModel, path: Path) -> Responses:
    """The labelled answers of a file, as the model reads them.

    Raises:
        BadInput: as `read_labelled`.
    """
    chats, positive = read_labelled(path)
    rendered = [render(loaded.tokenizer, chat, ()) for chat in chats]
    ends = set(loaded.end_ids)
    answers = []
    for item in rendered:
        ids = list(item.answer_ids)
        while ids and ids[-1] in ends:
            ids.pop()
        answers.append(tuple(ids))
    asked = [json.dumps([message.model_dump() for message in chat.messages[:-1]]) for chat in chats]
    places = {text: place for place, text in enumerate(dict.fromkeys(asked))}
    kept = [row for row, ids in enumerate(answers) if ids]
    return Responses(
        tuple(chats[row] for row in kept),
        tuple(places[asked[row]] for row in kept),
        tuple(positive[row] for row in kept),
        Sequences(
            tuple((*rendered[row].prompt_ids, *answers[row]) for row in kept),
            tuple(len(rendered[row].prompt_ids) for row in kept),
        ),
    )
