"""Uploaded files lie in the cache, whatever they are called; where none was chosen it says what else there is."""

from __future__ import annotations

import pytest

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
    ("built_in", "said"), [(separation.BUILT_IN, "the built-in suites"), (spillover.BUILT_IN, "the measuring suites")]
)
def test_no_prompts_chosen_is_a_sentence(built_in, said):
    with pytest.raises(BadInput, match=rf"No prompts were chosen\. Choose a file, or take {said}\."):
        save_prompts(None, built_in)
