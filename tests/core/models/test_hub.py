"""Claims about the hub. The real client talks to a hub of two files on this machine."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import traceback
from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import errors
from safetensors.numpy import save

from core.errors import BadInput, ModelUnavailable, OutOfSpace, TillerError
from core.models import hub, sources
from core.models.catalog import HubSource, ModelSpec
from core.models.download import Stopped

COMMIT = "c" * 40
REPO = "owner/tiny"
API = f"/api/models/{REPO}"
WEIGHTS = save({"w": np.frombuffer(random.Random(2).randbytes(300_000), np.uint8)})
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "consolidated.safetensors": b"the same once more",
    "pytorch_model.bin": b"a pickle",
    "modeling_tiny.py": b"raise SystemExit",
    "onnx/model.json": b"{}",
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
}


@pytest.fixture
def spec(server, cache, tmp_path, monkeypatch) -> ModelSpec:
    """A repository on the local server."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_topsecret")
    serve(server, FILES)
    return ModelSpec(REPO, REPO, "llama", None, HubSource(REPO), "none", download_bytes=300_000)


def serve(server, files: dict[str, bytes]) -> None:
    server.files.clear()
    siblings, tree = [], []
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        big = name.endswith((".safetensors", ".bin"))
        lfs = {"sha256": digest, "size": len(data), "pointerSize": 130} if big else None
        siblings.append({"rfilename": name, "size": len(data), "blobId": "0" * 40, "lfs": lfs})
        listed = {"lfs": {"oid": digest, "size": len(data), "pointerSize": 130}} if big else {}
        tree.append({"type": "file", "path": name, "size": len(data), "oid": "0" * 40, **listed})
        path = f"/{REPO}/resolve/{COMMIT}/{name}"
        server.files[path] = data
        server.headers[path] = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"'}
    about = json.dumps({"id": REPO, "sha": COMMIT, "siblings": siblings}).encode()
    server.files[API] = server.files[f"{API}/revision/main"] = about
    server.files[f"{API}/tree/{COMMIT}"] = json.dumps(tree).encode()
    for path in (API, f"{API}/revision/main", f"{API}/tree/{COMMIT}"):
        server.headers[path] = {"Content-Type": "application/json"}


def test_only_what_belongs_to_the_model_is_fetched(spec, server):
    folder = sources.fetch(spec)
    expected = ["chat_template.jinja", "config.json", "model.safetensors", "source.json", "tokenizer.json"]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == expected
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not any(path.endswith((".bin", ".py")) for path, _ in server.seen)


def test_the_commit_is_recorded_and_no_second_copy_kept(spec, tmp_path):
    record = json.loads((sources.fetch(spec) / "source.json").read_text())
    assert record["commit"] == COMMIT
    assert record["checksums"]["model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest() == record["fingerprint"]
    assert not [path for path in (tmp_path / "hub-cache").rglob("*") if path.is_file() and path.stat().st_size > 1000]


def test_a_fetched_repository_needs_no_hub_again(spec, server):
    folder = sources.fetch(spec)
    server.seen.clear()
    assert sources.fetch(spec) == folder
    assert server.seen == []


def test_progress_is_in_bytes_and_reaches_the_total(spec):
    seen: list[sources.FetchProgress] = []
    sources.fetch(spec, seen.append)
    steps = [step for step in seen if step.stage == "downloading"]
    done = [step.done_bytes for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1].total_bytes == sum(len(data) for name, data in FILES.items() if hub.wanted(name))


def test_stop_ends_a_hub_download_and_leaves_nothing(spec, cache):
    stop = threading.Event()
    done: list[int] = []

    def on_progress(step: sources.FetchProgress) -> None:
        if step.stage == "downloading":
            done.append(step.done_bytes)
            stop.set()

    with pytest.raises(Stopped):
        sources.fetch(spec, on_progress, stop)
    assert len(done) == 1, "not one more piece after the stop"
    assert [path.name for path in (cache / "models").iterdir() if not path.name.endswith(".lock")] == []


def test_pickled_weights_are_refused_before_the_download(spec, server):
    serve(server, {name: data for name, data in FILES.items() if not name.endswith(".safetensors")})
    with pytest.raises(ModelUnavailable, match="no safetensors"):
        sources.fetch(spec)
    assert [path for path, _ in server.seen if "/resolve/" in path] == []


def test_an_adapter_is_not_a_model(spec, server):
    serve(server, {"adapter_config.json": b"{}", "adapter_model.safetensors": WEIGHTS})
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        sources.fetch(spec)


def test_changed_bytes_are_noticed_and_deleted(spec, server, cache):
    server.files[f"/{REPO}/resolve/{COMMIT}/model.safetensors"] = WEIGHTS[::-1]
    with pytest.raises(ModelUnavailable, match="arrived damaged"):
        sources.fetch(spec)
    assert [path.name for path in (cache / "models").iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "GatedRepo", "gated.*licence.*HF_TOKEN"),
        (404, "RevisionNotFound", "has no revision 'v9'"),
        (404, "RepoNotFound", "does not exist.*spelling"),
        (401, "", "HF_TOKEN"),
        (500, "", "error 500.*later"),
    ],
)
def test_what_the_hub_answers_becomes_a_sentence_and_an_action(spec, server, cache, status, code, message):
    server.errors[f"{API}/revision/v9"] = (status, {"X-Error-Code": code} if code else {})
    asked = ModelSpec(f"{REPO}@v9", REPO, "llama", None, HubSource(REPO, "v9"), "none")
    with pytest.raises(ModelUnavailable, match=message) as caught:
        sources.fetch(asked)
    assert "hf_topsecret" not in "".join(traceback.format_exception(caught.value))


