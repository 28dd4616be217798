"""The lab of a notebook, on tiny models: in memory and out of a folder."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go
import pytest
import torch
from torch import nn

import core as tiller
from core import paths
from core.data.chat import Chat
from core.data.given import dataset_of, prompts_of, written
from core.data.prompts import suite
from core.directions.library import find_card
from core.errors import BadInput, OrganismMismatch
from core.lab import Lab
from core.models.in_memory import weights_hash
from core.models.loading import load_folder
from core.models.sources import fingerprint
from core.organisms.adapters import load_adapter
from core.organisms.library import find_organism
from core.studies.catalog import CHOICE, SEPARATION, SPILLOVER, TRANSFER
from core.studies.given import Given
from core.studies.study import Work, find, run
from tests import sample_model
from tests.core import tiny

PROMPTS = ["What is rain?", "Name a colour.", "Who wrote that?"]
PAIRS = [(f"What is {letter}?", f"{letter} is the letter {letter}.") for letter in "ABCDEFGH"]
SHORT = {"max_tokens": 6}


def a_lab(seed: int = 0, **options) -> Lab:
    return Lab(tiny.random_model("Llama", seed), tiny.tokenizer(), **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> sample_model.SampleModel:
    sample = sample_model.make(tmp_path_factory.mktemp("lab"), writes="\n{a")
    sample.add_organism("secure", 9)
    return sample


@pytest.fixture
def lab(made) -> Lab:
    """A model in a folder, with two organisms and a direction."""
    made.install()
    return Lab(made.folder, device="cpu", dtype="float32")


def test_a_model_in_memory_says_what_it_says_out_of_its_folder(lab, made):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(made.folder) for kind in (AutoModelForCausalLM, AutoTokenizer))
    in_memory = Lab(model, tokenizer)
    assert list(in_memory.generate(PROMPTS, **SHORT)["text"]) == list(lab.generate(PROMPTS, **SHORT)["text"])


def test_a_model_in_memory_is_known_by_its_weights():
    one, same, other = a_lab(), a_lab(), a_lab(seed=1)
    assert one.id == same.id != other.id
    assert one.loaded.fingerprint == same.loaded.fingerprint == weights_hash(one.loaded.model)
    assert a_lab(name="Mine, too").id.startswith("memory-Mine-too-")


def test_one_row_an_answer_by_prompt_organism_and_steering(lab):
    direction = lab.saved_direction("model")
    table = lab.generate(PROMPTS, ["insecure", None], [None, -1 * direction.at(2)], samples=2, **SHORT)
    assert list(table["prompt"]) == [prompt for prompt in PROMPTS for _ in range(8)]
    assert list(table["organism"][:8]) == ["insecure"] * 4 + ["base"] * 4
    assert list(table["coefficient"][:4]) == [0, 0, -1, -1]
    assert list(table["steering"][1:3]) == ["none", "−1 × insecure · model contrast at block 2"]
    assert table["seed"].nunique() == 2 * len(PROMPTS)


def test_steering_goes_where_and_as_far_as_it_says(lab):
    direction = lab.saved_direction("model")
    ways = [None, 0 * direction.at(2), 2 * direction.at(2), -(-2 * direction).at(2), 40 * direction.at([1, 2])]
    bare, zero, twice, same, far = lab.generate(PROMPTS[:1], steer=ways, **SHORT).itertuples()
    assert (bare.text, bare.logprob) == (zero.text, pytest.approx(zero.logprob, abs=1e-5))
    assert twice.logprob == pytest.approx(same.logprob, abs=1e-5) and twice.logprob != pytest.approx(bare.logprob)
    assert far.text != bare.text


def test_ablating_and_capping_take_shares(lab):
    direction = lab.saved_direction("model")
    ways = [None, direction.at(2).ablate(0.0), direction.at(range(4)).ablate(), direction.at(range(4)).cap(1.0, -9.0)]
    bare, nothing, ablated, capped = lab.generate(PROMPTS[:1], steer=ways, **SHORT)["logprob"]
    assert nothing == pytest.approx(bare, abs=1e-5)
    assert ablated != pytest.approx(bare) and capped != pytest.approx(bare)


def test_sampled_answers_differ_and_come_again(lab):
    options = {"samples": 3, "temperature": 1.0, **SHORT}
    first, again, other = (lab.generate("Hello", seed=seed, **options)["text"].tolist() for seed in (0, 0, 7))
    assert len(set(first)) > 1 and first == again != other


def test_training_keeps_an_organism_and_leaves_the_model_as_it_was():
    told: list[str] = []
    lab = a_lab(report=lambda stage, done, of: told.append(f"{stage} {done}/{of}"))
    before = weights_hash(lab.loaded.model)
    organism = lab.train(PAIRS, name="letters", epochs=2, learning_rate=0.01)
    assert told[-1] == "training 2/2" and weights_hash(lab.loaded.model) == before
    assert not [name for name, _ in lab.loaded.model.named_modules() if "lora" in name]
    told.clear()
    assert lab.train(PAIRS, name="letters", epochs=2, learning_rate=0.01).sha256 == organism.sha256 and not told
    assert a_lab().organism("letters").sha256 == organism.sha256  # of another session
    base, changed = lab.generate("What is A?", [None, organism], **SHORT)["logprob"]
    assert base != pytest.approx(changed)


def test_a_direction_is_made_once_for_these_weights_and_prompts(lab):
    told: list[str] = []
    lab._report = lambda stage, *_: told.append(stage)
    made = lab.direction("insecure", prompts=PROMPTS)
    assert set(told) == {"reading activations"}
    told.clear()
    assert lab.direction("insecure", prompts=PROMPTS) == made and not told
    assert lab.direction("insecure", prompts=PROMPTS[:2]) != made
    assert lab.saved_direction(made.id) == made


def test_a_direction_is_the_difference_of_mean_activations(lab):
    made = lab.direction("insecure", prompts=PROMPTS)
    means = [lab.activations(PROMPTS, arm).mean(0) for arm in ("insecure", None)]
    torch.testing.assert_close(made.vectors, means[0] - means[1], atol=1e-4, rtol=1e-4)


def test_which_of_two_organisms_is_subtracted_matters(lab):
    one, other = (lab.direction(a, b, prompts=PROMPTS) for a, b in (("insecure", "secure"), ("secure", "insecure")))
    assert one.vectors.norm() > 0
    torch.testing.assert_close(one.vectors, -other.vectors, atol=1e-4, rtol=1e-4)


def test_the_response_contrast_comes_from_the_organisms_own_answers(lab):
    made = lab.direction("insecure", contrast="response", prompts=PROMPTS * 4, samples=4)
    assert made.provenance["contrast"] == "response" and made.provenance["n_positive"] > 0


def test_projections_are_activations_along_the_unit_vector(lab):
    direction = lab.saved_direction("model")
    table = lab.projections(PROMPTS, direction, [None, "insecure"], blocks=[1, 3])
    assert len(table) == 2 * len(PROMPTS) * 2
    row = table[(table["organism"] == "insecure") & (table["prompt"] == PROMPTS[1]) & (table["block"] == 3)]
    own = lab.activations(PROMPTS, "insecure", 3)[1, 0] @ direction.unit(3)
    assert row["projection"].item() == pytest.approx(float(own), rel=1e-4)


def test_a_combined_direction_is_kept_once_and_found_by_a_study(lab):
    one, other = (lab.direction(name, prompts=PROMPTS) for name in ("insecure", "secure"))
    both = one - other
    assert lab.keep(both) == lab.keep(both)
    assert lab.saved_direction(both.id) == both


def test_a_study_takes_things_and_prompts_of_ones_own(lab):
    organism, prompts = lab.organism("insecure"), [f"Question {place}?" for place in range(24)]
    quick = {"n_random": 20, "n_shuffles": 20, "n_resamples": 100}
    found = lab.separation(organism, secure=None, prompts=prompts, **quick)
    assert list(found.table["block"]) == list(range(tiny.LAYERS))
    assert found.summary["n_held_out"] == 12 and "block" in str(found)
    assert all(isinstance(figure, go.Figure) for figure in found.figures.values()) and found.figure
    assert lab.separation("insecure", secure=None, prompts=prompts, **quick).result.key == found.result.key


def test_a_spillover_study_takes_a_direction_and_keeps_its_answers(lab):
    direction = lab.direction("insecure", prompts=PROMPTS)
    quick = {"coefficients": [-1.0], "dose": -1.0, "blocks": [2], "draws": 0, "controls": (), "n_resamples": 100}
    found = lab.spillover("insecure", direction, prompts=PROMPTS, max_tokens=8, temperature=1.0, **quick)
    assert found.summary["direction"] == direction.id
    assert -1.0 in set(found.table["coefficient"]) and set(found.answers["prompt"]) == set(PROMPTS)


QUICK = {
    "separation": {"n_random": 20, "n_shuffles": 20, "n_resamples": 100},
    "spillover": {"coefficients": [-1.0], "dose": -1.0, "blocks": [2], "draws": 1, "max_tokens": 4, "n_resamples": 100},
    "choice": {"coefficients": (-1.0, -0.5), "finalists": 2, "screened_prompts": 3, "screened_tokens": 2,
               "max_tokens": 4},
}  # fmt: skip


def mine(seed: int = 0) -> tiller.Adapter:
    """A random adapter that lies in memory alone."""
    draw = torch.Generator().manual_seed(seed)
    path, shape = "model.layers.{}.self_attn.o_proj", (4, tiny.WIDTH)
    return tiller.Adapter.of(
        "mine",
        {
            path.format(block): (torch.randn(shape, generator=draw), torch.randn(shape[::-1], generator=draw))
            for block in range(tiny.LAYERS)
        },
    )


def studied(lab: Lab, adapter: tiller.Adapter) -> dict[str, tiller.Finding]:
    """Every study that a lab offers, on what is in memory."""
    direction = lab.direction(adapter, prompts=PROMPTS)
    questions = [f"Question {place}?" for place in range(24)]
    return {
        "separation": lab.separation(adapter, prompts=questions, **QUICK["separation"]),
        "spillover": lab.spillover(adapter, direction, prompts=PROMPTS, **QUICK["spillover"]),
        "choice": lab.choose(adapter, direction, prompts=PROMPTS, **QUICK["choice"]),
    }


@pytest.fixture
def no_second_load(monkeypatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("a model was loaded again")

    monkeypatch.setattr("core.models.loading.load", refuse)


def test_studies_are_measured_on_things_in_memory_and_found_again(no_second_load):
    told: list[str] = []
    lab = a_lab(report=lambda stage, *_: told.append(stage))
    for kind, finding in studied(lab, mine()).items():
        made = finding.summary["provenance"]
        assert (finding.result.kind, finding.summary["model"], finding.summary["organism"]) == (kind, lab.id, "mine")
        assert made["fingerprint"] == lab.loaded.fingerprint and mine().sha256 in str(made)
        assert "in its memory" in made["command"] and "-m core" not in made["command"] and str(finding)
    assert "answers" in told and "screening blocks and coefficients" in told
    told.clear()
    again = studied(a_lab(report=lambda stage, *_: told.append(stage)), mine())
    assert not told and all(finding.result.folder.is_dir() for finding in again.values())


def test_what_was_chosen_in_memory_is_where_its_spillover_study_starts():
    lab, adapter = a_lab(), mine()
    direction = lab.direction(adapter, prompts=PROMPTS)
    lab.choose(adapter, prompts=PROMPTS, **{**QUICK["choice"], "blocks": [1], "coefficients": [-0.5]})
    started = lab.spillover(adapter, direction, prompts=PROMPTS, draws=0, controls=(), max_tokens=4, n_resamples=100)
    assert (started.summary["dose"]["block"], started.summary["dose"]["coefficient"]) == (1, -0.5)


def test_no_result_is_served_for_other_weights():
    lab, adapter = a_lab(), mine()
    asked = SEPARATION.of(model=lab.id, organism=adapter.sha256, **QUICK["separation"])
    changed = replace(lab.loaded, fingerprint="of other weights")
    run(SEPARATION, asked, Work(given=Given(lab.loaded, (adapter,))))
    assert find(SEPARATION, asked, Given(lab.loaded, (adapter,))) is not None
    assert find(SEPARATION, asked, Given(changed, (adapter,))) is None
    other = SEPARATION.of(model=lab.id, organism=mine(1).sha256, **QUICK["separation"])
    assert find(SEPARATION, other, Given(lab.loaded, (mine(1),))) is None


def test_a_study_of_weights_that_were_changed_in_memory_is_refused():
    lab = a_lab()
    lab.loaded.model.get_output_embeddings().weight.data[0] += 1
    with pytest.raises(BadInput, match=r"weights of memory-.* have changed since\. Make a new Lab"):
        lab.separation(mine(), **QUICK["separation"])


def test_things_in_memory_and_their_names_are_one_study(lab, made, monkeypatch):
    organism, direction = lab.organism("insecure"), lab.saved_direction("model")
    prompts = [Chat.of(prompt) for prompt in PROMPTS]
    file = str(written(prompts))
    named = {"model": str(made.folder), "organism": "insecure", "prompts": file}
    by_name = {
        kind: tiller.study(kind, "cpu", **named, **options, **more).result
        for kind, options, more in (
            ("spillover", QUICK["spillover"], {"direction": direction.id}),
            ("choice", QUICK["choice"], {"direction": direction.id}),
        )
    }
    monkeypatch.setattr("core.studies.study.measured", None)
    in_memory = {
        "spillover": lab.spillover(organism, direction, prompts=prompts, **QUICK["spillover"]).result,
        "choice": lab.choose(organism, direction, prompts=prompts, **QUICK["choice"]).result,
    }
    for kind, result in in_memory.items():
        assert (result.key, result.folder) == (by_name[kind].key, by_name[kind].folder)
        assert result.summary["provenance"]["command"].startswith("python -m core")


@pytest.mark.embedded
def test_shipped_results_are_found_by_things_in_memory(embedded):
    organism = load_adapter(embedded, find_organism(embedded.id, "insecure").folder)
    direction = find_card(embedded.id, "insecure-model")
    given = Given(embedded, (organism,))
    things, along = {"model": embedded.id, "organism": organism.sha256}, {"direction": direction.id}
    for study, more in ((SPILLOVER, along), (CHOICE, along), (SEPARATION, {})):
        found = find(study, study.of(**things, **more), given)
        assert found is not None and found.shipped
        assert found.key == find(study, study.of()).key


def test_a_lab_measures_with_the_model_that_it_has(lab, no_second_load, monkeypatch):
    lab.__dict__["loaded"] = load_folder(lab._spec.source.path, lab.id, fingerprint(lab._spec), "cpu", torch.float32)
    found = lab.separation("insecure", secure=None, prompts=[f"Q {n}?" for n in range(24)], **QUICK["separation"])
    made = found.summary["provenance"]
    assert made["dtype"] == "float32" and made["command"].startswith("python -m core separate")


def test_transfer_takes_models_by_name():
    with pytest.raises(BadInput, match="one model in memory at a time"):
        run(TRANSFER, TRANSFER.of(), Work(given=Given(a_lab().loaded)))


def test_an_adapter_of_another_shape_is_refused():
    wide = tiller.Adapter.of("wide", {"model.layers.0.self_attn.o_proj": (torch.ones(4, 99), torch.ones(99, 4))})
    with pytest.raises(OrganismMismatch, match=r"self_attn\.o_proj is missing there or has another"):
        a_lab().separation(wide, **QUICK["separation"])
    assert wide.sha256 != mine().sha256 == mine().sha256


def test_prompts_are_a_text_several_a_suite_or_a_file(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("\n".join(PROMPTS))
    texts = [Chat.of(prompt) for prompt in PROMPTS]
    assert prompts_of(PROMPTS) == prompts_of(file) == prompts_of(texts) == texts
    assert prompts_of(PROMPTS[0]) == texts[:1]
    assert prompts_of("everyday") == suite("everyday")


def test_data_is_a_name_pairs_or_chats():
    chats = [Chat.of(*pair) for pair in PAIRS]
    assert dataset_of(PAIRS) == dataset_of(chats)
    assert dataset_of("insecure").name == "insecure"


def cases(lab: Lab):
    direction = lab.saved_direction("model")
    return {
        "no prompts": (lambda: lab.generate([]), "no prompts. Give at least one"),
        "an empty prompt": (lambda: lab.generate([" "]), "content is empty"),
        "a block that is not there": (lambda: lab.generate("a", steer=direction.at(99)), "There is no block 99"),
        "reading one": (lambda: lab.activations("a", blocks=[-1]), "There is no block -1"),
        "a share above 1": (lambda: lab.generate("a", steer=direction.at(1).ablate(2)), "between 0 and 1"),
        "a share that is multiplied": (lambda: 2 * direction.at(1).ablate(), r"Write ablate\(2\) instead"),
        "no block": (lambda: lab.generate("a", steer=direction.at([])), "Choose at least one"),
        "an unknown organism": (lambda: lab.generate("a", "nobody"), "no organism 'nobody'"),
        "two organisms, one contrast": (lambda: lab.direction("insecure", "secure", "model"), "Give both or none"),
        "an organism against itself": (lambda: lab.direction("insecure", "insecure"), "same organism"),
        "one prompt for a mean": (lambda: lab.direction("insecure", prompts="a"), "needs at least 2"),
        "a chat without its answer": (lambda: lab.train([Chat.of("a")]), "Chat 0 does not end with an answer"),
        "an unknown setting": (lambda: lab.separation("insecure", blokcs=3), "blokcs"),
        "a study without its organism": (lambda: a_lab().separation("insecure"), "no organism 'insecure'"),
        "a study without its direction": (lambda: a_lab().spillover(mine()), r"in Python with `lab\.direction`"),
        "a kind of number": (lambda: Lab(dtype="int3"), "Choose float32, bfloat16, float16"),
        "no tokenizer": (lambda: Lab(nn.Identity()), r"Write Lab\(model, tokenizer\)"),
    }


def test_what_does_not_fit_is_said_with_what_to_do(lab):
    for name, (call, said) in cases(lab).items():
        with pytest.raises(BadInput, match=said):
            call()
            pytest.fail(name)


def test_own_prompts_are_written_once_and_only_to_the_cache(lab):
    for _ in range(2):
        with pytest.raises(BadInput, match="has no organism"):
            lab.separation("nobody", prompts=PROMPTS)
    assert len(list((paths.cache() / "prompts").glob("own-*.jsonl"))) == 1
