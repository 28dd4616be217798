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
from core.models.catalog import CATALOG, DEFAULT_ID, FolderSource, HubSource, WheelSource, resolve

LINK_SAFE = re.compile(r"[A-Za-z0-9._/@-]+")


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
    assert len({spec.source for spec in CATALOG.values()}) == len(CATALOG)
    assert CATALOG["smollm2-135m"].source != CATALOG["smollm2-135m-hub"].source


@pytest.mark.parametrize("spec", CATALOG.values(), ids=lambda spec: spec.id)
def test_a_catalog_id_is_its_own_folder_name(spec):
    assert paths.safe_name(spec.id) == spec.id
    assert resolve(spec.id) is spec


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
