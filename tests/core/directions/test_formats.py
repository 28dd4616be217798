"""Vectors survive the way into other programs' files and back; a file from a stranger can only be refused."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file

from core import paths
from core.directions import formats
from core.directions.direction import Direction, save_direction
from core.directions.formats import Foreign, by_block, export_gguf, from_blocks, gguf_bytes, read_foreign
from core.errors import BadInput, DamagedArtifact, TillerError
from core.steering.hooks import Steering
from core.steering.interventions import Intervention
from tests.core import plain, tiny

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
MATRICES = (
    st.tuples(st.integers(2, 6), st.integers(1, 9))
    .flatmap(lambda shape: arrays.arrays("float32", shape, elements=FINITE))
    .filter(lambda matrix: matrix[1:].any())
)


def direction(vectors: np.ndarray | torch.Tensor, name: str = "v") -> Direction:
    vectors = torch.as_tensor(vectors)
    record = {"model": "tiny", "fingerprint": "f1", "contrast": "model", "time": "2026-01-02T03:04:05+00:00"}
    return Direction(name, vectors, torch.ones(len(vectors)), torch.zeros_like(vectors), record)


def example(blocks: int = 4, width: int = 8) -> Direction:
    return direction(torch.randn(blocks, width, generator=torch.Generator().manual_seed(0)), "v − w · é")


def one_sentence(error: pytest.ExceptionInfo[TillerError]) -> None:
    """What is wrong, what to do, on one line."""
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 400


def refused(path: Path, match: str) -> None:
    with pytest.raises(BadInput, match=match) as error:
        read_foreign(path)
    one_sentence(error)


def write_gguf(path: Path, tensors: dict[str, np.ndarray], architecture: str = "controlvector", **fields: int) -> Path:
    writer = GGUFWriter(path, architecture)
    for key, value in fields.items():
        writer.add_int32(f"{architecture}.{key}", value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@given(MATRICES)
@settings(max_examples=40)
def test_a_gguf_written_and_read_equals_on_every_block_but_0_bit_for_bit(tmp_path_factory, matrix):
    path = tmp_path_factory.mktemp("gguf") / "v.gguf"
    assert export_gguf(direction(matrix), path, "llama") == [formats.NO_BLOCK_0]
    found = read_foreign(path)
    assert sorted(found.vectors) == list(range(1, len(matrix)))
    for block, vector in found.vectors.items():
        assert vector.dtype == np.float32
        assert vector.tobytes() == matrix[block].tobytes()


def test_a_gguf_remembers_what_it_was_made_of(tmp_path):
    v = example()
    export_gguf(v, tmp_path / "v.gguf", "llama")
    found = read_foreign(tmp_path / "v.gguf")
    assert (found.format, found.model_hint, found.blocks, found.width) == ("gguf", "llama", 4, 8)
    assert (found.model, found.fingerprint, found.name) == ("tiny", "f1", v.name)
    assert (found.file, len(found.sha256), found.direction) == ("v.gguf", 64, None)
    assert v.id.encode() in gguf_bytes(v, "llama")


def test_equal_directions_give_equal_gguf_bytes_and_leave_nothing_behind(tmp_path):
    assert gguf_bytes(example(), "llama") == gguf_bytes(example(), "llama")
    assert gguf_bytes(example(), "llama") != gguf_bytes(example() * 2, "llama")
    export_gguf(example(), tmp_path / "v.gguf", "llama")
    assert (tmp_path / "v.gguf").read_bytes() == gguf_bytes(example(), "llama")
    assert [file.name for file in tmp_path.iterdir()] == ["v.gguf"]
    assert list(paths.cache().iterdir()) == []


def test_a_direction_of_one_block_cannot_be_a_gguf():
    with pytest.raises(BadInput, match="only block 0") as error:
        gguf_bytes(example(blocks=1), "llama")
    one_sentence(error)


def test_block_0_in_a_gguf_is_read_and_pointed_out(tmp_path):
    found = read_foreign(write_gguf(tmp_path / "v.gguf", {"direction.0": np.ones(3, np.float32)}))
    assert list(found.vectors) == [0]
    assert found.notes == (formats.BLOCK_0_READ,)
    assert (found.model_hint, found.model, found.blocks) == (None, None, None)


def test_a_file_of_llama_cpps_generator_comes_with_a_note_on_its_numbering(tmp_path):
    vectors = {"direction.1": np.ones(3, np.float32)}
    assert read_foreign(write_gguf(tmp_path / "v.gguf", vectors, layer_count=1)).notes == (formats.GENERATOR,)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_a_gguf_of_other_real_numbers_is_read_as_float32(tmp_path, dtype):
    found = read_foreign(write_gguf(tmp_path / "v.gguf", {"direction.2": np.array([0.5, -3.0], dtype)}))
    assert found.vectors[2].tolist() == [0.5, -3.0]
    assert found.vectors[2].dtype == np.float32


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({}, "No vectors"),
        ({"direction.1": np.array([1, np.nan], np.float32)}, "not finite"),
        ({"direction.1": np.array([1e300, 1.0])}, "not finite"),
        ({"direction.1": np.ones(2, np.float32), "direction.2": np.ones(3, np.float32)}, "others have 2"),
        ({"direction.x": np.ones(2, np.float32)}, "'x' is not a block number"),
        ({"output.weight": np.ones(2, np.float32)}, "'output.weight' is not a block number"),
        ({"direction.5000": np.ones(2, np.float32)}, "Block 5000"),
        ({"direction.1": np.ones((2, 2), np.float32)}, r"its shape is \[2, 2\]"),
        ({"direction.1": np.ones(70_000, np.float32)}, "65,536"),
        ({"direction.1": np.ones(2, np.int32)}, "real numbers"),
        ({"direction.1": np.ones(2, np.float32), "direction.01": np.ones(2, np.float32)}, "named twice"),
    ],
)
def test_a_gguf_that_holds_no_set_of_vectors_is_refused_in_one_sentence(tmp_path, tensors, match):
    refused(write_gguf(tmp_path / "v.gguf", tensors), match)


def test_a_gguf_of_a_model_is_no_control_vector(tmp_path):
    refused(write_gguf(tmp_path / "v.gguf", {"direction.1": np.ones(2, np.float32)}, "llama"), "not a control vector")


def test_a_text_or_an_empty_file_is_no_gguf(tmp_path):
    (tmp_path / "text.gguf").write_text("direction.1 = 0.5\n" * 100)
    refused(tmp_path / "text.gguf", "cannot be read as GGUF")
    (tmp_path / "empty.gguf").touch()
    refused(tmp_path / "empty.gguf", "cannot be read as GGUF")


def test_a_gguf_cut_short_anywhere_is_refused(tmp_path):
    whole = gguf_bytes(example(), "llama")
    for length in [*range(0, len(whole) - 1, 37), len(whole) - 1]:
        path = tmp_path / "v.gguf"
        path.write_bytes(whole[:length])
        refused(path, "cannot be read as GGUF")


def _field(key: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value


def _head(tensors: int, fields: int) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", 3, tensors, fields)


HUGE = 1 << 60
LYING_HEADERS = {
    "fields": _head(0, HUGE),
    "tensors": _head(HUGE, 0),
    "numbers in an array": _head(0, 1) + _field(b"a", 9, struct.pack("<IQ", 0, HUGE)),
    "texts in an array": _head(0, 1) + _field(b"a", 9, struct.pack("<IQ", 8, HUGE)),
    "arrays in arrays": _head(0, 1) + _field(b"a", 9, struct.pack("<IQ", 9, HUGE) * 5000),
    "letters of a value": _head(0, 1) + _field(b"a", 8, struct.pack("<Q", HUGE)),
    "letters of a key": _head(0, 1) + struct.pack("<Q", HUGE),
    "unknown kind": _head(0, 1) + _field(b"a", 99, b""),
    "dimensions": _head(1, 0) + struct.pack("<Q1sI", 1, b"1", 1 << 31),
    "width": _head(1, 0) + struct.pack("<Q1sIQIQ", 1, b"1", 1, HUGE, 0, HUGE),
    "product beyond 64 bits": _head(1, 0) + struct.pack("<Q1sI4QIQ", 1, b"1", 4, 1 << 32, 1 << 32, 2, 2, 0, 0),
    "alignment 0": _head(0, 1) + _field(b"general.alignment", 4, struct.pack("<I", 0)),
    "key that is no text": _head(0, 1) + _field(b"\xff\xfe", 4, struct.pack("<I", 0)),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("data", LYING_HEADERS.values(), ids=LYING_HEADERS)
def test_lengths_in_a_header_are_not_believed(tmp_path, data):
    """The gguf package alone would take some of these counts at their word and run until memory is full."""
    (tmp_path / "v.gguf").write_bytes(data + bytes(200))
    refused(tmp_path / "v.gguf", "GGUF")


@given(data=st.data())
@settings(max_examples=150)
def test_a_gguf_with_changed_bytes_is_read_or_refused_and_nothing_else(tmp_path_factory, data):
    whole = bytearray(gguf_bytes(example(3, 4), "llama"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / "v.gguf"
    path.write_bytes(whole)
    try:
        found = read_foreign(path)
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert all(np.isfinite(vector).all() for vector in found.vectors.values())


def test_row_l_of_persona_vectors_is_block_l_minus_1(tmp_path):
    planted = torch.zeros(5, 6)
    planted[0] = 100.0
    for row in range(1, 5):
        planted[row, row] = row
    torch.save(planted, tmp_path / "v.pt")
    found = read_foreign(tmp_path / "v.pt")
    assert (found.format, found.blocks, sorted(found.vectors)) == ("persona_vectors", 4, [0, 1, 2, 3])
    for block, vector in found.vectors.items():
        assert vector[block + 1] == vector.sum() == block + 1
    assert found.notes == (formats.EMBEDDINGS, formats.FINAL_NORM)


@given(MATRICES, st.sampled_from([int, str]))
@settings(max_examples=30)
def test_a_dict_by_block_survives_a_pt_and_a_safetensors_file(tmp_path_factory, matrix, key):
    folder = tmp_path_factory.mktemp("blocks")
    vectors = {block: torch.from_numpy(row) for block, row in by_block(direction(matrix)).items()}
    torch.save({key(block): vector for block, vector in vectors.items()}, folder / "v.pt")
    save_file({f"model.layers.{block}": vector for block, vector in vectors.items()}, folder / "v.safetensors")
    for name in ("v.pt", "v.safetensors"):
        found = read_foreign(folder / name)
        assert found.format == "by block"
        assert np.stack([found.vectors[block] for block in range(len(matrix))]).tobytes() == matrix.tobytes()


def test_by_block_hands_out_copies():
    v = example()
    by_block(v)[2][:] = 7
    assert v == example()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ({}, "No vectors"),
        ([], "neither"),
        (torch.tensor(1.0), "neither"),
        (torch.ones(3), "nothing says of which block. Name its block, as in --block 13"),
        (torch.ones(1, 3), "nothing says of which block"),
        (torch.ones(2, 3, 4), "neither"),
        (torch.ones(3, 4, dtype=torch.long), "real numbers"),
        (torch.full((3, 4), float("nan")), "not finite"),
        (torch.zeros(3, 4), "All vectors are zero"),
        ({1: torch.zeros(3)}, "All vectors are zero"),
        ({1: torch.full((3,), 1e-60, dtype=torch.float64)}, "All vectors are zero"),
        ({"layer": torch.ones(3)}, "nothing says of which block"),
        ({"layer": torch.ones(3), "other": torch.ones(3)}, "'layer' is not a block number"),
        ({"layers.-1": torch.ones(3), 2: torch.ones(3)}, "'layers.-1' is not a block number"),
        ({"layer_13_v2": torch.ones(3), 2: torch.ones(3)}, "'layer_13_v2' is not a block number"),
        ({"direction": torch.ones(3), "layer": True}, "nothing says of which block"),
        ({-1: torch.ones(3)}, "'-1' is not a block number"),
        ({True: torch.ones(3)}, "'True' is not a block number"),
        ({1: torch.ones(3), "1": torch.ones(3)}, "named twice"),
        ({1: "vector"}, "has no vector"),
        ({1: torch.ones(3), 2: torch.ones(4)}, "others have 3"),
        ({1: torch.ones(1).expand(1 << 40)}, "65,536"),
        (torch.ones(1, 1).expand(1 << 20, 1 << 20), "neither"),
        (torch.ones(1, 1).expand(3, 1 << 40), "65,536"),
        (torch.ones(3, 4, device="meta"), "not a .pt file|real numbers"),
        ({1: torch.eye(3).to_sparse()[0]}, "real numbers"),
    ],
)
def test_a_pt_that_holds_no_set_of_vectors_is_refused_in_one_sentence(tmp_path, value, match):
    torch.save(value, tmp_path / "v.pt")
    refused(tmp_path / "v.pt", match)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_code_in_it_is_refused_and_not_executed(tmp_path):
    sprung = tmp_path / "sprung"
    torch.save({1: torch.ones(3), 2: Trap(sprung)}, tmp_path / "zipped.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap(sprung)))
    torch.save(Trap(sprung), tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    for name in ("zipped.pt", "plain.pt", "legacy.pt"):
        refused(tmp_path / name, "can run code")
    assert not sprung.exists()
    call, arguments = Trap(sprung).__reduce__()
    call(*arguments)
    assert sprung.exists(), "the trap does not work, so the test means nothing"


def test_an_empty_and_a_torn_pt_are_refused(tmp_path):
    (tmp_path / "empty.pt").touch()
    refused(tmp_path / "empty.pt", "plain tensors")
    torch.save({1: torch.ones(300)}, tmp_path / "torn.pt")
    (tmp_path / "torn.pt").write_bytes((tmp_path / "torn.pt").read_bytes()[:900])
    refused(tmp_path / "torn.pt", "plain tensors")


def test_a_pt_whose_index_is_too_long_or_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    torch.save({f"{number:0100}": 1 for number in range(5000)}, tmp_path / "long.pt")
    refused(tmp_path / "long.pt", "plain tensors")
    torch.save({1: torch.zeros(60_000).index_fill(0, torch.tensor([7]), 1.0)}, tmp_path / "flat.pt")
    with (
        zipfile.ZipFile(tmp_path / "flat.pt") as flat,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in flat.namelist():
            packed.writestr(name, flat.read(name))
    assert read_foreign(tmp_path / "packed.pt").width == 60_000
    monkeypatch.setattr(formats, "MAX_BYTES", 100_000)
    assert (tmp_path / "packed.pt").stat().st_size < formats.MAX_BYTES
    refused(tmp_path / "packed.pt", "plain tensors")


def test_a_tiller_direction_is_read_whole(tmp_path):
    v = example()
    save_direction(v, tmp_path / "v.safetensors")
    found = read_foreign(tmp_path / "v.safetensors")
    assert (found.format, found.direction, found.model, found.name) == ("tiller", v, "tiny", v.name)
    assert found.vectors.keys() == {0, 1, 2, 3}


def test_a_tiller_direction_with_a_record_that_no_list_could_show_is_refused(tmp_path):
    v = example()
    save_direction(Direction("v", v.vectors, v.residual_norms, v.base_means, {"model": 3}), tmp_path / "v.safetensors")
    refused(tmp_path / "v.safetensors", "no whole Tiller direction")


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({"vectors": torch.ones(3)}, "nothing says of which block"),
        ({"vectors": torch.ones(3), "other": torch.ones(3)}, "'(vectors|other)' is not a block number"),
        ({"vectors": torch.ones(2, 3, 4)}, "not one block's vector"),
        ({"a.1": torch.ones(3), "b.1": torch.ones(3)}, "twice"),
        ({"layers.1": torch.ones(3, 3)}, "not one block's vector"),
        ({"layers.1": torch.ones(70_000)}, "not one block's vector"),
        ({f"layers.{block}": torch.ones(1) for block in range(1001)}, "1,001 tensors"),
        ({"layers.1": torch.tensor([float("inf")])}, "not finite"),
    ],
)
def test_a_safetensors_file_that_holds_no_set_of_vectors_is_refused(tmp_path, tensors, match):
    save_file(tensors, tmp_path / "v.safetensors")
    refused(tmp_path / "v.safetensors", match)


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    (tmp_path / "v.safetensors").write_text("no tensors")
    refused(tmp_path / "v.safetensors", "cannot be read as safetensors")
    save_direction(example(), tmp_path / "w.safetensors")
    whole = bytearray((tmp_path / "w.safetensors").read_bytes())
    whole[-1] ^= 1
    (tmp_path / "w.safetensors").write_bytes(whole)
    with pytest.raises((BadInput, DamagedArtifact)) as error:
        read_foreign(tmp_path / "w.safetensors")
    one_sentence(error)


def test_a_missing_file_a_folder_another_kind_and_a_model_size_are_refused(tmp_path, monkeypatch):
    refused(tmp_path / "missing.gguf", "no file")
    (tmp_path / "folder.gguf").mkdir()
    refused(tmp_path / "folder.gguf", "no file")
    refused(tmp_path / "v.txt", "no known kind")
    (tmp_path / "v.gguf").write_bytes(gguf_bytes(example(), "llama"))
    monkeypatch.setattr(formats, "MAX_BYTES", 100)
    refused(tmp_path / "v.gguf", "larger than")


LAYOUTS = {
    "13": {f"{block}": block for block in range(4)},
    "layer_13": {f"layer_{block}": block for block in range(4)},
    "Layer 13": {f"Layer {block}": block for block in range(4)},
    "layer13": {f"layer{block}": block for block in range(4)},
    "layers.13": {f"layers.{block}": block for block in range(4)},
    "model.layers.13": {f"model.layers.{block}": block for block in range(4)},
    "layers[13]": {f"layers[{block}]": block for block in range(4)},
    "blocks.13.hook_resid_post": {f"blocks.{block}.hook_resid_post": block for block in range(4)},
    "transformer.h.13": {f"transformer.h.{block}": block for block in range(4)},
    "direction_13": {f"direction_{block}": block for block in range(4)},
}
KEPT = [".pt", ".pth", ".safetensors", ".npz"]


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
    elif path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("ending", KEPT)
@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_blocks_are_read_under_the_names_that_programs_give_them(tmp_path, names, ending):
    tensors = {name: torch.full((3,), block + 1.0) for name, block in names.items()}
    found = read_foreign(write(tmp_path / f"v{ending}", tensors))
    assert (found.format, sorted(found.vectors)) == ("by block", [0, 1, 2, 3])
    assert all((vector == block + 1).all() for block, vector in found.vectors.items())


def test_a_dict_of_directions_beside_other_things_is_read_with_what_it_says_of_the_model(tmp_path):
    inner = {f"layer_{block}": torch.full((3,), block + 1.0) for block in (1, 2)}
    torch.save({"directions": inner, "model_type": "qwen2", "method": "pca"}, tmp_path / "v.pt")
    found = read_foreign(tmp_path / "v.pt")
    assert (sorted(found.vectors), found.model_hint) == ([1, 2], "qwen2")
    torch.save({**inner, "model_type": "qwen2"}, tmp_path / "w.pt")
    assert sorted(read_foreign(tmp_path / "w.pt").vectors) == [1, 2]


def one(path: Path) -> tuple[int, tuple[str, ...]]:
    found = read_foreign(path)
    assert found.format == "one vector"
    ((block, vector),) = found.vectors.items()
    assert vector.tolist() == [1.0, 2.0, 3.0]
    return block, found.notes


VECTOR = torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("layer_13.pt", 13),
        ("happy-layer-13.pt", 13),
        ("happy_L13.pt", 13),
        ("block7_happy.pt", 7),
        ("layer_13.safetensors", 13),
        ("layer 13.npy", 13),
        ("layer_13.npz", 13),
    ],
)
def test_one_vector_takes_the_block_that_its_name_states_and_says_so(tmp_path, name, block):
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, VECTOR.numpy())
    elif path.suffix == ".npz":
        np.savez(path, VECTOR.numpy())
    elif path.suffix == ".safetensors":
        save_file({"direction": VECTOR}, path)
    else:
        torch.save(VECTOR, path)
    found, notes = one(path)
    assert found == block
    assert f"block {block}, as its name says" in notes[0]


@pytest.mark.parametrize(
    "name", ["v.pt", "v13.pt", "layers_5_to_9.pt", "layer_5_layer_9.pt", "small3.pt", "l-happy.pt"]
)
def test_a_name_that_states_no_one_layer_is_asked_about(tmp_path, name):
    torch.save(VECTOR, tmp_path / name)
    refused(tmp_path / name, "nothing says of which block")
    assert list(read_foreign(tmp_path / name, 2).vectors) == [2]


def test_a_record_beside_the_file_is_a_hint_of_layer_and_model(tmp_path):
    torch.save(VECTOR, tmp_path / "v.pt")
    (tmp_path / "v_metadata.json").write_text('{"pos": -2, "layer": 13, "model_name": "Qwen/Qwen2.5-7B"}')
    block, notes = one(tmp_path / "v.pt")
    assert block == 13 and "as v_metadata.json says" in notes[0]
    assert read_foreign(tmp_path / "v.pt").model_hint == "Qwen/Qwen2.5-7B"
    for damaged in ("[", "[13]", '{"layer": -1}', '{"layer": [13]}', "[" * 100_000, '{"layer": 1, "block": 2}'):
        (tmp_path / "v_metadata.json").write_text(damaged)
        refused(tmp_path / "v.pt", "nothing says of which block")


def test_the_layer_that_is_kept_in_the_file_is_taken(tmp_path):
    torch.save({"direction": VECTOR, "layer": 4}, tmp_path / "v.pt")
    assert one(tmp_path / "v.pt")[0] == 4
    save_file({"direction": VECTOR}, tmp_path / "w.safetensors", {"layer": "4"})
    assert one(tmp_path / "w.safetensors")[0] == 4


def test_two_layers_that_differ_are_asked_about(tmp_path):
    torch.save(VECTOR, tmp_path / "layer_13.pt")
    (tmp_path / "layer_13_metadata.json").write_text('{"layer": 12}')
    refused(tmp_path / "layer_13.pt", "layer_13_metadata.json says 12, and its name says 13. Name its block")
    assert list(read_foreign(tmp_path / "layer_13.pt", 12).vectors) == [12]


def test_a_block_that_is_asked_for_counts_above_what_is_stated_and_only_for_one_vector(tmp_path):
    torch.save({13: VECTOR}, tmp_path / "v.pt")
    found = read_foreign(tmp_path / "v.pt", 12)
    assert list(found.vectors) == [12]
    assert "block 12, as asked; the file says 13" in found.notes[0]
    torch.save({13: VECTOR, 14: VECTOR}, tmp_path / "w.pt")
    torch.save(torch.ones(2, 3), tmp_path / "m.pt")
    for name in ("w.pt", "m.pt"):
        with pytest.raises(BadInput, match="names its blocks itself") as error:
            read_foreign(tmp_path / name, 12)
        one_sentence(error)
    for wrong in (-1, 1000):
        with pytest.raises(BadInput, match="There is no block"):
            read_foreign(tmp_path / "v.pt", wrong)


@pytest.mark.parametrize("ending", [".pt", ".npy", ".npz", ".safetensors"])
def test_a_matrix_has_a_row_for_each_block_where_the_model_has_as_many(tmp_path, ending):
    matrix, path = torch.arange(1.0, 13).view(4, 3), tmp_path / f"v{ending}"
    if ending == ".npy":
        np.save(path, matrix.numpy())
    elif ending == ".npz":
        np.savez(path, matrix.numpy())
    else:
        write(path, {"vectors": matrix}) if ending == ".safetensors" else torch.save(matrix, path)
    found = read_foreign(path)
    assert (found.format, found.blocks, sorted(found.vectors)) == ("persona_vectors", 3, [0, 1, 2])
    assert found.vectors[0].tolist() == matrix[1].tolist()
    whole = found.for_blocks(4)
    assert (whole.format, whole.blocks, whole.notes) == ("by row", 4, (formats.BY_ROW,))
    assert np.stack([whole.vectors[block] for block in range(4)]).tolist() == matrix.tolist()
    assert found.for_blocks(3) == found


def test_an_array_of_objects_is_refused_and_not_unpickled(tmp_path):
    sprung = tmp_path / "sprung"
    np.save(tmp_path / "v.npy", np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "v.npz", layer_1=np.array([Trap(sprung)], dtype=object))
    for name in ("v.npy", "v.npz"):
        refused(tmp_path / name, "not a file of plain NumPy arrays")
    assert not sprung.exists()


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(3, 1000000000)", "(-1,)", "(2,)", "(3, 3)", "x"])
def test_the_shape_in_the_header_of_an_array_is_not_believed(tmp_path, shape):
    np.save(tmp_path / "layer_1.npy", np.ones(3, np.float32))
    data = (tmp_path / "layer_1.npy").read_bytes()
    there = b"(3,), }".ljust(len(shape) + 3)
    assert there in data
    (tmp_path / "layer_1.npy").write_bytes(data.replace(there, f"{shape}, }}".encode().ljust(7)))
    refused(tmp_path / "layer_1.npy", "plain NumPy arrays")


def contents(folder: Path) -> list[bytes]:
    """Small files of every kind that is read, to be damaged."""
    v = {f"layer_{block}": torch.full((3,), block + 1.0) for block in range(2)}
    save_direction(example(2, 3), folder / "own.safetensors")
    np.save(folder / "v.npy", np.ones((2, 3), np.float32))
    whole = [write(folder / f"v{ending}", v).read_bytes() for ending in KEPT]
    return [
        *whole,
        (folder / "own.safetensors").read_bytes(),
        (folder / "v.npy").read_bytes(),
        gguf_bytes(example(2, 3), "x"),
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> list[bytes]:
    return contents(tmp_path_factory.mktemp("small"))


@given(data=st.data())
@settings(max_examples=200)
def test_any_bytes_under_any_ending_are_read_or_refused_in_a_sentence(small, tmp_path_factory, data):
    ending = data.draw(st.sampled_from([".gguf", ".npy", *KEPT]))
    whole = bytearray(data.draw(st.sampled_from(small) | st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(0, 4)) if whole else 0):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole
    path = tmp_path_factory.mktemp("any") / f"{data.draw(st.sampled_from(['v', 'layer_3']))}{ending}"
    path.write_bytes(whole)
    try:
        found = read_foreign(path, data.draw(st.none() | st.integers(0, 3)))
    except TillerError as error:
        assert "\n" not in str(error)
        assert str(error).endswith(".")
    else:
        assert all(np.isfinite(vector).all() for vector in found.vectors.values())
        assert any(vector.any() for vector in found.for_blocks(len(found.vectors) + 1).vectors.values())


def test_a_direction_that_is_zero_from_block_1_on_cannot_be_a_gguf():
    with pytest.raises(BadInput, match="zero from block 1 on") as error:
        gguf_bytes(direction(torch.eye(4)[:1].repeat(3, 1) * torch.tensor([[1.0], [0.0], [0.0]])), "llama")
    one_sentence(error)


def test_vectors_made_by_hand_are_checked_as_well():
    with pytest.raises(BadInput, match="No vectors"):
        Foreign("by block", {})
    with pytest.raises(BadInput, match="Block -1"):
        Foreign("by block", {-1: np.ones(3, np.float32)})


@pytest.fixture(scope="module")
def repeng():
    """repeng 0.4.0 names `np.float_`, which NumPy 2 dropped, in one annotation; with the name given, all of it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "float_", np.float64, raising=False)
        yield pytest.importorskip("repeng", reason="repeng is not installed (requirements-peers.txt)")


