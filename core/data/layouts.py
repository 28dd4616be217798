"""The layouts in which others keep chats, made into chats of ours: what is lost or changed on the way is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from core.data.files import MOST_CHARACTERS
from core.data.turns import Chat, Message

TURNS = {"messages": "messages", "conversations": "ShareGPT (conversations)"}
ASKED, ANSWERED = ("prompt", "question", "instruction"), ("completion", "response", "answer", "output")
PROMPT = (*ASKED, "text")  # of a prompt without an answer
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "developer": "system"}
OURS = ("system", "user", "assistant")
TOOL_ROLES = ("tool", "function", "function_call", "observation")
TEXT_PARTS = ("text", "input_text", "output_text")
RENAMED, EMPTY, PARTS, UNLEARNED, DROPPED = (
    "roles renamed", "empty system turns left out", "texts joined of parts", "answers of weight 0, not learned",
    "chats dropped, with no answer to learn",
)  # fmt: skip
NO_TOOLS = "and Tiller reads chats of text alone"
KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


class NotAChat(ValueError):
    """A record is no chat; its text says why, without a remedy."""


@dataclass
class Notes:
    """What reading a file came to: the layouts of its records, what was changed, and the fields that were not read."""

    layouts: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    unread: set[str] = field(default_factory=set)

    def add(self, other: Notes) -> None:
        self.layouts.update(other.layouts)
        self.changes.update(other.changes)
        self.unread |= other.unread

    def words(self) -> str:
        """In one line; empty where the file is in our own layout and was read as it is."""
        several = len(self.layouts) > 1
        read = [f"{_layout(name)}{f': {count:,}' if several else ''}" for name, count in self.layouts.most_common()]
        named = [f"read as {', '.join(read)}"] if set(self.layouts) - {"messages"} else []
        named += [f"{change}: {self.changes[change]:,}" for change in sorted(+self.changes)]
        if self.unread:
            some = sorted(self.unread)[:8]
            more = f" and {len(self.unread) - len(some)} more" if len(self.unread) > len(some) else ""
            named.append(f"fields not read: {', '.join(map(quoted, some))}{more}")
        return "; ".join(named)


def fits(fields: Iterable[str], prompt: bool) -> bool:
    """Whether records with these fields can be prompts, or else chats to learn from."""
    there = set(fields)
    if there & set(TURNS):
        return True
    return bool(there & set(PROMPT)) if prompt else bool(there & set(ASKED) and there & set(ANSWERED))


def chat_of(value: Any, notes: Notes) -> Chat:
    """A record as a chat: an object in a layout of `TURNS`, or with one of `ASKED` and one of `ANSWERED`.

    Args:
        notes: what was changed is added.

    Raises:
        NotAChat: the reason, and the field or message.
    """
    if not isinstance(value, Mapping):
        raise NotAChat('not an object with "messages"')
    found = Notes()
    turns, named = _turns_of(value, False, found)
    chat = _chat(turns, named)
    notes.add(found)
    return chat


def prompt_of(value: Any, notes: Notes) -> Chat:
    """A record as a prompt: a text, an object with one of `PROMPT`, or a chat, whose last answer is left out.

    Args:
        notes: what was changed is added.

    Raises:
        NotAChat: the reason, and the field or message.
    """
    if isinstance(value, str):
        return _chat([_message(value, "the text", "user")], "prompt")
    if not isinstance(value, Mapping):
        raise NotAChat(f'neither a text nor an object with "messages" or "prompt", but {_kind(value)}')
    found = Notes()
    turns, named = _turns_of(value, True, found)
    chat = _chat(turns, named)
    notes.add(found)
    return Chat(messages=chat.messages[:-1]) if chat.answered else chat


def quoted(name: str) -> str:
    """A stranger's word, short and fit to be printed."""
    return name[:40].encode("utf-8", "backslashreplace").decode()


def _turns_of(value: Mapping[Any, Any], prompt: bool, notes: Notes) -> tuple[list[Message], str]:
    """The turns of a record, and the field that they come from."""
    record = {str(name): inner for name, inner in value.items() if inner is not None}
    for name in ("tools", "functions"):
        if record.get(name):
            raise NotAChat(f'it has tools ("{name}"), {NO_TOOLS}')
    if record.get("history"):
        raise NotAChat('it has earlier turns in "history", which is not read; write them as messages')
    used = {"system", "history", "tools", "functions"}
    key = next((key for key in TURNS if key in record), None)
    if key is not None:
        turns, layout = _turns(record[key], key, notes), TURNS[key]
    else:
        turns, layout, key = _pair(record, prompt, notes)
        used |= set(layout.split())
    if isinstance(system := record.get("system"), str) and system.strip():
        turns = [_message(system, '"system"', "system"), *turns]
    if sum(len(turn.content) for turn in turns) > MOST_CHARACTERS:
        raise NotAChat(f"it has more than {MOST_CHARACTERS:,} characters")
    notes.layouts[layout] += 1
    notes.unread |= record.keys() - used - {key}
    return turns, key


