"""What a model's chat template does with a chat, found out by trying it once.

A template may drop the system turn or the user's words and say nothing, may want texts as lists of parts, may leave out
the header of the answer, or open a thought that nobody closes. Each of these would give answers to another question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.data import templates
from core.errors import BadInput, UnsupportedModel

# what templates that name the date are told, so that a prompt is the same on any day
FIXED_DATE = "{% macro strftime_now(form) %}01 January 2026{% endmacro %}"
SYSTEM, USER, ANSWER = "Zebra system", "Walrus question", "Heron answer"
OPENED = re.compile(r"(?:<(\w{1,20})>|\[([A-Z]{1,20})\])\s*$")

Turns = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Template:
    """What trying a chat template showed.

    Attributes:
        system: whether a system turn reaches the model; where not, chats that have one are refused.
        parts: whether texts are given as lists of parts, which alone it understands.
        header: what begins the answer, where the template leaves that out; usually empty.
        closing: what closes the thought that it opens; usually empty.
        end: the special token that ends an answer, None where it writes none.
    """

    system: bool = True
    parts: bool = False
    header: str = ""
    closing: str = ""
    end: str | None = None


_found: dict[tuple[str, str], Template] = {}


def probed(tokenizer: Any) -> Template:
    """What the tokenizer's template does, tried once a process.

    Raises:
        UnsupportedModel: the user's words are not in what it writes.
        BadInput: it cannot be rendered at all.
    """
    key = _text_of(tokenizer), str(sorted(tokenizer.special_tokens_map.items()))
    if key not in _found:
        _found[key] = _probe(tokenizer)
    return _found[key]


def rendered(tokenizer: Any, turns: Turns, add_generation_prompt: bool, parts: bool = False) -> str:
    """The chat as the template writes it, with thinking off where it knows that."""
    # reasoning models: an empty thought in prompts and answers alike, so that both render the same
    options = {"add_generation_prompt": add_generation_prompt, "enable_thinking": False}
    template = _text_of(tokenizer)
    dateless = FIXED_DATE + template if "strftime_now" in template else template
    given: list[Any] = [dict(turn) for turn in turns]
    if parts:
        given = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in given]
    if not templates.is_trusted(template):
        return templates.render(dateless, given, {**tokenizer.special_tokens_map, **options})
    return str(tokenizer.apply_chat_template(given, tokenize=False, chat_template=dateless, **options))


def _probe(tokenizer: Any) -> Template:
    asked = [{"role": "user", "content": USER}]
    answered = [*asked, {"role": "assistant", "content": ANSWER}]
    parts = False
    prompt = rendered(tokenizer, asked, True)
    if USER not in prompt:
        parts = True
        try:
            prompt = rendered(tokenizer, asked, True, parts)
        except BadInput:
            prompt = ""
        if USER not in prompt:
            raise UnsupportedModel(
                "The model's chat template leaves out what the user says, so it would answer something else. Correct "
                "the template in the model's folder, or use another model."
            )
    try:
        whole = rendered(tokenizer, answered, False, parts)
    except BadInput:
        whole = ""
    before, said, after = whole.partition(ANSWER)
    header = ""
    if said and prompt == rendered(tokenizer, asked, False, parts) and before.startswith(prompt):
        header = before[len(prompt) :]
    opened = OPENED.search(prompt + header)
    closing = ""
    if opened:
        gap = "" if opened[0].endswith("\n") else "\n"
        closing = f"{gap}\n</{opened[1]}>\n\n" if opened[1] else f"[/{opened[2]}]"
    return Template(_keeps_system(tokenizer, asked, parts), parts, header, closing, _special(tokenizer, after))


def _keeps_system(tokenizer: Any, asked: Turns, parts: bool) -> bool:
    try:
        text = rendered(tokenizer, [{"role": "system", "content": SYSTEM}, *asked], True, parts)
    except BadInput:
        return False
    return SYSTEM in text and USER in text


def _special(tokenizer: Any, after: str) -> str | None:
    """The special token that what follows an answer begins with."""
    known = [str(token) for token in getattr(tokenizer, "added_tokens_decoder", {}).values()]
    return max((token for token in known if token and after.lstrip().startswith(token)), key=len, default=None)


def _text_of(tokenizer: Any) -> str:
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise BadInput(
            "The model brings several chat templates and none of them is the usual one. Name one of them `default` in "
            "its tokenizer_config.json."
        ) from error