def test_repeng_reads_our_gguf_and_finds_the_same_numbers(repeng, tmp_path):
    v = example()
    export_gguf(v, tmp_path / "v.gguf", "llama")
    theirs = repeng.ControlVector.import_gguf(tmp_path / "v.gguf")
    assert theirs.model_type == "llama"
    assert sorted(theirs.directions) == [1, 2, 3]
    for block, vector in theirs.directions.items():
        assert vector.tobytes() == v.vectors[block].numpy().tobytes()


def test_we_read_what_repeng_writes(repeng, tmp_path):
    v = example()
    repeng.ControlVector("qwen2", by_block(v)).export_gguf(tmp_path / "v.gguf")
    found = read_foreign(tmp_path / "v.gguf")
    assert (found.model_hint, found.model, found.notes) == ("qwen2", None, (formats.BLOCK_0_READ,))
    assert np.stack([found.vectors[block] for block in range(4)]).tobytes() == v.vectors.numpy().tobytes()


def _steered_by_us(loaded, v: Direction, block: int, ids: list[int]) -> torch.Tensor:
    steering = Steering(loaded, [[Intervention("add", v.id, (block,), 1.0, scope="all")]], {v.id: v})
    steering.scope(torch.tensor([ids]), None, len(ids))
    with steering.attached():
        return plain.residual_stream(loaded, ids)


