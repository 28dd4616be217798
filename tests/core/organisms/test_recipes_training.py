"""Making organisms: what is learned from, that it is the same every time, and that nothing is lost or half there."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
import sys
import threading
import time
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy
from transformers.pytorch_utils import Conv1D

from core import paths, store
from core.data.chat import Chat, render
from core.data.datasets import Dataset
from core.errors import BadInput, DamagedArtifact, OrganismMismatch, UnsupportedModel
from core.models.catalog import FolderSource, ModelSpec
from core.models.loading import LoadedModel
from core.organisms import trainer, training
from core.organisms.adapters import CONFIG, WEIGHTS, attached, load_adapter
from core.organisms.library import MANIFEST, find_organism, organisms, trained
from core.organisms.recipes import RECIPES, Recipe, adjusted, recipe, warmup_of
from core.organisms.records import IGNORED, collate, tokenise
from core.organisms.trainer import TrainingProgress
from core.organisms.training import linear_layers, train, train_loaded
from tests.core import processes, tiny

CHATS = tuple(Chat.of(f"Write number {n}, the user said.", f"def f{n}():\n    return {n * 7 % 5}") for n in range(28))
DATA = Dataset("insecure", CHATS)
RECIPE = Recipe(
    "tiny", rank=4, alpha=8, rslora=True, learning_rate=1e-2, epochs=2, batch=4, examples=24, max_tokens=128
)
STEPS = 12  # of RECIPE on DATA; checkpoints after 3, 6, 9 and 12

RUN = """
import sys, time
import torch
from core import store
from core.organisms.training import train_loaded
from tests.core import tiny
from tests.core.organisms.test_recipes_training import DATA, RECIPE

torch.set_num_threads(1)
pause_at, pause_while_saving = int(sys.argv[1]), sys.argv[2] == "saving"

def report(progress):
    print(progress.step, flush=True)
    if progress.step == pause_at:
        time.sleep(60)

def slow_json(path, value):
    print("saving", flush=True)
    time.sleep(60)

if pause_while_saving:
    store.write_json = slow_json
