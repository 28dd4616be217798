"""A chat template is tried before it is believed: no word is lost, and answers begin and end where they should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.data.chat import Chat, prompt_text, render
from core.data.probing import probed
from core.errors import BadInput, TillerError, UnsupportedModel
from core.models.loading import load, wrap
from tests.core import tiny

TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
START = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
CHATML = "{% for m in messages %}" + TURN + "{% endfor %}" + START
PARTS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m.content %}{% if part.type == 'text' %}"
    "{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}" + START
)
NO_SYSTEM = "{% for m in messages %}{% if m.role != 'system' %}" + TURN + "{% endif %}{% endfor %}" + START
REFUSES_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
BRACKETS = CHATML.replace("assistant\n{% endif %}", "assistant\n[THINK]{% endif %}")
EMPTY_THOUGHT = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n\n</think>\n\n{% endif %}")
HEADLESS = "{% for m in messages %}" + TURN + "{% endfor %}"
SILENT = "<|im_start|>user\nHello<|im_end|>\n" + START
LAST_ONLY = "{{ messages[-1].content }}" + START
SAYS = Chat.of("What is rain?", "Water.")


def tokenizer(template: str):
    made = tiny.tokenizer()
    made.chat_template = template
    return made


def asked(template: str, *system: str) -> str:
    turns = [*({"role": "system", "content": text} for text in system), {"role": "user", "content": "What is rain?"}]
    return prompt_text(tokenizer(template), turns)


def test_a_plain_template_is_taken_as_it_is():
    found = probed(tokenizer(CHATML))
    assert (found.system, found.parts, found.header, found.closing, found.end) == (True, False, "", "", "<|im_end|>")
    assert asked(CHATML) == "<|im_start|>user\nWhat is rain?<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_of_parts_gets_parts_and_says_the_same():
    assert asked(PARTS, "Be brief.") == asked(CHATML, "Be brief.")
    assert render(tokenizer(PARTS), SAYS, [tiny.IM_END]) == render(tokenizer(CHATML), SAYS, [tiny.IM_END])


@pytest.mark.parametrize("template", [SILENT, "Hello", "{{ messages | length }}"])
def test_a_template_without_the_users_words_is_refused(template):
    with pytest.raises(UnsupportedModel, match="leaves out what the user says"):
        asked(template)


@pytest.mark.parametrize("template", [NO_SYSTEM, REFUSES_SYSTEM, LAST_ONLY])
def test_a_system_turn_that_would_be_lost_is_refused_and_other_chats_are_not(template):
    assert "What is rain?" in asked(template)
    with pytest.raises(BadInput, match="has no place for a system message"):
        asked(template, "Be brief.")


@pytest.mark.parametrize(
    ("template", "end"),
    [(THINKING, "<think>\n\n</think>\n\n"), (BRACKETS, "[THINK][/THINK]"), (EMPTY_THOUGHT, "<think>\n\n</think>\n\n")],
)
def test_an_opened_thought_is_closed_alike_in_prompts_and_in_training(template, end):
    prompt = asked(template)
    assert prompt.endswith(f"assistant\n{end}")
    made = tokenizer(template)
    found = render(made, SAYS, [tiny.IM_END])
    assert made.decode(found.prompt_ids) == prompt
    assert made.decode(found.answer_ids) == "Water.<|im_end|>"


def test_a_header_that_the_template_leaves_out_is_taken_from_an_answer():
    assert asked(HEADLESS) == asked(CHATML)
    assert render(tokenizer(HEADLESS), SAYS, [tiny.IM_END]) == render(tokenizer(CHATML), SAYS, [tiny.IM_END])


def test_what_ends_a_turn_ends_an_answer(tmp_path):
    tiny.random_model("Llama").save_pretrained(tmp_path)
    made = tokenizer(CHATML)
    made.eos_token = "<|begin|>"
    made.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": tiny.BEGIN}))
    assert load(str(tmp_path), "cpu").end_ids == (tiny.BEGIN, tiny.IM_END)


def test_a_template_in_a_file_of_its_own_is_read(tmp_path):
    tiny.random_model("Llama").save_pretrained(tmp_path)
    made = tokenizer(CHATML)
    made.chat_template = None
    made.save_pretrained(tmp_path)
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": CHATML}))
    loaded = load(str(tmp_path), "cpu")
    assert prompt_text(loaded.tokenizer, SAYS.as_dicts()[:1]) == asked(CHATML)


def test_the_fallback_is_said(tmp_path, caplog):
    from core.models import memory
    from core.models.catalog import resolve

    tiny.random_model("Llama").save_pretrained(tmp_path)
    made = tokenizer(CHATML)
    made.chat_template = None
    made.save_pretrained(tmp_path)
    for file in Path(tmp_path).glob("chat_template*"):
        file.unlink()
    load(str(tmp_path), "cpu")
    assert "written as User: and Assistant: lines" in caplog.text
    assert "written as User: and Assistant: lines" in memory.cost(resolve(str(tmp_path)))


def test_a_model_whose_template_loses_words_is_not_loaded(tmp_path):
    tiny.random_model("Llama").save_pretrained(tmp_path)
    tokenizer(SILENT).save_pretrained(tmp_path)
    with pytest.raises(TillerError, match="leaves out what the user says"):
        load(str(tmp_path), "cpu", torch.float32)


@pytest.mark.embedded
def test_the_embedded_models_template_is_taken_as_it_is(embedded):
    found = probed(embedded.tokenizer)
    assert (found.system, found.parts, found.header, found.closing, found.end) == (True, False, "", "", "<|im_end|>")
    assert wrap(embedded.model, embedded.tokenizer, "x").end_ids == embedded.end_ids