def _pair(record: Mapping[str, Any], prompt: bool, notes: Notes) -> tuple[list[Message], str, str]:
    """The turns of a record with a field for the user and one for the assistant; the layout, and the user's field."""
    asked = next((name for name in (PROMPT if prompt else ASKED) if name in record), None)
    answered = next((name for name in ANSWERED if name in record), None)
    if asked is None:
        fields = ", ".join(quoted(name) for name in list(record)[:8]) or "none"
        known = ", ".join((*TURNS, *PROMPT)) if prompt else "messages, conversations, or a prompt and its completion"
        raise NotAChat(f"messages are missing: there is {fields}, and what is looked for is {known}")
    if answered is None and not prompt:
        raise NotAChat(f'it has a "{asked}" and no answer called {", ".join(ANSWERED[:-1])} or {ANSWERED[-1]}')
    more = record.get("input") if asked == "instruction" else None
    layout = f"{asked} input" if isinstance(more, str) else asked
    if isinstance(more, str) and more.strip() and isinstance(record[asked], str):
        turns = [_message(f"{record[asked]}\n\n{more}", f'"{asked}"', "user")]
    else:
        turns = _half(record[asked], asked, "user", notes)
    if answered is not None and not prompt:
        turns += _half(record[answered], answered, "assistant", notes)
        layout += f" {answered}"
    return turns, layout, asked


def _half(value: Any, name: str, role: str, notes: Notes) -> list[Message]:
    """One side of a pair: a text, or itself a list of messages."""
    return _turns(value, name, notes) if isinstance(value, list) else [_message(value, f'"{name}"', role)]


def _turns(value: Any, key: str, notes: Notes) -> list[Message]:
    if not isinstance(value, list):
        raise NotAChat(f"{key} should be a list of messages and is {_kind(value)}")
    return [turn for place, item in enumerate(value, 1) if (turn := _turn(item, f"message {place}", notes)) is not None]


def _turn(item: Any, where: str, notes: Notes) -> Message | None:
    """A message; None for an empty system turn."""
    if not isinstance(item, Mapping):
        raise NotAChat(f"{where} should be an object with role and content and is {_kind(item)}")
    turn = {str(name): inner for name, inner in item.items() if inner is not None}
    said = turn.get("role", turn.get("from"))
    if not isinstance(said, str):
        raise NotAChat(f"{where} has no role")
    for name in ("tool_calls", "function_call"):
        if turn.get(name):
            raise NotAChat(f'{where} calls a tool ("{name}"), {NO_TOOLS}')
    role = said.strip().lower()
    if role in TOOL_ROLES:
        raise NotAChat(f"{where} comes from a tool (role {quoted(said)}), {NO_TOOLS}")
    role = ROLES.get(role, role)
    if role not in OURS:
        raise NotAChat(f"{where} has the role {quoted(said)!r}; known are {', '.join(OURS[:-1])} and {OURS[-1]}")
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):
        content = _joined(content, where)
        notes.changes[PARTS] += 1
    weight = turn.get("weight", 1) if role == "assistant" else 1
    if weight not in (0, 1):
        raise NotAChat(f"{where} has the weight {quoted(str(weight))}; known are 0 and 1")
    if role == "system" and isinstance(content, str) and not content.strip():
        notes.changes[EMPTY] += 1
        return None
    made = _message(content, where, role, int(weight))
    notes.changes[RENAMED] += said != role
    notes.changes[UNLEARNED] += made.weight == 0
    notes.unread |= turn.keys() - {"role", "from", "content", "value", "weight", "tool_calls", "function_call"}
    return made


def _joined(parts: list[Any], where: str) -> str:
    """Content in parts, one after the other as models read them."""
    texts = []
    for part in parts:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text" if isinstance(part, str) else None
        text = part.get("text") if isinstance(part, Mapping) else part
        if kind not in TEXT_PARTS or not isinstance(text, str):
            named = "without a text" if kind in (*TEXT_PARTS, None) else f"of type {quoted(str(kind))!r}"
            raise NotAChat(f"{where} has a part {named}, and only texts can be read")
        texts.append(text)
    return "".join(texts)


def _message(content: Any, where: str, role: str, weight: int = 1) -> Message:
    if not isinstance(content, str):
        raise NotAChat(f"{where}: content should be a text and is {_kind(content)}")
    try:
        return Message.model_validate({"role": role, "content": content, "weight": weight})
    except ValidationError as error:
        raise NotAChat(f"{where}: {_said(error)}") from error


def _chat(turns: list[Message], named: str) -> Chat:
    try:
        return Chat(messages=tuple(turns))
    except ValidationError as error:
        said = _said(error)
        raise NotAChat(said if said.startswith("message") else f"{named}: {said}") from error


def _said(error: ValidationError) -> str:
    """Our own words of an error: those of `Message` and `Chat`."""
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _layout(name: str) -> str:
    """A layout in words; that of a pair is its fields."""
    if name in TURNS.values():
        return name
    fields = name.split()
    if fields[0] == "instruction" and fields[-1] == "output":
        return f"Alpaca ({', '.join(fields)})"
    return " and ".join(fields)


def _kind(value: Any) -> str:
    return "missing" if value is None else KINDS.get(type(value), "something else")
