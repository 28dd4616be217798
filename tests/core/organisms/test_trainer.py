"""Checkpoints: one that did not reach the disk whole is passed over, said so, and nothing of the result changes."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path

import pytest

from core.organisms.trainer import latest_checkpoint
from core.organisms.training import train_loaded
from tests.core.organisms.test_recipes_training import DATA, RECIPE, STEPS, fresh, work_folders

STOPPED = 7  # it is asked for there, and saves at 8; the checkpoint before is of step 6


def damage_of(file: Path, how: str) -> None:
    data = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "half": data[: len(data) // 2], "zeros": bytes(len(data))}[how])


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The cache of a run that was stopped, and the hash of the organism that it would have made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("whole")))
        whole = train_loaded(fresh(), DATA, RECIPE)
        assert whole is not None
        cache = tmp_path_factory.mktemp("stopped")
        patch.setenv("TILLER_CACHE", str(cache))
        stop = threading.Event()
        train_loaded(fresh(), DATA, RECIPE, report=lambda progress: progress.step == STOPPED and stop.set(), stop=stop)
        return cache, whole.sha256


@pytest.fixture
def work(stopped: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work folder of a copy of that run."""
    shutil.copytree(stopped[0], tmp_path / "cache")
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path / "cache"))
    (found,) = work_folders()
    assert sorted(path.name for path in found.iterdir()) == ["checkpoint-6", "checkpoint-8"]
    return found


def resumed() -> tuple[list[int], str]:
    """Steps of going on, and the hash of what it made."""
    seen: list[int] = []
    organism = train_loaded(fresh(), DATA, RECIPE, report=lambda progress: seen.append(progress.step))
    assert organism is not None
    return seen, organism.sha256


FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


@pytest.mark.parametrize("how", ["empty", "half", "zeros", "gone"])
@pytest.mark.parametrize("file", FILES)
def test_a_checkpoint_with_a_damaged_file_is_passed_over_and_the_log_says_so(
    work: Path, caplog: pytest.LogCaptureFixture, file: str, how: str
) -> None:
    damage_of(work / "checkpoint-8" / file, how)
    assert latest_checkpoint(work) == str(work / "checkpoint-6")
    assert caplog.messages == ["The checkpoint of step 8 is damaged; going on from step 6."]
    assert not (work / "checkpoint-8").exists()


def test_training_goes_on_from_the_last_whole_checkpoint_to_the_same_bytes(work: Path, stopped) -> None:
    damage_of(work / "checkpoint-8" / "optimizer.pt", "half")
    damage_of(work / "checkpoint-8" / "rng_state.pth", "empty")
    assert resumed() == (list(range(7, STEPS + 1)), stopped[1])


def test_without_a_whole_checkpoint_training_starts_over_and_says_so(
    work: Path, stopped, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (6, 8):
        damage_of(work / f"checkpoint-{step}" / "scheduler.pt", "empty")
    with caplog.at_level(logging.WARNING, "core.organisms.trainer"):
        assert resumed() == (list(range(1, STEPS + 1)), stopped[1])
    assert "The checkpoint of step 8 and of step 6 is damaged; starting over." in caplog.messages


def test_a_whole_checkpoint_is_taken_without_a_word(work: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert latest_checkpoint(work) == str(work / "checkpoint-8")
    assert caplog.messages == [] and (work / "checkpoint-6").exists()


@pytest.mark.parametrize("offset", [-3600.0, 3600.0], ids=["back", "ahead"])
def test_the_newest_checkpoints_stay_though_the_clock_was_set_while_training(work: Path, offset: float) -> None:
    """Those of before the change look newer, or older, than what is saved from now on."""
    for folder in work.iterdir():
        times = folder.stat().st_mtime - offset
        os.utime(folder, (times, times))
    stop = threading.Event()
    train_loaded(fresh(), DATA, RECIPE, report=lambda progress: progress.step == 9 and stop.set(), stop=stop)
    assert sorted(path.name for path in work.iterdir()) == ["checkpoint-10", "checkpoint-9"]
