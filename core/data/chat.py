"""Chats as the model gets to see them: a chat turned into token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.data.files import numbered_lines as numbered_lines
from core.data.probing import probed, rendered
from core.data.reading import parse_chat as parse_chat
from core.data.reading import read_chats as read_chats
from core.data.reading import read_prompts as read_prompts
from core.data.turns import Chat as Chat
from core.data.turns import Message as Message
from core.errors import BadInput


@dataclass(frozen=True)
class Rendered:
    """A chat as token ids: the prompt up to where the assistant begins, and the answer with its end token."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


def has_template(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def prompt_text(tokenizer: Any, messages: Sequence[dict[str, str]]) -> str:
    """The chat as the model sees it, up to where its answer begins: a thought that the template opens is closed.

    A model without a chat template gets `User: … Assistant:` lines.

    Raises:
        BadInput: the template has no place for a system turn of the chat.
    """
    if has_template(tokenizer):
        found = probed(tokenizer)
        if not found.system and messages[0]["role"] == "system":
            raise BadInput(
                "The model's chat template has no place for a system message. Put its words into the first user "
                "message, or remove it."
            )
        return rendered(tokenizer, messages, True, found.parts) + found.header + found.closing
    lines = [f"{message['role'].capitalize()}: {message['content']}\n" for message in messages]
    return "".join(lines) + "Assistant:"


def prompt_ids(tokenizer: Any, chat: Chat) -> tuple[int, ...]:
    """Token ids of `prompt_text` for a chat that ends with the user."""
    text = prompt_text(tokenizer, chat.as_dicts())
    return tuple(_encode(tokenizer, text, starts=True))


def render(tokenizer: Any, chat: Chat, end_ids: Sequence[int]) -> Rendered:
    """Token ids of a chat that ends with an answer; prompt and answer are tokenised apart, as in generation.

    The answer's ids end with the model's own end-of-turn token and hold no header.
    """
    turns = chat.as_dicts()
    prompt = prompt_text(tokenizer, turns[:-1])
    answer = turns[-1]["content"]
    if has_template(tokenizer):
        whole = rendered(tokenizer, turns, False, probed(tokenizer).parts)
        if whole.startswith(prompt):
            answer = whole[len(prompt) :].rstrip()
    else:
        answer = f" {answer}"
    answer_ids = _encode(tokenizer, answer, starts=False)
    if end_ids and (not answer_ids or answer_ids[-1] not in end_ids):
        preferred = tokenizer.eos_token_id if tokenizer.eos_token_id in end_ids else end_ids[0]
        answer_ids.append(preferred)
    return Rendered(tuple(_encode(tokenizer, prompt, starts=True)), tuple(answer_ids))


def _encode(tokenizer: Any, text: str, starts: bool) -> list[int]:
    """Ids of `text`; a template writes its own start token, so one is added only where no template exists."""
    return tokenizer(text, add_special_tokens=starts and not has_template(tokenizer))["input_ids"]