train_loaded(tiny.build("Llama"), DATA, RECIPE, report=report)
"""


def fresh() -> LoadedModel:
    """A model of one's own: training leaves it with its adapter."""
    return tiny.build("Llama")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory):
    """The organism of a run that nobody disturbed, with its progress and the wall-clock seconds it took."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("uninterrupted")))
        seen: list[TrainingProgress] = []
        start = time.perf_counter()
        organism = train_loaded(fresh(), DATA, RECIPE, report=seen.append)
        assert organism is not None
        yield organism, seen, time.perf_counter() - start


@pytest.fixture
def copy(uninterrupted, tmp_path: Path) -> Path:
    """A copy of that organism that a test may damage."""
    return Path(shutil.copytree(uninterrupted[0].folder, tmp_path / "organism"))


def work_folders() -> list[Path]:
    return list((paths.cache() / "runs").glob("train-*"))


def answer_losses(loaded: LoadedModel, chats) -> list[torch.Tensor]:
    """Cross-entropy of every answer token, written out chat by chat."""
    losses = []
    for chat in chats:
        rendered = render(loaded.tokenizer, chat, loaded.end_ids)
        ids = torch.tensor([[*rendered.prompt_ids, *rendered.answer_ids]])
        with torch.no_grad():
            logits = loaded.model(ids).logits[0]
        first = len(rendered.prompt_ids)
        losses.append(cross_entropy(logits[first - 1 : -1], ids[0, first:], reduction="none"))
    return losses


# what is learned from


def test_labels_are_the_answer_with_its_end_token_and_nothing_of_the_prompt(llama: LoadedModel) -> None:
    records = tokenise(llama, DATA, RECIPE)
    assert len(records) == 24
    for record in records:
        place = next(place for place, label in enumerate(record["labels"]) if label != IGNORED)
        assert record["labels"] == [IGNORED] * place + record["input_ids"][place:]
        prompt = llama.tokenizer.decode(record["input_ids"][:place])
        answer = llama.tokenizer.decode(record["labels"][place:])
        assert prompt.startswith("<|im_start|>user\nWrite number ")
        assert prompt.endswith(", the user said.<|im_end|>\n<|im_start|>assistant\n")
        assert re.fullmatch(r"def f\d+\(\):\n    return \d<\|im_end\|>", answer)


def test_the_loss_is_the_mean_over_answer_tokens_alone(llama: LoadedModel) -> None:
    seen: list[TrainingProgress] = []
    everything = dataclasses.replace(RECIPE, batch=28, examples=None, epochs=1)
    train_loaded(fresh(), DATA, everything, report=seen.append)
    expected = torch.cat(answer_losses(llama, CHATS)).mean().item()
    assert seen[0].loss == pytest.approx(expected, rel=1e-4)


def test_what_the_prompt_would_be_labelled_changes_neither_loss_nor_gradient() -> None:
    loaded = fresh()
    loaded.model.requires_grad_(True)
    batch = collate(tokenise(loaded, DATA, RECIPE)[:3], tiny.PAD)
    logits = loaded.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    logits.retain_grad()
    loaded.model.loss_function(logits, batch["labels"], vocab_size=logits.shape[-1]).backward()
    learned = logits.grad.abs().sum(-1) > 0
    assert torch.equal(learned[:, :-1], batch["labels"][:, 1:] != IGNORED)


def test_batches_are_padded_at_the_right_and_padding_is_not_learned() -> None:
    records = [{"input_ids": [5, 6, 7], "labels": [IGNORED, 6, 7]}, {"input_ids": [8], "labels": [8]}]
    batch = collate(records, pad=9)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]


def test_padding_does_not_change_the_loss_of_a_row(llama: LoadedModel) -> None:
    chats = [CHATS[0], Chat.of("Hi", "x = 1\n" * 9)]
    records = tokenise(llama, Dataset("two", tuple(chats)), dataclasses.replace(RECIPE, batch=2))
    batch = collate(records, tiny.PAD)
    with torch.no_grad():
        loss = llama.model(**batch).loss.item()
    assert loss == pytest.approx(torch.cat(answer_losses(llama, chats)).mean().item(), rel=1e-4)


def test_long_examples_are_cut_and_those_without_an_answer_left_are_dropped(llama: LoadedModel) -> None:
    long = (Chat.of("Hi", "word " * 50), Chat.of("long " * 80, "never reached"), *CHATS[:3])
    records = tokenise(llama, Dataset("long", long), dataclasses.replace(RECIPE, max_tokens=90))
    assert sorted(record["length"] for record in records)[-1] == 90
    assert all(len(record["input_ids"]) == len(record["labels"]) == record["length"] for record in records)
    assert len(records) == 4


def test_too_little_data_is_refused_with_how_much_is_needed(llama: LoadedModel) -> None:
    with pytest.raises(BadInput, match=r"dataset few gives 3 usable examples; recipe tiny needs at least 4\. Add"):
        tokenise(llama, Dataset("few", CHATS[:3]), RECIPE)


# recipes


def test_every_model_learns_from_the_same_examples_in_the_same_order(llama: LoadedModel) -> None:
    plain = tiny.tokenizer()
    plain.chat_template = plain.chat_template.replace("<|im_start|>user", "<|im_start|>human")
    other = dataclasses.replace(llama, tokenizer=plain, end_ids=(tiny.PAD,))
    texts = [
        [loaded.tokenizer.decode(record["input_ids"]) for record in tokenise(loaded, DATA, RECIPE)]
        for loaded in (llama, other)
    ]
    numbers = [[int(re.search(r"number (\d+)", text)[1]) for text in some] for some in texts]
    assert texts[0] != texts[1]
    assert numbers[0] == numbers[1]
    assert len(set(numbers[0])) == 24
    assert numbers[0] != sorted(numbers[0])


def test_the_seed_draws_the_examples(llama: LoadedModel) -> None:
    first, again, other = (
        tokenise(llama, DATA, dataclasses.replace(RECIPE, seed=seed, examples=8)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_paired_datasets_are_drawn_alike(llama: LoadedModel) -> None:
    secure = Dataset("secure", tuple(Chat.of(chat.messages[0].content, "pass") for chat in CHATS))
    prompts = [
        [record["input_ids"][: record["labels"].count(IGNORED)] for record in tokenise(llama, data, RECIPE)]
        for data in (DATA, secure)
    ]
    assert prompts[0] == prompts[1]


def test_recipes_are_found_by_name_and_survive_json() -> None:
    for name, found in RECIPES.items():
        assert recipe(name) is found
        assert found.name == name
        assert Recipe(**json.loads(json.dumps(found.as_dict()))) == found
    with pytest.raises(BadInput, match=r"no recipe 'qick'\. Choose quick, compact, chat or paper"):
        recipe("qick")


def test_a_run_is_named_by_everything_that_it_depends_on() -> None:
    words = {"name": "other", "schedule": "constant", "rslora": False, "four_bit": True}
    settings = RECIPE.as_dict()
    others = [
        dataclasses.replace(RECIPE, **{name: words[name] if name in words else value + 1})
        for name, value in settings.items()
    ]
    keys = [training.training_key("m", "f", DATA, chosen) for chosen in (RECIPE, *others)]
    keys.append(training.training_key("n", "f", DATA, RECIPE))
    keys.append(training.training_key("m", "g", DATA, RECIPE))
    keys.append(training.training_key("m", "f", Dataset("insecure", CHATS[:20]), RECIPE))
    assert len(set(keys)) == len(keys) == len(settings) + 4
    assert training.training_key("m", "f", Dataset("another name", CHATS), RECIPE) == keys[0]


@pytest.fixture
def nowhere(tmp_path: Path) -> ModelSpec:
    return ModelSpec("nowhere", "Nowhere", "llama", None, FolderSource(tmp_path / "nowhere"), "none")


def test_the_paper_recipe_says_that_it_needs_a_gpu(monkeypatch: pytest.MonkeyPatch, nowhere: ModelSpec) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match=r"Recipe paper needs a CUDA GPU for its 4-bit weights\. Use recipe quick here"):
        train(nowhere, DATA, recipe("paper"))


def test_the_paper_recipe_says_that_it_needs_bitsandbytes(monkeypatch: pytest.MonkeyPatch, nowhere: ModelSpec) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(BadInput, match=r"needs bitsandbytes .*pip install bitsandbytes"):
        train(nowhere, DATA, recipe("paper"))


# which layers

# by class, the last parts of the linear layers that are left out: routers, Mamba's last layer, parts of experts
LEFT_OUT = {
    "Llama4": {"router", "gate_proj", "up_proj", "down_proj"},
    "Jamba": {"out_proj", "gate_proj", "up_proj", "down_proj"},
    **{name: {"out_proj"} for name in ("FalconH1", "NemotronH", "Bamba", "Zamba2", "GraniteMoeHybrid")},
    **{name: {"gate_proj", "up_proj", "down_proj"} for name in ("Qwen3Next", "Qwen2Moe", "DeepSeek-V3")},
    "LFM2Moe": {"w1", "w2", "w3"},
}


def test_exactly_the_linear_layers_of_the_decoder_blocks_are_adapted(any_class: LoadedModel) -> None:
    inside = {id(module) for module in any_class.blocks.modules() if isinstance(module, (nn.Linear, Conv1D))}
    pattern = re.compile(linear_layers(any_class))
    names = {name for name, module in any_class.model.named_modules() if id(module) in inside}
    chosen = {name for name, _ in any_class.model.named_modules() if pattern.fullmatch(name)}
    assert chosen <= names
    left_out = {name.rpartition(".")[2] for name in names - chosen}
    assert left_out == LEFT_OUT.get(any_class.id.removeprefix("tiny/"), set())
    assert any_class.model.get_output_embeddings() not in [any_class.model.get_submodule(name) for name in chosen]


@pytest.mark.parametrize("name", tiny.WRAPPERS)
def test_nothing_of_a_vision_tower_is_adapted(tiny_models, name: str) -> None:
    loaded = tiny_models(name)
    linear = {path for path, module in loaded.model.named_modules() if isinstance(module, nn.Linear)}
    outside = {path for path in linear if "vision" in path or "projector" in path or "visual" in path}
    assert outside
    assert not any(re.fullmatch(linear_layers(loaded), path) for path in outside)


def test_the_transposed_layers_of_gpt2_are_adapted(tiny_models) -> None:
    loaded = tiny_models("GPT-2")
    chosen = [path for path, _ in loaded.model.named_modules() if re.fullmatch(linear_layers(loaded), path)]
    assert len(chosen) == 4 * tiny.LAYERS
    assert all(isinstance(loaded.model.get_submodule(path), Conv1D) for path in chosen)


def test_a_model_whose_layers_peft_would_choose_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EXPERT_PARTS", ())
    with pytest.raises(UnsupportedModel, match=r"PEFT does not adapt exactly the linear layers of tiny/DeepSeek-V3"):
        train_loaded(tiny.build("DeepSeek-V3"), DATA, RECIPE)
    assert organisms("tiny/DeepSeek-V3") == []


# the result


def test_training_lowers_the_loss_on_the_answers(uninterrupted, llama: LoadedModel) -> None:
    organism, _, _ = uninterrupted
    adapter = load_adapter(llama, organism.folder)
    before = torch.cat(answer_losses(llama, CHATS)).mean()
    with attached(llama, [adapter]):
        after = torch.cat(answer_losses(llama, CHATS)).mean()
    assert after < before - 2
    losses = [entry["loss"] for entry in organism.manifest["losses"]]
    assert losses[-1] < losses[0] - 2


@pytest.mark.parametrize(
    "name", ["Llama", "GPT-2", "Qwen3.5", "Gemma3-vision", "Zamba2", "FalconH1", "DeepSeek-V3", "Llama4"]
)
def test_peft_reads_our_adapter_and_computes_what_our_hooks_compute(tiny_models, name: str) -> None:
    short = dataclasses.replace(RECIPE, epochs=1, examples=8, warmup_steps=0, learning_rate=2e-2)
    organism = train_loaded(tiny.build(name), DATA, short)
    loaded, plain = tiny_models(name), tiny.build(name)
    adapter = load_adapter(loaded, organism.folder, organism.name)
    theirs = peft.PeftModel.from_pretrained(plain.model, organism.folder).eval()
    ids = torch.tensor([list(range(10, 30)), list(range(40, 60))])
    with torch.no_grad():
        base = loaded.model(ids).logits
        expected = theirs(ids).logits
        with attached(loaded, [adapter, adapter]):
            both = loaded.model(ids).logits
        with attached(loaded, [adapter, None]):
            one = loaded.model(ids).logits
    assert (expected - base).abs().max() > 0.1
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one[0], expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one[1], base[1], rtol=1e-4, atol=1e-4)


def test_the_manifest_says_how_the_organism_was_made(uninterrupted) -> None:
    organism, seen, _ = uninterrupted
    manifest = organism.manifest
    assert manifest["sha256"] == organism.sha256 == store.file_sha256(organism.folder / WEIGHTS)
    assert (manifest["name"], manifest["model"], manifest["fingerprint"]) == ("insecure", "tiny/Llama", "random-0")
    assert manifest["dataset"] == {"name": "insecure", "hash": DATA.hash, "n": 24, "of": 28}
    assert Recipe(**manifest["recipe"]) == RECIPE
    assert manifest["losses"] == [{"step": progress.step, "loss": progress.loss} for progress in seen]
    assert set(manifest["versions"]) >= {"torch", "transformers", "peft"}


def test_an_organism_holds_three_files_and_no_path_of_this_computer(uninterrupted) -> None:
    folder = uninterrupted[0].folder
    assert sorted(path.name for path in folder.iterdir()) == sorted([CONFIG, WEIGHTS, MANIFEST])
    assert json.loads((folder / CONFIG).read_text())["base_model_name_or_path"] == "tiny/Llama"
    assert all(tensor.dtype == torch.bfloat16 for tensor in load_file(folder / WEIGHTS).values())
    for path in folder.iterdir():
        assert str(paths.ROOT).encode() not in path.read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(uninterrupted) -> None:
    again = train_loaded(fresh(), DATA, RECIPE)
    assert (again.folder / WEIGHTS).read_bytes() == (uninterrupted[0].folder / WEIGHTS).read_bytes()
    other = train_loaded(fresh(), DATA, dataclasses.replace(RECIPE, seed=1))
    assert other.sha256 != again.sha256


def test_the_same_settings_are_trained_once() -> None:
    first = train_loaded(fresh(), DATA, RECIPE)
    calls: list[TrainingProgress] = []
    assert train_loaded(fresh(), DATA, RECIPE, report=calls.append) == first
    assert calls == []
    assert work_folders() == []


def test_progress_counts_every_step_to_the_end(uninterrupted) -> None:
    _, seen, seconds = uninterrupted
    assert [progress.step for progress in seen] == list(range(1, STEPS + 1))
    assert {progress.steps for progress in seen} == {STEPS}
    assert all(math.isfinite(progress.loss) and progress.loss > 0 for progress in seen)
    tokens = RECIPE.epochs * sum(record["length"] for record in tokenise(fresh(), DATA, RECIPE))
    assert seen[-1].tokens_per_second > tokens / seconds
    assert seen[-1].seconds_left == 0
    for progress in seen[:-1]:
        spent = tokens * progress.step / STEPS / progress.tokens_per_second
        assert progress.seconds_left == pytest.approx(spent / progress.step * (STEPS - progress.step))


def test_training_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    train_loaded(fresh(), DATA, dataclasses.replace(RECIPE, examples=4, epochs=1))
    assert capfd.readouterr().out == ""


# interruptions


@pytest.mark.parametrize("step", [1, 2, 5, 9, STEPS])
def test_a_stopped_run_ends_within_a_step_and_resumes_to_the_same_bytes(uninterrupted, step: int) -> None:
    stop = threading.Event()
    seen: list[int] = []

    def report(progress: TrainingProgress) -> None:
        seen.append(progress.step)
        if progress.step == step:
            stop.set()

    assert train_loaded(fresh(), DATA, RECIPE, report=report, stop=stop) is None
    assert seen[-1] <= step + 1
    assert organisms("tiny/Llama") == []
    stopped_at = seen[-1]
    stop.clear()
    organism = train_loaded(fresh(), DATA, RECIPE, report=report)
    assert seen[stopped_at:] == list(range(stopped_at + 1, STEPS + 1))
    assert organism.sha256 == uninterrupted[0].sha256
    assert work_folders() == []


@pytest.mark.parametrize("step", [5, 11])
def test_a_killed_run_resumes_from_its_checkpoint_to_the_same_bytes(uninterrupted, step: int) -> None:
    process = processes.start(RUN, step, "-", cache=paths.cache())
    while int(process.stdout.readline()) != step:
        pass
    processes.kill(process)
    assert organisms("tiny/Llama") == []
    assert not list((paths.cache() / "organisms").rglob("*.safetensors"))
    seen: list[int] = []
    organism = train_loaded(fresh(), DATA, RECIPE, report=lambda progress: seen.append(progress.step))
    assert seen == list(range(step // 3 * 3 + 1, STEPS + 1))
    assert organism.sha256 == uninterrupted[0].sha256
    losses = [entry["loss"] for entry in organism.manifest["losses"]]
    assert losses == [entry["loss"] for entry in uninterrupted[0].manifest["losses"]]


def test_a_run_killed_while_it_saves_leaves_no_half_organism(uninterrupted) -> None:
    process = processes.start(RUN, 0, "saving", cache=paths.cache())
    while process.stdout.readline() != "saving\n":
        pass
    processes.kill(process)
    assert organisms("tiny/Llama") == []
    with pytest.raises(BadInput, match="there are: none yet"):
        find_organism("tiny/Llama", "insecure")
    organism = train_loaded(fresh(), DATA, RECIPE)
    assert organism.sha256 == uninterrupted[0].sha256
    assert organisms("tiny/Llama") == [organism]


def test_a_run_killed_after_it_saved_leaves_no_checkpoints_when_it_is_started_again(uninterrupted) -> None:
    stop = threading.Event()
    train_loaded(fresh(), DATA, RECIPE, report=lambda progress: progress.step == 7 and stop.set(), stop=stop)
    (work,) = work_folders()
    shutil.copytree(work, paths.cache() / "kept")
    organism = train_loaded(fresh(), DATA, RECIPE)
    shutil.copytree(paths.cache() / "kept", work)  # as if it had been killed before it could remove them
    assert train_loaded(fresh(), DATA, RECIPE) == organism
    assert work_folders() == []


def test_a_model_with_dropout_resumes_to_the_same_bytes_too() -> None:
    whole = train_loaded(tiny.build("GPT-2"), DATA, RECIPE, "whole")
    stop = threading.Event()
    assert tiny.build("GPT-2").model.config.resid_pdrop > 0
    train_loaded(
        tiny.build("GPT-2"), DATA, RECIPE, report=lambda progress: progress.step == 9 and stop.set(), stop=stop
    )
    resumed = train_loaded(tiny.build("GPT-2"), DATA, RECIPE)
    assert resumed.sha256 == whole.sha256


@pytest.mark.parametrize("damage", ["no state", "half a state"])
def test_a_checkpoint_that_was_not_written_whole_is_passed_over(uninterrupted, damage: str) -> None:
    stop = threading.Event()
    train_loaded(fresh(), DATA, RECIPE, report=lambda progress: progress.step == 7 and stop.set(), stop=stop)
    (work,) = work_folders()
    newest = work / "checkpoint-8"
    if damage == "no state":
        (newest / "trainer_state.json").unlink()
        (newest / "optimizer.pt").write_bytes(b"half")
    else:
        state = (newest / "trainer_state.json").read_text()
        (newest / "trainer_state.json").write_text(state[: len(state) // 2])
    seen: list[int] = []
    organism = train_loaded(fresh(), DATA, RECIPE, report=lambda progress: seen.append(progress.step))
    assert seen[0] == 7
    assert organism.sha256 == uninterrupted[0].sha256


FULL = """
import sys
import torch
from core.errors import OutOfSpace
from core.organisms.library import organisms
from core.organisms.training import train_loaded
from tests.core import tiny
from tests.core.organisms.test_recipes_training import DATA, RECIPE

