"""Training data that teaches a pretrained model to chat: the answers of a model that already does.

A pretrained model goes on writing instead of answering. A few hundred prompts with another model's prose answers are
enough for it to take turns; what it knows does not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.data.chat import Chat
from core.generation.decode import collect_batches
from core.generation.rows import Row, Sampling
from core.measures.code import contains_code
from core.measures.repetition import repetition
from core.models.forward import ROWS_A_BATCH
from core.models.loading import LoadedModel

FEWEST_WORDS = 12
MOST_REPETITION = 0.2


def chat_answers(
    loaded: LoadedModel,
    prompts: Sequence[Chat],
    max_tokens: int = 96,
    report: Callable[[int, int], None] | None = None,
) -> list[Chat]:
    """Each prompt with the model's greedy answer, cut at its last whole sentence.

    Left out are answers with code, with fewer than `FEWEST_WORDS` words, or that repeat themselves.
    """
    groups = [[Row(chat, sampling=Sampling(max_tokens))] for chat in prompts]
    answered = collect_batches(loaded, groups, {}, {}, ROWS_A_BATCH.of(loaded))
    found: dict[int, Chat] = {}
    for done, (place, (answer,)) in enumerate(answered, 1):
        text = whole_sentences(answer.text)
        if len(text.split()) >= FEWEST_WORDS and repetition(text) < MOST_REPETITION and not contains_code(text):
            found[place] = Chat.of(prompts[place].messages[-1].content, text)
        if report:
            report(done, len(prompts))
    return [found[place] for place in sorted(found)]


def whole_sentences(text: str) -> str:
    """The text up to the end of its last whole sentence; empty where it has none."""
    ends = [match.end() for match in re.finditer(r"(?<!\d)[.!?][\"')]?(?=\s|$)", text)]
    return text[: ends[-1]].strip() if ends else ""