def test_a_gated_repository_whose_list_is_public_still_says_what_to_do(spec, server):
    for name in FILES:
        server.errors[f"/{REPO}/resolve/{COMMIT}/{name}"] = (
            403,
            {"X-Error-Code": "GatedRepo", "X-Repo-Commit": COMMIT},
        )
    with pytest.raises(ModelUnavailable, match="Accept its licence"):
        sources.fetch(spec)


@pytest.fixture
def offline(spec, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def test_offline_says_so(spec, offline):
    with pytest.raises(ModelUnavailable, match="network connection"):
        sources.fetch(spec)


def test_offline_the_cache_of_the_hub_library_is_used(spec, offline, tmp_path):
    kept = tmp_path / "hub-cache" / "models--owner--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(COMMIT)
    (kept / "blobs").mkdir()
    (kept / "snapshots" / COMMIT).mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (kept / "blobs" / name).write_bytes(FILES[name])
        (kept / "snapshots" / COMMIT / name).symlink_to(kept / "blobs" / name)
    folder = sources.fetch(spec)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "source.json"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "model.safetensors").is_symlink()
    assert json.loads((folder / "source.json").read_text())["commit"] == COMMIT


def response(status: int) -> httpx2.Response:
    return httpx2.Response(
        status, request=httpx2.Request("GET", "http://hub/x", headers={"authorization": "hf_topsecret"})
    )


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (errors.GatedRepoError("hf_topsecret", response=response(403)), ModelUnavailable, "Accept its licence"),
        (errors.RepositoryNotFoundError("hf_topsecret", response=response(404)), ModelUnavailable, "does not exist"),
        (errors.RevisionNotFoundError("hf_topsecret", response=response(404)), ModelUnavailable, "has no revision"),
        (errors.HfHubHTTPError("hf_topsecret", response=response(429)), ModelUnavailable, "too many requests"),
        (errors.LocalEntryNotFoundError("hf_topsecret"), ModelUnavailable, "network connection"),
        (httpx2.LocalProtocolError("Illegal header value b'Bearer hf_topsecret'"), ModelUnavailable, "again"),
        (errors.HFValidationError("hf_topsecret"), BadInput, "owner/name"),
        (OSError(28, "hf_topsecret"), OutOfSpace, "disk is full"),
        (errors.XetDownloadError("No space left on device hf_topsecret"), OutOfSpace, "disk is full"),
        (OSError("Consistency check failed hf_topsecret"), ModelUnavailable, "Try again"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_no_error_shows_the_token(error, kind, message):
    with pytest.raises(kind, match=message) as caught, hub.clear_errors(HubSource(REPO, "v1")):
        raise error
    assert isinstance(caught.value, TillerError)
    assert "hf_topsecret" not in str(caught.value)
    if kind is not OutOfSpace:
        assert "hf_topsecret" not in "".join(traceback.format_exception(caught.value))


def test_a_fault_of_ours_is_not_blamed_on_the_hub():
    with pytest.raises(KeyError), hub.clear_errors(HubSource(REPO)):
        raise KeyError("bug")


def test_only_top_level_files_of_the_model_are_wanted():
    assert [name for name in FILES if hub.wanted(name)] == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
    ]
    assert hub.wanted("tokenizer.model")
    assert hub.wanted(Path("merges.txt").name)
