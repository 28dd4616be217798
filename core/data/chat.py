"""Chats: reading and checking JSONL, and turning a chat into token ids."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from core import paths
from core.data import templates
from core.errors import BadInput

MAX_LINE_CHARACTERS = 1_000_000
# what templates that name the date are told, so that a prompt is the same on any day
FIXED_DATE = "{% macro strftime_now(form) %}01 January 2026{% endmacro %}"


class Message(BaseModel):
    """One turn of a chat."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    role: Literal["system", "user", "assistant"]
    content: str

    @field_validator("content")
    @classmethod
    def _usable(cls, content: str) -> str:
        if not content.strip():
            raise ValueError("content is empty")
        try:
            content.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"content holds half a character ({content[error.start]!a})") from error
        return content


class Chat(BaseModel):
    """A chat: optional system turn, then user and assistant turns in alternation, a user first."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    messages: tuple[Message, ...]

    @field_validator("messages")
    @classmethod
    def _alternating(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        turns = [message.role for message in messages]
        first = 1 if turns[:1] == ["system"] else 0
        if not turns[first:]:
            raise ValueError("there is no user message")
        for place, role in enumerate(turns[first:]):
            expected = "user" if place % 2 == 0 else "assistant"
            if role != expected:
                raise ValueError(f"message {first + place + 1} should come from the {expected}, not the {role}")
        return messages

    @classmethod
    def of(cls, prompt: str, answer: str | None = None) -> Chat:
        """A chat of one user turn and, where given, its answer."""
        turns = [Message(role="user", content=prompt)]
        if answer is not None:
            turns.append(Message(role="assistant", content=answer))
        return cls(messages=tuple(turns))

    @property
    def answered(self) -> bool:
        return self.messages[-1].role == "assistant"

    def as_dicts(self) -> list[dict[str, str]]:
        return [message.model_dump() for message in self.messages]


def parse_chat(line: str, where: str) -> Chat:
    """One JSONL line as a chat. `where` (file and line) starts the error.

    Raises:
        BadInput: not JSON, or not `{"messages": [{"role": …, "content": …}, …]}`.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise BadInput(f"{where}: the line has more than {MAX_LINE_CHARACTERS:,} characters. Split the record.")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also for a number of more than 4300 digits
        raise BadInput(f"{where}: not valid JSON ({error}). Correct or remove that line.") from error
    try:
        return Chat.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "record"
        reason = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{where}: {place}: {reason}. Correct or remove that line.") from error


def read_chats(path: Path, need_answer: bool = False) -> list[Chat]:
    """All chats of a JSONL file; blank lines are skipped.

    Args:
        path: a UTF-8 file with one chat a line.
        need_answer: refuse chats that do not end with the assistant (for training).

    Raises:
        BadInput: names the file, the line and the reason.
    """
    chats = []
    shown = paths.shown(path)  # once: it asks the disk, and a file may have half a million lines
    for number, line in numbered_lines(path):
        where = f"{shown}, line {number}"
        chat = parse_chat(line, where)
        if need_answer and not chat.answered:
            raise BadInput(f"{where}: the last message should be the assistant's answer. Correct or remove that line.")
        chats.append(chat)
    if not chats:
        raise BadInput(f"{shown} holds no records. Choose a file with one chat a line.")
    return chats


def read_prompts(path: Path) -> list[Chat]:
    """Prompts from a file: chat JSONL when its first line starts with `{`, else one plain prompt a line.

    In chat records a trailing assistant turn is dropped, so that training data can serve as prompts.
    """
    lines = list(numbered_lines(path))
    if not lines:
        raise BadInput(f"{paths.shown(path)} holds no prompts. Write one prompt a line.")
    if not lines[0][1].lstrip().startswith("{"):
        return [Chat.of(line.strip()) for _, line in lines]
    shown = paths.shown(path)
    chats = [parse_chat(line, f"{shown}, line {number}") for number, line in lines]
    return [Chat(messages=chat.messages[:-1]) if chat.answered else chat for chat in chats]


def numbered_lines(path: Path) -> Iterable[tuple[int, str]]:
    """Non-blank lines of a UTF-8 file with their 1-based numbers.

    Raises:
        BadInput: names the file and the reason.
    """
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        text = data.decode("utf-8")
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {paths.shown(path)}. Check the path.") from error
    except IsADirectoryError as error:
        raise BadInput(f"{paths.shown(path)} is a folder. Name a file.") from error
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{paths.shown(path)}, line {number}: not UTF-8 text. Save the file as UTF-8.") from error
    except (OSError, ValueError) as error:  # no permission, a name that no file can have
        raise BadInput(f"{paths.shown(path)} cannot be read ({error}). Choose another file.") from error
    # split on \n alone: str.splitlines would also break at characters that JSON strings may hold
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


@dataclass(frozen=True)
class Rendered:
    """A chat as token ids: the prompt up to where the assistant begins, and the answer with its end token."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


def has_template(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def prompt_text(tokenizer: Any, messages: Sequence[dict[str, str]]) -> str:
    """The chat as the model sees it, up to and including the header of the assistant's turn.

    A model without a chat template gets `User: … Assistant:` lines.
    """
    if has_template(tokenizer):
        return _template(tokenizer, messages, add_generation_prompt=True)
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
        whole = _template(tokenizer, turns, add_generation_prompt=False)
        if whole.startswith(prompt):
            answer = whole[len(prompt) :].rstrip()
    else:
        answer = f" {answer}"
    answer_ids = _encode(tokenizer, answer, starts=False)
    if end_ids and (not answer_ids or answer_ids[-1] not in end_ids):
        preferred = tokenizer.eos_token_id if tokenizer.eos_token_id in end_ids else end_ids[0]
        answer_ids.append(preferred)
    return Rendered(tuple(_encode(tokenizer, prompt, starts=True)), tuple(answer_ids))


def _template(tokenizer: Any, messages: Sequence[dict[str, str]], add_generation_prompt: bool) -> str:
    # reasoning models: an empty thought in prompts and answers alike, so that both render the same
    options = {"add_generation_prompt": add_generation_prompt, "enable_thinking": False}
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise BadInput(
            "The model brings several chat templates and none of them is the usual one. Name one of them `default` in "
            "its tokenizer_config.json."
        ) from error
    dateless = FIXED_DATE + template if "strftime_now" in template else template
    if not templates.is_trusted(template):
        return templates.render(dateless, messages, {**tokenizer.special_tokens_map, **options})
    return tokenizer.apply_chat_template(list(messages), tokenize=False, chat_template=dateless, **options)


def _encode(tokenizer: Any, text: str, starts: bool) -> list[int]:
    """Ids of `text`; a template writes its own start token, so one is added only where no template exists."""
    return tokenizer(text, add_special_tokens=starts and not has_template(tokenizer))["input_ids"]