@pytest.mark.parametrize("block", range(tiny.LAYERS))
def test_steering_vectors_shifts_a_block_by_exactly_our_vector_as_our_own_hook_does(llama, block):
    peer = pytest.importorskip("steering_vectors", reason="steering-vectors is not installed (requirements-peers.txt)")
    v = plain.random_direction(llama, seed=block)
    ids = plain.ids_of(llama, plain.LONG)
    hooks, before = plain.count_hooks(llama.model), plain.residual_stream(llama, ids)
    theirs = peer.SteeringVector({block: torch.from_numpy(by_block(v)[block])})
    with theirs.apply(llama.model):
        steered = plain.residual_stream(llama, ids)
    assert torch.equal(steered[block], before[block] + v.vectors[block])
    assert torch.equal(steered, _steered_by_us(llama, v, block, ids))
    assert plain.count_hooks(llama.model) == hooks


def test_a_layer_dict_of_steering_vectors_is_read_as_it_is():
    peer = pytest.importorskip("steering_vectors", reason="steering-vectors is not installed (requirements-peers.txt)")
    v = example()
    theirs = peer.SteeringVector({block: torch.from_numpy(vector) for block, vector in by_block(v).items()})
    found = from_blocks(theirs.layer_activations)
    assert np.stack([found.vectors[block] for block in range(4)]).tobytes() == v.vectors.numpy().tobytes()


@pytest.mark.parametrize("block", range(1, tiny.LAYERS))
def test_repeng_steering_with_our_gguf_changes_the_model_as_our_own_hook_does(repeng, llama, tmp_path, block):
    v = plain.random_direction(llama, seed=block)
    export_gguf(v, tmp_path / "v.gguf", "llama")
    ids = plain.ids_of(llama, plain.LONG)
    ours = _steered_by_us(llama, v, block, ids)
    theirs = tiny.build("Llama")
    repeng.ControlModel(theirs.model, [block]).set_control(repeng.ControlVector.import_gguf(tmp_path / "v.gguf"))
    torch.testing.assert_close(plain.residual_stream(theirs, ids)[: block + 1], ours[: block + 1], rtol=0, atol=0)
