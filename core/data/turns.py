"""Chats: turns of a user and an assistant in alternation, and which of the answers are to be learned."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator


class Message(BaseModel):
    """One turn of a chat. `weight` 0: an answer that is read but not learned."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    role: Literal["system", "user", "assistant"]
    content: str
    weight: Literal[0, 1] = 1

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

    @property
    def learned(self) -> tuple[int, ...]:
        """Places, from 0, of the answers that training learns."""
        return tuple(place for place, turn in enumerate(self.messages) if turn.role == "assistant" and turn.weight != 0)

    def as_dicts(self) -> list[dict[str, str]]:
        """What a chat template reads."""
        return [{"role": message.role, "content": message.content} for message in self.messages]

    def as_records(self) -> list[dict[str, Any]]:
        """What a file holds: `as_dicts`, and a weight where it is 0."""
        return [message.model_dump(exclude_defaults=True) for message in self.messages]
