"""Uploaded files lie in the cache, whatever they are called; where none was chosen it says what else there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import paths
from core.errors import BadInput
from pages.parts.separation import measure as separation
from pages.parts.spillover import measure as spillover
from pages.parts.uploads import save_prompts, save_upload


def test_an_upload_is_stored_once_under_a_hash_of_its_content():
    first = save_upload("prompts", "my prompts.txt", b"one\n")
    assert save_upload("prompts", "my prompts.txt", b"one\n") == first
    assert save_upload("prompts", "my prompts.txt", b"two\n") != first
    assert first.is_relative_to(paths.cache())
    assert save_upload("prompts", "../../evil.txt", b"x").is_relative_to(paths.cache() / "uploads" / "prompts")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("my prompts.txt", "my-prompts.txt"),
        ("v1.2 final.GGUF", "v1.2-final.GGUF"),
        ("提示.gguf", "upload.gguf"),
        ("вектор v2.safetensors", "v2.safetensors"),
        ("🎉.pt", "upload.pt"),
        (".gguf", "upload.gguf"),
        ("a long name " * 20 + ".gguf", ("a-long-name-" * 5)[:60] + ".gguf"),
        ("提示", "upload"),
        ("x.提示", "x"),
    ],
)
def test_an_upload_keeps_its_ending_whatever_script_its_name_is_in(name, kept):
    assert save_upload("directions", name, b"x").name == kept


@given(st.text(max_size=300))
def test_any_name_gives_a_file_inside_its_own_folder(name):
    path = save_upload("directions", name, b"y")
    assert path.read_bytes() == b"y"
    assert path.parent.parent == paths.cache() / "uploads" / "directions"
    assert path.name.isascii() and len(path.name) <= 80 and path.name[0] not in ".-"


@pytest.mark.parametrize(
    ("built_in", "said"), [(separation.BUILT_IN, "the built-in suites"), (spillover.BUILT_IN, "the measuring suites")]
)
def test_no_prompts_chosen_is_a_sentence(built_in, said):
    with pytest.raises(BadInput, match=rf"No prompts were chosen\. Choose a file, or take {said}\."):
        save_prompts(None, built_in)
