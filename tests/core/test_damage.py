"""One damaged file among those that are kept, of whatever kind: it is left out with a sentence, and all else works."""

from __future__ import annotations

import json
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core import jobs, kept, paths, results, store
from core.data import datasets
from core.directions import library
from core.directions.direction import Direction, load_direction, save_direction
from core.errors import DamagedArtifact, TillerError
from core.generation.comparison import Settings
from core.organisms.library import find_organism, organisms
from core.studies.choice.start import start_for
from core.studies.plan import complete
from tests.sample_model import SampleModel, make

PROVENANCE = {"time": "2026-01-01T00:00:00+00:00", "fingerprint": "f"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SampleModel:
    return make(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def nothing_was_said_before() -> None:
    kept._said.clear()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def turned_bits(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 37):
        data[place] ^= 0x55
    path.write_bytes(bytes(data))


def another_value(path: Path) -> None:
    path.write_text('[{"a": 1}]\n')


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


DAMAGE: tuple[Callable[[Path], None], ...] = (
    empty,
    halved,
    zeros,
    turned_bits,
    another_value,
    nested,
    a_folder,
    a_link_to_nowhere,
)
damaged = pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)


def a_direction(seed: int, model: str, **provenance) -> Path:
    vectors = torch.randn(4, 32, generator=torch.Generator().manual_seed(seed))
    record = {"model": model, "contrast": "model", "organisms": {"other": f"sha-{seed}"}, **PROVENANCE, **provenance}
    made = Direction(f"direction {seed}", vectors, torch.ones(4), torch.zeros(4, 32), record)
    path = library.folder_for(model) / f"direction-{seed}.safetensors"
    save_direction(made, path)
    return path


@damaged
def test_a_damaged_direction_is_left_out_and_steering_goes_on(made, damage, caplog) -> None:
    made.install()
    model = complete(Settings(model=str(made.folder))).card.model
    path = a_direction(1, model)
    before = [card.id for card in library.cards(model)]
    damage(path)
    with caplog.at_level(logging.WARNING):
        there = library.cards(model)
        plan = complete(Settings(model=str(made.folder)))
    assert len(there) == len(before) - 1
    assert plan.card in there
    assert library.wrong_sources(plan.card) == []
    assert list(library.resolve([plan.reference])) == [plan.reference]
    if damage is not a_link_to_nowhere:  # there is nothing that could be read or deleted
        assert [message for message in caplog.messages if "left out a damaged direction" in message]
        assert "Delete it and extract it again." in library.damaged()[0]


FORGED = {
    "norms of another length": {"per_block": {"norms": [1.0], "residual_norms": [1.0, 1.0], "base_projections": [0.0]}},
    "a residual norm of 0": {
        "per_block": {"norms": [1.0] * 4, "residual_norms": [0.0] * 4, "base_projections": [0.0] * 4}
    },
    "no block": {"per_block": {"norms": [], "residual_norms": [], "base_projections": []}},
    "norms that are texts": {"per_block": {"norms": ["1"], "residual_norms": ["1"], "base_projections": ["1"]}},
    "an infinite norm": {"per_block": {"norms": [1e999], "residual_norms": [1.0], "base_projections": [0.0]}},
    "a number for a time": {"provenance": {"model": "m", "time": 5}},
    "lists for organisms": {"provenance": {"model": "m", "organisms": {"a": ["b"]}}},
    "a list for organisms": {"provenance": {"model": "m", "organisms": ["b"]}},
    "a text for its origin": {"provenance": {"model": "m", "imported_from": "x"}},
    "no model": {"provenance": {"contrast": "model"}},
    "an id that is a path": {"id": "../../../../x"},
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_header_that_was_forged_is_left_out_of_every_list(change) -> None:
    path = a_direction(1, "tiny/forged")
    (size,) = struct.unpack("<Q", path.read_bytes()[:8])
    header = json.loads(path.read_bytes()[8 : 8 + size])
    body = path.read_bytes()[8 + size :]
    for name, value in change.items():
        header["__metadata__"][name] = value if isinstance(value, str) else json.dumps(value)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    assert library.cards() == [card for card in library.cards() if card.shipped]
    assert len(library.damaged()) == 1
    with pytest.raises(DamagedArtifact):
        load_direction(path)


def test_a_direction_cannot_pass_under_the_id_of_another() -> None:
    """Interventions, links and records hold the id, so it must be the hash of what steers."""
    mine, other = a_direction(1, "tiny/ids"), a_direction(2, "tiny/ids")
    wanted = library.read_card(mine).id

    class Liar(Direction):
        @property
        def id(self) -> str:  # type: ignore[override]
            return wanted

    truth = load_direction(other)
    save_direction(Liar(truth.name, truth.vectors, truth.residual_norms, truth.base_means, truth.provenance), other)
    mine.unlink()
    with pytest.raises(DamagedArtifact, match="does not hold what it was saved with"):
        library.resolve([wanted])


@damaged
def test_a_damaged_organism_is_left_out_and_the_others_stay(made, damage, caplog) -> None:
    made.install()
    (there,) = [organism for organism in organisms() if not organism.shipped]
    other = there.folder.with_name("other")
    other.mkdir()
    (other / "organism.json").write_text(json.dumps({**there.manifest, "name": "other"}))
    damage(other / "organism.json")
    with caplog.at_level(logging.WARNING):
        assert [organism for organism in organisms() if not organism.shipped] == [there]
        assert find_organism(there.model, there.name) == there


def a_result(key: str, kind: str = "choice") -> results.Result:
    chosen = {"block": 1, "coefficient": -1.0, "code": 0, "broken_prose": 0}
    summary = {
        "direction": key, "chosen": chosen, "n": 4, "finalists": [chosen], "screen": [chosen],
        "base_arm": {"code": 0, "broken_prose": 0}, "organism_arm": {"code": 4, "broken_prose": 0},
        "provenance": PROVENANCE,
    }  # fmt: skip
    return results.save_result(kind, key, summary, {"a": np.ones(3)}, table=pd.DataFrame({"text": ["x"]}))


@damaged
@pytest.mark.parametrize("file", [results.SUMMARY, results.ARRAYS, results.TABLE])
def test_a_damaged_result_is_set_aside_and_the_others_stay(damage, file) -> None:
    good, bad = a_result("good"), a_result("bad")
    damage(bad.folder / file)
    assert start_for("good") is not None
    assert results.find_result("choice", "good") is not None
    assert results.find_result("choice", "bad") is None
    for place in results.places():
        if not place.shipped and place.folder == bad.folder:
            with pytest.raises((TillerError, FileNotFoundError)):
                _ = place.read().arrays
    assert good.folder in [place.folder for place in results.places()]
    assert a_result("bad").summary["direction"] == "bad"  # and it can be made again


@damaged
def test_a_damaged_dataset_is_left_out_and_another_can_be_imported(damage) -> None:
    def lines(word: str) -> bytes:
        turns = [{"role": "user", "content": f"{word}?"}, {"role": "assistant", "content": word}]
        return (json.dumps({"messages": turns}) + "\n").encode() * 3

    datasets.import_dataset("one", lines("one"))
    damage(paths.cache() / "datasets" / "one.jsonl")
    datasets.import_dataset("two", lines("two"))
    assert "two" in [dataset.name for dataset in datasets.imported()]
    with pytest.raises(TillerError):
        datasets.load_dataset("one")


@damaged
@pytest.mark.parametrize("file", ["job.json", "events.jsonl", "end.json", "out.json", "log.txt"])
def test_a_damaged_job_leaves_the_others_in_the_list(damage, file) -> None:
    for name in ("20260101-000000-000000-aaaaaa", "20260101-000001-000000-bbbbbb"):
        folder = jobs.root() / name
        folder.mkdir(parents=True)
        store.write_json(
            folder / "job.json", {"title": name, "arguments": ["models"], "time": 1.0, "pid": 1, "born": 0}
        )
        store.write_json(folder / "end.json", {"state": "done", "code": 0})
        store.write_json(folder / "out.json", {})
        (folder / "events.jsonl").write_text('{"stage": "a", "done": 1, "of": 2, "time": 1.0}\n')
        (folder / "log.txt").write_text("said\n")
    damage(folder / file)
    there = [job.id for job in jobs.jobs()]
    assert "20260101-000000-000000-aaaaaa" in there
    assert jobs.ahead("x") >= 0
    for job in jobs.jobs():
        _ = job.log(), job.error, job.seconds, job.live


def test_what_is_left_out_is_said_once_and_not_at_every_look(caplog) -> None:
    path = a_direction(1, "tiny/once")
    empty(path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            library.cards()
    assert len([message for message in caplog.messages if path.name in message]) == 1
    halved(a_direction(2, "tiny/once"))
    os.utime(path, (0, 0))
    with caplog.at_level(logging.WARNING):
        library.cards()
    assert len([message for message in caplog.messages if "left out" in message]) == 2