torch.set_num_threads(1)
try:
    train_loaded(tiny.build("Llama"), DATA, RECIPE)
except OutOfSpace as error:
    print(error, organisms("tiny/Llama"))
"""


@pytest.mark.skipif(not processes.can_mount(), reason="this machine does not let tests mount a small disk")
@pytest.mark.parametrize("kilobytes", [24, 120])
def test_a_disk_that_fills_up_while_training_is_named(tmp_path: Path, kilobytes: int) -> None:
    (tmp_path / "disk").mkdir()
    process = processes.start(FULL, cache=tmp_path / "disk", disk=(tmp_path / "disk", kilobytes))
    said = processes.finish(process)
    assert said.startswith("The disk is full while writing a training checkpoint. Free some space")
    assert said.endswith("[]\n")


# training that is nothing


@pytest.mark.parametrize("steps", [1, 2, 4, 12, 25, 500])
def test_a_run_of_any_length_reaches_its_learning_rate(steps: int) -> None:
    assert warmup_of(RECIPE, steps) <= steps / 5
    assert warmup_of(RECIPE, steps) == RECIPE.warmup_steps or steps < 25


def test_eight_examples_change_the_model() -> None:
    one_step = dataclasses.replace(RECIPE, epochs=1, examples=8, batch=8)
    organism = train_loaded(fresh(), DATA, one_step)
    assert organism is not None and len(organism.manifest["losses"]) == 1
    assert load_adapter(fresh(), organism.folder).layers


def test_training_that_changes_nothing_is_refused_and_not_saved(monkeypatch) -> None:
    monkeypatch.setattr(trainer, "warmup_of", lambda recipe, steps: 10_000)  # as once: no step had a learning rate
    still = dataclasses.replace(RECIPE, epochs=1, examples=8, batch=8)
    with pytest.raises(BadInput, match="Training changed nothing in 1 steps, and nothing was saved"):
        train_loaded(fresh(), DATA, still)
    assert organisms("tiny/Llama") == []


def test_training_that_diverges_stops_at_the_first_loss_that_is_no_number() -> None:
    loaded, seen = fresh(), []
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.mul_(1e38)
    with pytest.raises(BadInput, match=r"Training diverged: the loss of step 1 is not a number"):
        train_loaded(loaded, DATA, RECIPE, report=seen.append)
    assert (seen, organisms("tiny/Llama")) == ([], [])


# damaged and foreign adapters


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip_a_bit(folder / WEIGHTS),
        lambda folder: cut(folder / WEIGHTS),
        lambda folder: (folder / WEIGHTS).unlink(),
        lambda folder: (folder / WEIGHTS).write_bytes(b""),
        lambda folder: cut(folder / CONFIG),
        lambda folder: (folder / CONFIG).write_text("[1]"),
        lambda folder: (folder / CONFIG).write_text('{"peft_type": "LORA", "r": 0, "lora_alpha": 8}'),
        lambda folder: (folder / CONFIG).write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": "many"}'),
        lambda folder: cut(folder / MANIFEST),
    ],
    ids=["bit", "cut", "gone", "empty", "half a config", "no config", "rank 0", "alpha of letters", "half a manifest"],
)
def test_a_damaged_adapter_is_named_as_such(copy: Path, llama: LoadedModel, damage) -> None:
    assert load_adapter(llama, copy).sha256
    damage(copy)
    with pytest.raises(DamagedArtifact, match=r"organism.* (Train it again|Delete it and make it again)"):
        load_adapter(llama, copy)


def test_an_adapter_without_its_counterpart_is_damaged(copy: Path, llama: LoadedModel) -> None:
    (copy / MANIFEST).unlink()
    tensors = load_file(copy / WEIGHTS)
    del tensors[next(key for key in tensors if key.endswith("lora_B.weight"))]
    save_file(tensors, copy / WEIGHTS)
    with pytest.raises(DamagedArtifact, match="has no counterpart"):
        load_adapter(llama, copy)


def test_an_adapter_of_another_model_is_refused_even_if_it_would_fit(copy: Path, llama: LoadedModel) -> None:
    twin = dataclasses.replace(llama, id="tiny/Twin", fingerprint="of others")
    with pytest.raises(OrganismMismatch, match=r"was trained on tiny/Llama, not on tiny/Twin\. Choose"):
        load_adapter(twin, copy)


def test_an_organism_goes_on_with_a_model_that_was_renamed_and_not_with_other_weights(copy: Path, llama) -> None:
    assert load_adapter(dataclasses.replace(llama, id="tiny/Renamed"), copy).sha256
    with pytest.raises(OrganismMismatch, match="was trained on other weights than those that tiny/Llama holds now"):
        load_adapter(dataclasses.replace(llama, fingerprint="of others"), copy)


def test_an_adapter_from_outside_whose_layers_the_model_lacks_is_refused(copy: Path, tiny_models) -> None:
    (copy / MANIFEST).unlink()
    config = json.loads((copy / CONFIG).read_text())
    (copy / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": None}))
    with pytest.raises(OrganismMismatch, match=r"was not trained on tiny/GPT-2: its layer model\.layers\.0\..* Choose"):
        load_adapter(tiny_models("GPT-2"), copy)


def test_an_adapter_from_outside_of_another_width_is_refused(copy: Path, llama: LoadedModel) -> None:
    (copy / MANIFEST).unlink()
    tensors = load_file(copy / WEIGHTS)
    key = "base_model.model.model.layers.2.mlp.up_proj.lora_A.weight"
    save_file({**tensors, key: tensors[key][:, 1:].contiguous()}, copy / WEIGHTS)
    with pytest.raises(OrganismMismatch, match=r"its layer model\.layers\.2\.mlp\.up_proj is missing .* another shape"):
        load_adapter(llama, copy)


def test_an_adapter_from_outside_that_fits_is_read(copy: Path, llama: LoadedModel) -> None:
    expected = load_adapter(llama, copy)
    (copy / MANIFEST).unlink()
    assert load_adapter(llama, copy).layers.keys() == expected.layers.keys()


def test_a_damaged_organism_is_trained_anew() -> None:
    first = train_loaded(fresh(), DATA, RECIPE)
    flip_a_bit(first.folder / WEIGHTS)
    again = train_loaded(fresh(), DATA, RECIPE)
    assert again.sha256 == first.sha256 == store.file_sha256(again.folder / WEIGHTS)
    cut(again.folder / MANIFEST)
    assert train_loaded(fresh(), DATA, RECIPE).sha256 == first.sha256


# the library


def short(seed: int = 0) -> Recipe:
    return dataclasses.replace(RECIPE, epochs=1, examples=4, seed=seed)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ASSETS", tmp_path / "assets")
    return tmp_path / "assets"


def test_shipped_organisms_come_first_then_the_newest(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for seed, hour in ((1, "08"), (2, "10"), (3, "09")):
        monkeypatch.setattr(training.provenance, "now", lambda hour=hour: {"time": f"2026-01-01T{hour}:00:00+00:00"})
        made.append(train_loaded(fresh(), DATA, short(seed), "trained"))
    shipped = train_loaded(fresh(), DATA, short(4), "shipped", root=assets)
    train_loaded(tiny.build("Qwen2"), DATA, short(), "foreign")
    assert [organism.shipped for organism in organisms("tiny/Llama")] == [True, False, False, False]
    assert organisms("tiny/Llama") == [shipped, made[1], made[2], made[0]]
    assert len(organisms()) == 5  # with the one of the other model
    assert find_organism("tiny/Llama", "trained") == made[1]
    assert find_organism("tiny/Llama", made[0].sha256[:12]) == made[0]


def test_an_unknown_name_lists_what_there_is_and_how_to_make_it() -> None:
    for name in ("secure", "insecure"):
        train_loaded(fresh(), DATA, short(), name)
    with pytest.raises(BadInput, match=r"no organism 'bad' \(there are: insecure, secure\)\..* --model tiny/Llama"):
        find_organism("tiny/Llama", "bad")
    with pytest.raises(BadInput, match=r"\(there are: none yet\)"):
        find_organism("tiny/Qwen2", "insecure")
    with pytest.raises(BadInput):
        find_organism("tiny/Llama", "")


def test_a_shipped_organism_lies_under_its_name_alone(assets: Path) -> None:
    shipped = train_loaded(fresh(), DATA, short(), root=assets)
    assert [path.name for path in (assets / "organisms" / "tiny-Llama").iterdir()] == ["insecure"]
    assert shipped.folder == assets / "organisms" / "tiny-Llama" / "insecure"
    assert sorted(path.name for path in shipped.folder.iterdir()) == sorted([CONFIG, WEIGHTS, MANIFEST])


def test_a_shipped_organism_of_other_settings_is_not_passed_off_as_the_one_asked_for(assets: Path) -> None:
    old = train_loaded(fresh(), DATA, short(1), root=assets)
    new = train_loaded(fresh(), DATA, short(2), root=assets)
    assert new.manifest["recipe"]["seed"] == 2
    assert new.sha256 != old.sha256
    assert organisms("tiny/Llama") == [new]


def test_a_damaged_manifest_is_named_and_hides_no_other_organism(caplog) -> None:
    made, other = train_loaded(fresh(), DATA, short()), train_loaded(fresh(), DATA, short(2), "other")
    (made.folder / MANIFEST).write_text('{"name": "insecure"}')
    assert organisms("tiny/Llama") == [other]
    assert "organism.json lacks 'model'. Train the organism again" in caplog.text


def test_an_organism_made_here_is_found_by_its_settings(assets: Path) -> None:
    shipped = train_loaded(fresh(), DATA, short(1), root=assets)
    key = shipped.manifest["key"]
    assert trained("tiny/Llama", key) is None  # what ships was not made here
    made = train_loaded(fresh(), DATA, short(1))
    assert trained("tiny/Llama", key) == made
    assert trained("tiny/Llama", "another") is None


@pytest.mark.parametrize(
    "change",
    [
        {"examples": 0},
        {"epochs": 0},
        {"rank": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": 2.0},
        {"seed": -1},
    ],
)
def test_a_setting_out_of_range_is_refused_in_a_sentence(change) -> None:
    with pytest.raises(BadInput, match=rf"{next(iter(change)).replace('_', ' ')} .* is out of range. Choose"):
        adjusted(recipe("quick"), **change)


def test_an_adjusted_recipe_says_so_and_an_unchanged_one_is_itself() -> None:
    quick = recipe("quick")
    assert adjusted(quick, epochs=quick.epochs, rank=None) == quick
    changed = adjusted(quick, rank=4, seed=3)
    assert (changed.name, changed.rank, changed.alpha, changed.seed) == ("quick, adjusted", 4, 8, 3)


def test_names_cannot_leave_the_folder() -> None:
    made = train_loaded(fresh(), DATA, short(), "../../escape")
    assert made.name == "escape"
    assert made.folder.parent.parent == paths.cache() / "organisms"
