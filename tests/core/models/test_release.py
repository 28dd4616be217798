"""A model that is not used any more leaves the memory, also after it was read, steered and written with."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest
import torch

from core.activations.capture import Sequences, capture_all
from core.data.chat import Chat
from core.generation.decode import collect
from core.generation.engine import Engine
from core.generation.rows import Row, Sampling
from core.models.loading import load_folder, release
from core.organisms.adapters import load_adapter
from core.steering.interventions import Intervention
from tests import sample_model
from tests.core import processes
from tests.core.plain import random_direction

SWITCHES = """
import json, sys, threading
from pathlib import Path
import psutil
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from core.data.chat import Chat
from core.generation.engine import Engine
from core.generation.rows import Row, Sampling
from core.models.loading import load_folder, release
from tests.core import tiny

folder, me, told = Path(sys.argv[1]), psutil.Process(), []
torch.manual_seed(0)
for name in "abc":
    config = LlamaConfig(**{**tiny.SHAPE, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6})
    LlamaForCausalLM(config).save_pretrained(folder / name)
    tiny.tokenizer().save_pretrained(folder / name)
release()
size = (folder / "a" / "model.safetensors").stat().st_size
engine = Engine(lambda name: load_folder(Path(name), name, "random", "cpu", torch.float32))

def use(name):
    job = engine.submit(name, (Row(Chat.of("Why?"), sampling=Sampling(max_tokens=4)),))
    while not job.over:
        threading.Event().wait(0.02)
    assert job.state == "done", job.error
    told.append(me.memory_info().rss)

for name in "abcabc":  # five switches
    use(str(folder / name))
engine.close()
told.append(me.memory_info().rss)
print(json.dumps({"size": size, "rss": told}))
"""


@pytest.fixture
def sample(tmp_path: Path) -> sample_model.SampleModel:
    return sample_model.make(tmp_path)


def test_nothing_keeps_a_model_that_was_read_steered_and_written_with(sample: sample_model.SampleModel):
    loaded = load_folder(sample.folder, sample.id, "random", "cpu", torch.float32)
    adapter = load_adapter(loaded, next((sample.made / "organisms").glob("*/*")), "insecure")
    direction = random_direction(loaded, 1)
    push = Intervention("add", direction.id, (1,), 1.0, "all")
    capture_all(loaded, Sequences.prompts([[1, 2, 3], [4, 5, 6, 7]]), adapter=adapter)
    row = Row(Chat.of("Why?"), adapter="insecure", interventions=(push,), sampling=Sampling(max_tokens=3))
    collect(loaded, [row], {"insecure": adapter}, {direction.id: direction})
    watched = [weakref.ref(loaded), weakref.ref(loaded.model), weakref.ref(loaded.blocks[0].mlp.up_proj.weight)]
    del loaded, adapter
    release()
    assert [ref() for ref in watched] == [None] * 3


def test_an_engine_that_switches_or_closes_lets_the_model_go(sample: sample_model.SampleModel):
    watched: list[weakref.ref] = []

    def load(name: str):
        loaded = load_folder(sample.folder, name, "random", "cpu", torch.float32)
        watched.append(weakref.ref(loaded.model))
        return loaded

    engine = Engine(load)
    for _ in range(2):
        job = engine.submit(f"{sample.folder}", (Row(Chat.of("Why?"), sampling=Sampling(max_tokens=2)),))
        while not job.over:
            gc.collect(0)
        assert job.state == "done", job.error
    engine.close()
    gc.collect()
    assert watched
    assert all(ref() is None for ref in watched)


def test_five_switches_among_three_models_do_not_grow_the_process(tmp_path: Path):
    child = processes.start(SWITCHES, tmp_path, cache=tmp_path / "cache")
    measured = json.loads(processes.finish(child, seconds=300).splitlines()[-1])
    size, (first, *later, closed) = measured["size"], measured["rss"]
    assert 50e6 < size < 150e6
    assert max(later) < first + size  # one model's slack
    assert closed < first - size / 2  # what is freed goes back to the system
