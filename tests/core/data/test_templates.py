"""Chat templates of strangers: bounded in time, length and memory, and otherwise as transformers renders them."""

from __future__ import annotations

import threading
import time

import pytest

from core.data import templates
from core.data.chat import Chat, prompt_text
from core.errors import BadInput
from core.generation.engine import Engine
from core.generation.rows import Row, Sampling
from tests.core import tiny
from tests.core.data.test_chat import CHATML, tokenizer

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLING = "{% set ns = namespace(t='x') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}"
LONG = "{{ 'x' * 3000000 }}"
USER = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def hasty(monkeypatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 0.5)


@pytest.mark.parametrize("template", [CHATML, "{{ bos_token }}" + CHATML])
def test_a_text_is_what_transformers_renders(template: str) -> None:
    made = tokenizer(template)
    theirs = made.apply_chat_template(USER, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert prompt_text(made, USER) == theirs


def test_a_template_that_never_ends_is_stopped_and_refused_at_once_from_then_on(hasty) -> None:
    made = tokenizer(LOOP + CHATML)
    with pytest.raises(BadInput, match=r"ran longer than 0.5 s"):
        prompt_text(made, USER)
    start = time.perf_counter()
    with pytest.raises(BadInput, match="ran longer"):
        prompt_text(made, USER)
    assert time.perf_counter() - start < 0.2
    assert prompt_text(tokenizer(), USER).endswith("<|im_start|>assistant\n")  # others are rendered as before


@pytest.mark.parametrize(("template", "reason"), [(LONG, "3,000,000 characters"), (DOUBLING, "memory|ended|longer")])
def test_a_template_that_writes_without_end_is_refused(template: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        prompt_text(tokenizer(template), USER)
    assert prompt_text(tokenizer(), USER).endswith("<|im_start|>assistant\n")


def test_several_threads_each_get_their_own_text() -> None:
    made, found = tokenizer(), {}

    def ask(number: int) -> None:
        found[number] = [prompt_text(made, [{"role": "user", "content": f"{number} {turn}"}]) for turn in range(20)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, texts in found.items():
        assert all(f"{number} {turn}<" in text for turn, text in enumerate(texts))


def test_a_hostile_template_does_not_hold_up_the_engine_for_others(hasty) -> None:
    hostile, plain = tiny.build("Llama"), tiny.build("Llama")
    hostile.tokenizer.chat_template = LOOP
    hostile.id, plain.id = "owner/hostile", "owner/plain"
    engine = Engine({"owner/hostile": hostile, "owner/plain": plain}.__getitem__)
    try:
        row = Row(Chat.of("Hello"), sampling=Sampling(2))
        first, second = engine.submit("owner/hostile", (row,)), engine.submit("owner/plain", (row,))
        until = time.monotonic() + 60
        while not (first.over and second.over) and time.monotonic() < until:
            time.sleep(0.02)
        assert (first.state, second.state) == ("failed", "done")
        assert "chat template ran longer" in (first.error or "")
    finally:
        engine.close()


def test_a_template_that_only_the_sandbox_stops_gets_nowhere() -> None:
    with pytest.raises(BadInput, match="refuses this chat"):
        prompt_text(tokenizer("{{ ''.__class__.__mro__ }}{{ cycler.__init__.__globals__ }}"), USER)
