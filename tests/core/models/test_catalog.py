"""Claims about names: what is in the catalog, and what a text stands for."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core import paths
from core.errors import BadInput, ModelUnavailable
from core.models import memory
from core.models.catalog import CATALOG, DEFAULT_ID, PAPER, FolderSource, HubSource, WheelSource, exact, resolve

LINK_SAFE = re.compile(r"[A-Za-z0-9._/@-]+")
# class of the configuration; width, blocks, feed-forward width, heads, key-value heads, size of a head, vocabulary
SHAPES = {
    "smollm2-135m-hub": ("Llama", 576, 30, 1536, 9, 3, 64, 49_152),
    "smollm2-360m": ("Llama", 960, 32, 2560, 15, 5, 64, 49_152),
    "smollm2-1.7b": ("Llama", 2048, 24, 8192, 32, 32, 64, 49_152),
    "smollm3-3b": ("SmolLM3", 2048, 36, 11_008, 16, 4, 128, 128_256),
    "qwen2.5-0.5b": ("Qwen2", 896, 24, 4864, 14, 2, 64, 151_936),
    "qwen2.5-1.5b": ("Qwen2", 1536, 28, 8960, 12, 2, 128, 151_936),
    "qwen3-0.6b": ("Qwen3", 1024, 28, 3072, 16, 8, 128, 151_936),
    "qwen3-1.7b": ("Qwen3", 2048, 28, 6144, 16, 8, 128, 151_936),
    "qwen3.5-0.8b": ("Qwen3_5", 1024, 24, 3584, 8, 2, 256, 248_320),
    "qwen3.5-2b": ("Qwen3_5", 2048, 24, 6144, 8, 2, 256, 248_320),
    "qwen3.5-4b": ("Qwen3_5", 2560, 32, 9216, 16, 4, 256, 248_320),
    "gemma-2-2b": ("Gemma2", 2304, 26, 9216, 8, 4, 256, 256_000),
    "gemma-3-270m-it": ("Gemma3Text", 640, 18, 2048, 4, 1, 256, 262_144),
    "gemma-3-1b-it": ("Gemma3Text", 1152, 26, 6912, 4, 1, 256, 262_144),
    "gemma-3-4b-it": ("Gemma3", 2560, 34, 10_240, 8, 4, 256, 262_208),
    "llama-3.2-1b": ("Llama", 2048, 16, 8192, 32, 8, 64, 128_256),
    "ministral-3-3b": ("Mistral3", 3072, 26, 9216, 32, 8, 128, 131_072),
}
NAMES = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads")
SMALL_TOWER = {"depth": 12, "hidden_size": 768, "intermediate_size": 3072, "num_heads": 12}
LARGE_TOWER = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16}
VISION = {
    "qwen3.5-0.8b": {**SMALL_TOWER, "out_hidden_size": 1024},
    "qwen3.5-2b": {**LARGE_TOWER, "out_hidden_size": 2048},
    "qwen3.5-4b": {**LARGE_TOWER, "out_hidden_size": 2560},
    "gemma-3-4b-it": {
        "hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27,
        "image_size": 896, "patch_size": 14, "vision_use_head": False,
    },
    "ministral-3-3b": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
        "head_dim": 64, "image_size": 1540, "patch_size": 14,
    },
}  # fmt: skip
VALUE_HEADS = {"qwen3.5-0.8b": 16, "qwen3.5-2b": 16, "qwen3.5-4b": 32}


def configuration(identity: str):
    """The full-size configuration of a model of the hub."""
    import transformers

    kind, *sizes, head, vocabulary = SHAPES[identity]
    text = dict(zip(NAMES, sizes, strict=True), head_dim=head, vocab_size=vocabulary, tie_word_embeddings=True)
    if kind == "Qwen3_5":
        blocks = text["num_hidden_layers"]
        text |= {
            "layer_types": [("linear_attention", "full_attention")[place % 4 == 3] for place in range(blocks)],
            "linear_num_key_heads": 16,
            "linear_num_value_heads": VALUE_HEADS[identity],
        }
    if kind == "Mistral3":
        text = transformers.Ministral3Config(**text).to_dict()
    if identity in VISION:
        options = {"text_config": text, "vision_config": VISION[identity], "tie_word_embeddings": True}
        return getattr(transformers, f"{kind}Config")(**options)
    return getattr(transformers, f"{kind}Config")(**text, pad_token_id=0)


def save_config(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_default_needs_no_hub_and_knows_where_to_steer():
    spec = CATALOG[DEFAULT_ID]
    assert isinstance(spec.source, WheelSource)
    assert (spec.default_block, spec.default_coefficient) == (13, -1.0)
    assert spec.licence == "Apache-2.0"


def test_ids_name_exact_weights():
    assert all(spec.id == key for key, spec in CATALOG.items())
    assert len({(spec.source, spec.merged) for spec in CATALOG.values()}) == len(CATALOG)
    assert CATALOG["smollm2-135m"].source != CATALOG["smollm2-135m-hub"].source


@pytest.mark.parametrize("spec", CATALOG.values(), ids=lambda spec: spec.id)
def test_a_catalog_id_is_its_own_folder_name(spec):
    assert paths.safe_name(spec.id) == spec.id
    assert resolve(spec.id) is spec


def test_the_sizes_of_every_model_of_the_hub_are_listed_here():
    assert {spec.id for spec in CATALOG.values() if isinstance(spec.source, HubSource)} == SHAPES.keys()


@pytest.mark.parametrize("identity", SHAPES)
def test_a_model_of_its_configuration_has_the_weights_and_blocks_that_the_catalog_states(identity: str):
    import torch

    from core.models.blocks import decoder_blocks
    from core.models.loading import auto_class

    config = configuration(identity)
    with torch.device("meta"):
        model = auto_class(config).from_config(config)
    spec = CATALOG[identity]
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.parameters
    assert spec.default_block == round(0.45 * (len(decoder_blocks(model)) - 1))
    assert config.model_type == spec.family


def test_files_hold_the_weights_in_two_bytes_each_and_perhaps_some_twice():
    for identity in SHAPES:
        spec = CATALOG[identity]
        assert 1 <= spec.download_bytes / (2 * spec.parameters) < 1.3


def test_the_models_of_the_paper_are_four_families_of_the_hub():
    specs = [CATALOG[identity] for identity in PAPER]
    assert {spec.family for spec in specs} == {"qwen2", "gemma2", "llama", "mistral3"}
    assert all(isinstance(spec.source, HubSource) and spec.instruct for spec in specs)
    assert [spec.gated for spec in specs] == [False, True, True, False]


def test_memory_is_the_weights_and_room_to_work(monkeypatch):
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: True)
    spec = CATALOG["gemma-2-2b"]
    assert 2 * spec.parameters < spec.memory_bytes < 2.2 * spec.parameters + 1e9
    assert memory.fits(spec, spec.memory_bytes)
    assert not memory.fits(spec, spec.memory_bytes - 1)
    unknown = resolve("someone/some-model")
    assert unknown.memory_bytes is None
    assert memory.fits(unknown, 0) is None


def test_weights_take_twice_as_much_on_a_processor_that_does_not_multiply_bfloat16(monkeypatch):
    spec = CATALOG["gemma-2-2b"]
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(memory.shutil, "which", lambda name: None)
    assert 4 * spec.parameters < memory.needed(spec) < 4.4 * spec.parameters + 1e9
    assert not memory.fits(spec, spec.memory_bytes)
    assert memory.needed(resolve("someone/some-model")) is None
    monkeypatch.setattr(memory.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert memory.needed(spec) == spec.memory_bytes


def test_what_is_read_of_the_processor_is_what_torch_finds():
    from core.models.packing import multiplies_bfloat16

    if memory.CPU.exists() and memory.CPU.read_text().count("flags"):
        assert memory.multiplies_bfloat16() == multiplies_bfloat16()


def test_what_a_model_costs_is_one_sentence(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: ("machine", 2 * 10**9))
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: True)
    assert memory.cost(CATALOG["llama-3.2-1b"]) == (
        "2.5 GB to download; licence: Llama 3.2 Community License; gated: accept the licence on its page and set "
        "HF_TOKEN; needs about 3.5 GB of memory, more than the 2.0 GB free on this machine."
    )
    assert memory.cost(CATALOG[DEFAULT_ID]) == (
        "93 MB to download; licence: Apache-2.0; needs about 1.1 GB of memory, 2.0 GB free on this machine."
    )
    assert memory.cost(resolve("someone/some-model")) == ("A download of unknown size; licence: see the model's page.")


@pytest.mark.parametrize(("said", "expected"), [("81559\n40000", ("GPU", 81_559 * 2**20)), ("No devices", None)])
def test_memory_is_the_first_gpus_where_there_is_one(tmp_path, monkeypatch, said, expected):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{said}\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert memory.free() == expected if expected else memory.free()[0] == "machine"


def test_pinned_pieces_and_wheels_must_pair_up():
    with pytest.raises(BadInput, match="one piece for each wheel"):
        WheelSource((("a", "1"), ("b", "1")), ("only-one",), "0" * 64, 1)


def test_specs_are_values():
    spec = CATALOG[DEFAULT_ID]
    assert dataclasses.replace(spec) == spec
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.id = "other"


def test_a_repository_of_the_catalog_is_the_catalog_entry():
    assert resolve("Qwen/Qwen2.5-0.5B-Instruct") is CATALOG["qwen2.5-0.5b"]


def test_another_revision_is_other_weights():
    spec = resolve("Qwen/Qwen2.5-0.5B-Instruct@refs/pr/3")
    assert spec.source == HubSource("Qwen/Qwen2.5-0.5B-Instruct", "refs/pr/3")
    assert spec.id not in CATALOG


def test_any_repository_becomes_a_spec_whose_id_resolves_to_it_again():
    spec = resolve("  someone/Some_Model-1.5B-it@v1.0 ")
    assert spec.source == HubSource("someone/Some_Model-1.5B-it", "v1.0")
    assert spec.instruct
    assert resolve(spec.id) == spec
    assert not resolve("someone/base-model").instruct


@pytest.mark.parametrize("text", ["a/b@", "a/../b", "a--b/c", "../etc/passwd", "a/b/c", "-a/b", "a/b@../x", "a/b@@c"])
def test_what_the_hub_would_not_accept_is_not_a_repository(text):
    with pytest.raises(ModelUnavailable):
        resolve(text)


def test_a_typing_error_is_answered_with_the_closest_ids():
    with pytest.raises(ModelUnavailable, match=r"Did you mean .*smollm2-135m"):
        resolve("smolm2-135")
    with pytest.raises(ModelUnavailable, match="The catalog has smollm2-135m"):
        resolve("∅∅∅∅")


@pytest.mark.parametrize("text", ["", "   ", "x" * 301])
def test_no_name_and_an_endless_one_are_bad_input(text):
    with pytest.raises(BadInput):
        resolve(text)


def test_a_folder_is_a_model_and_its_id_does_not_tell_where_it_lies(tmp_path):
    folder = save_config(tmp_path / "secret project" / "mine v2", model_type="qwen2")
    spec = resolve(str(folder))
    assert spec.source == FolderSource(folder)
    assert spec.family == "qwen2"
    assert re.fullmatch(r"local-mine-v2-[0-9a-f]{8}", spec.id)
    assert "secret" not in spec.id + spec.title
    assert resolve(str(folder)) == spec


def test_two_folders_of_one_name_are_two_models(tmp_path):
    one, two = save_config(tmp_path / "a" / "model"), save_config(tmp_path / "b" / "model")
    assert resolve(str(one)).id != resolve(str(two)).id


def test_one_folder_by_two_ways_is_one_model(tmp_path, monkeypatch):
    folder = save_config(tmp_path / "owner" / "model")
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    same = {resolve(text) for text in (str(folder), "owner/model", "./owner/model", "~/owner/model", "link")}
    assert len(same) == 1


@pytest.mark.parametrize("text", ["owner/model", "mine", "./mine", "~/mine", "~", "{here}", "{here}/mine", "core"])
def test_what_a_link_names_is_never_a_folder(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    text = text.format(here=tmp_path)

    def answer() -> str:
        try:
            return repr(resolve(text, folders=False))
        except ModelUnavailable as error:
            return str(error)

    before = answer()
    for place in ("owner/model", "mine", "core"):
        save_config(tmp_path / place)
    save_config(tmp_path / "config-is-here").joinpath("config.json").rename(tmp_path / "config.json")
    assert isinstance(resolve(text).source, FolderSource)
    assert answer() == before and "FolderSource" not in before


@pytest.mark.parametrize(
    "text", ["smollm2-135m", "owner/model", "owner/model@v1", "Qwen/Qwen2.5-0.5B-Instruct", "{here}"]
)
def test_the_exact_text_of_a_model_means_it_whatever_folders_there_are(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    spec = resolve(text.format(here=tmp_path))
    for place in ("smollm2-135m", "owner/model", "owner/model@v1", "Qwen/Qwen2.5-0.5B-Instruct"):
        save_config(tmp_path / place)
    assert resolve(exact(spec)) == spec
    assert exact(resolve(exact(spec))) == exact(spec)


def test_a_folder_chats_if_it_has_a_template(tmp_path):
    folder = save_config(tmp_path / "model")
    assert not resolve(str(folder)).instruct
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert resolve(str(folder)).instruct


def test_a_folder_with_a_foreign_name_or_a_damaged_config_still_has_an_id(tmp_path):
    folder = tmp_path / "模型"
    folder.mkdir()
    (folder / "config.json").write_text("{")
    spec = resolve(str(folder))
    assert re.fullmatch(r"local-folder-[0-9a-f]{8}", spec.id)
    assert spec.family == "unknown"


def test_a_folder_without_a_model_says_so(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        resolve(str(tmp_path))


def test_the_id_of_a_folder_from_another_computer_is_explained():
    with pytest.raises(ModelUnavailable, match="path on this computer"):
        resolve("local-mine-0a1b2c3d")


def test_the_id_of_a_model_that_was_in_memory_is_explained():
    with pytest.raises(ModelUnavailable, match=r"memory of a Python session\. Write it with save_pretrained"):
        resolve("memory-mine-0a1b2c3d")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=320), st.from_regex(r"[\w.~/@\0-]{1,40}", fullmatch=True)))
@example(text="a" * 299)
@example(text="/" + "a" * 290)
@example(text="a\0b")
@example(text="~nobody-of-this-name/x")
@example(text="\ud800")
def test_any_text_resolves_to_a_safe_id_or_a_clear_error(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        spec = resolve(text)
    except (ModelUnavailable, BadInput) as error:
        assert len(str(error)) < 600
    else:
        assert isinstance(spec.source, HubSource | FolderSource) or spec.id == text.strip()
        assert LINK_SAFE.fullmatch(spec.id)
