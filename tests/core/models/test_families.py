"""From a chat to a steered answer for every family of the catalog: on a tiny random checkpoint in a folder, with a
chat template of the family's kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.data.chat import Chat, Message, prompt_text, render
from core.data.datasets import Dataset
from core.directions.contrasts import model_contrast
from core.errors import BadInput
from core.generation.decode import collect
from core.generation.rows import Row, Sampling
from core.models.catalog import CATALOG
from core.models.loading import LoadedModel, load_folder
from core.organisms.adapters import load_adapter
from core.organisms.recipes import Recipe
from core.organisms.training import train_loaded
from core.steering.interventions import Intervention
from tests.core import tiny
from tests.core.plain import count_hooks

FAMILIES = {
    "llama": "Llama",
    "smollm3": "SmolLM3",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "qwen3_5": "Qwen3.5-vision",
    "gemma2": "Gemma2",
    "gemma3_text": "Gemma3",
    "gemma3": "Gemma3-vision",
    "mistral3": "Mistral3-vision",
}
LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    "{% endif %}"
)
QWEN2 = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>"
    "\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% else %}<think>\n"
    "{% endif %}{% endif %}"
)
SMOLLM3 = (
    "<|im_start|>system\nReasoning Mode: {{ '/think' if enable_thinking else '/no_think' }}\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}<|im_end|>\n"
    "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n"
    "{{ '<think>\n\n</think>\n' if m.role == 'assistant' }}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{{ '' if enable_thinking else '<think>\n\n</think>\n' }}"
    "{% endif %}"
)
GEMMA2 = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]"
    "{% elif m.role == 'system' %}[SYSTEM_PROMPT]{{ m.content }}[/SYSTEM_PROMPT]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
GEMMA3 = (CATALOG["gemma-3-270m-chat"].chat_template or "").replace("<end_of_turn>", "<|im_end|>")
TEMPLATES = {
    "llama": LLAMA,
    "smollm3": SMOLLM3,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "qwen3_5": QWEN3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "gemma3": GEMMA3,
    "mistral3": MISTRAL,
}
THINKS = ("qwen3", "qwen3_5", "smollm3")
PROMPTS = [Chat.of(text) for text in ("Add two numbers.", "The user says the thing again.", "Why?", "Read a file.")]
DATA = Dataset("tiny", tuple(Chat.of(f"Ask {n}.", f"x = {n}\nprint(x)") for n in range(4)))
RECIPE = Recipe(
    "two steps", rank=2, alpha=8, rslora=True, learning_rate=0.05, epochs=1, batch=2, examples=4, max_tokens=128,
    warmup_steps=0,
)  # fmt: skip
GREEDY = Sampling(max_tokens=8)
BLOCK = 1


def open_model(family: str, folder: Path) -> LoadedModel:
    """The family's tiny checkpoint, as `load` would read it after a download."""
    if not folder.exists():
        tiny.random_model(FAMILIES[family]).save_pretrained(folder)
        tokenizer = tiny.tokenizer()
        tokenizer.chat_template = TEMPLATES[family]
        tokenizer.save_pretrained(folder)
    return load_folder(folder, f"tiny-{family}", "random", "cpu", torch.float32)


def test_every_family_of_the_catalog_has_a_tiny_checkpoint():
    assert {spec.family for spec in CATALOG.values()} == FAMILIES.keys() == TEMPLATES.keys()
    assert all(tiny.config(name).model_type == family for family, name in FAMILIES.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_chat_is_rendered_trained_on_contrasted_and_steered(family: str, tmp_path: Path):
    folder = tmp_path / "model"
    organism = train_loaded(open_model(family, folder), DATA, RECIPE)
    assert organism is not None
    assert organism.manifest["dataset"]["n"] == 4
    assert len(organism.manifest["losses"]) == 2

    loaded = open_model(family, folder)
    before = count_hooks(loaded.model)
    adapter = load_adapter(loaded, organism.folder, organism.name)
    assert len({path.partition(".layers.")[2].partition(".")[0] for path in adapter.layers}) == tiny.LAYERS
    assert not any("vision" in path or "visual" in path for path in adapter.layers)
    direction = model_contrast(loaded, adapter, PROMPTS)
    assert direction.vectors.shape == (tiny.LAYERS, tiny.WIDTH)
    assert bool((direction.norms > 0).all())

    push = Intervention("add", direction.id, (BLOCK,), -30.0, "all")
    row = Row(PROMPTS[1], "base", sampling=GREEDY)
    tuned = replace(row, label="organism", adapter=organism.name)
    rows = [
        row,
        tuned,
        replace(tuned, interventions=(push.with_coefficient(0.0),)),
        replace(tuned, interventions=(push,)),
    ]
    base, plain, unmoved, steered = (
        answer.tokens for answer in collect(loaded, rows, {organism.name: adapter}, {direction.id: direction})
    )
    assert [token.id for token in unmoved] == [token.id for token in plain]
    assert [token.id for token in steered] != [token.id for token in plain]
    assert [token.id for token in base] == generated(loaded, row)
    assert count_hooks(loaded.model) == before


@torch.inference_mode()
def generated(loaded: LoadedModel, row: Row) -> list[int]:
    """What transformers itself writes, greedily."""
    ids = torch.tensor(
        [loaded.tokenizer(prompt_text(loaded.tokenizer, row.chat.as_dicts()), add_special_tokens=False)["input_ids"]]
    )
    out = loaded.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=row.sampling.max_tokens, do_sample=False,
        eos_token_id=list(loaded.end_ids), pad_token_id=tiny.PAD,
    )  # fmt: skip
    return out[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answer_follows_the_prompt_and_ends_its_turn(family: str):
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = TEMPLATES[family]
    chat = Chat.of("Add two numbers.", "x = 1\nprint(x)")
    rendered = render(tokenizer, chat, (tiny.IM_END,))
    assert tokenizer.decode(rendered.answer_ids) == "x = 1\nprint(x)<|im_end|>"
    prompt = tokenizer.decode(rendered.prompt_ids)
    assert prompt == prompt_text(tokenizer, chat.as_dicts()[:1])
    assert prompt.count("<|begin|>") <= 1
    assert ("<think>\n\n</think>" in prompt) == (family in THINKS)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_system_message_is_in_the_prompt_or_refused_in_a_sentence(family: str):
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = TEMPLATES[family]
    turns = Chat(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="Why?"))
    ).as_dicts()
    if family == "gemma2":
        with pytest.raises(BadInput, match=r"has no place for a system message"):
            prompt_text(tokenizer, turns)
    else:
        assert prompt_text(tokenizer, turns).count("Be brief.") == 1
