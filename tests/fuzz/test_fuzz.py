"""Every reader on mutated inputs, in less than two minutes; `python -m tests.fuzz` runs more."""

from __future__ import annotations

import functools

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import Reader, readers
from tests.fuzz.runs import run

EACH, SECONDS = 150, 3.0


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory):
    return {reader.name: reader for reader in readers(tmp_path_factory.mktemp("examples"))}


@functools.cache
def names() -> list[str]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        return [reader.name for reader in readers(Path(folder))]


@pytest.mark.parametrize("name", names())
def test_whatever_comes_is_read_or_refused_in_a_sentence(name, all_readers, tmp_path):
    found = run(all_readers[name], EACH, tmp_path, most_seconds=SECONDS)
    assert found.faults == []
    assert found.taken + found.refused > 20


@pytest.mark.parametrize("name", names())
def test_a_whole_example_is_taken(name, all_readers, tmp_path):
    for example in all_readers[name].examples:
        if name != "chats.txt":  # plain texts have no answers
            all_readers[name].read(example, tmp_path)


def test_a_reader_that_breaks_or_speaks_as_a_program_is_found(tmp_path):
    def breaks(data, _):
        if len(data) % 2:
            raise KeyError("x")

    assert run(Reader("odd", breaks, (b"abc", b"defg")), 50, tmp_path).faults
    assert mutated(b"abc", b"d", 5) == mutated(b"abc", b"d", 5)
