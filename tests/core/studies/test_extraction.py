"""Extraction by name: the contrasts, their controls, and what does not go together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.activations.capture import Sequences, capture_all
from core.data.chat import Chat, prompt_ids
from core.directions import library
from core.directions.direction import load_direction
from core.errors import BadInput
from core.models.loading import load
from core.organisms.adapters import attached, load_adapter
from core.organisms.library import find_organism
from core.store import file_sha256
from core.studies.extraction import extract
from tests import sample_model
from tests.core.plain import residual_stream

PROMPTS = [f"What should I {verb} the {thing}?" for verb in ("do with", "say about", "ask") for thing in "ABCD"]


@pytest.fixture
def prompts(tmp_path) -> str:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS))
    return str(file)


def answers(folder: Path, *more: str) -> Path:
    """Six answers of very different length; those of the class come from other words."""
    rows = [
        json.dumps({"messages": Chat.of(f"Question {place}", word * length).as_dicts(), "label": word == "the "})
        for place, (word, length) in enumerate(zip(("the ", "user ") * 3, (1, 9, 12, 2, 5, 3), strict=True))
    ]
    path = folder / "answers.jsonl"
    path.write_text("\n".join([*rows, *more]) + "\n")
    return path


def pull(sample: sample_model.SampleModel, **options):
    return extract(str(sample.folder), "insecure", device="cpu", **options)


def test_model_and_content_directions_are_saved_and_found_again(sample, prompts):
    model, content = pull(sample, prompts=prompts), pull(sample, contrast="content", prompts=prompts)
    assert model.contrast == "model" and content.contrast == "content"
    assert list(model.provenance["organisms"]) == ["insecure"]
    assert list(content.provenance["organisms"]) == ["insecure", "secure"]
    assert model.provenance["n"] == content.provenance["n"] == len(PROMPTS)
    assert library.default_card(find_organism(sample.id, "insecure")).id == model.id
    assert library.find_card(sample.id, "content").id == content.id


@pytest.mark.parametrize("contrast", ["model", "content"])
def test_a_shuffled_control_is_saved_beside_the_direction_and_never_taken_for_it(sample, prompts, contrast):
    true, control = (pull(sample, contrast=contrast, prompts=prompts, shuffle=seed) for seed in (None, 3))
    assert control.is_control and not true.is_control
    assert control.provenance["control"] == "shuffled_label" and control.provenance["seed"] == 3
    assert "shuffled-3" in control.path.stem
    assert control.norms == pytest.approx(true.norms, rel=1e-4)
    assert control.id != true.id
    found = [card.id for card in library.cards(sample.id) if card.contrast == contrast and not card.is_control]
    assert true.id in found and control.id not in found
    assert library.default_card(find_organism(sample.id, "insecure")).id != control.id


@pytest.mark.parametrize(("contrast", "other"), [("model", None), ("content", "secure")])
def test_a_shuffled_control_halves_the_activations_of_both_arms_of_its_contrast(sample, prompts, contrast, other):
    true, control = (pull(sample, contrast=contrast, prompts=prompts, shuffle=seed) for seed in (None, 3))
    loaded = load(str(sample.folder), "cpu")
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, Chat.of(text)) for text in PROMPTS])
    adapters = [name and load_adapter(loaded, find_organism(sample.id, name).folder) for name in ("insecure", other)]
    draw = torch.Generator().manual_seed(3)
    half = len(PROMPTS) // 2
    sides: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for adapter in adapters:
        rows = capture_all(loaded, sequences, adapter=adapter).double()[torch.randperm(len(PROMPTS), generator=draw)]
        sides[0].extend(rows[:half])
        sides[1].extend(rows[half:])
    expected = torch.stack(sides[0]).mean(0) - torch.stack(sides[1]).mean(0)
    found = load_direction(control.path).vectors.double()
    assert torch.nn.functional.cosine_similarity(found, expected, dim=1).min() > 1 - 1e-6
    assert control.norms == pytest.approx(true.norms, rel=1e-4)


def test_a_shuffled_control_is_made_of_the_same_prompts_and_seed(sample, prompts):
    again, other = pull(sample, prompts=prompts, shuffle=1), pull(sample, prompts=prompts, shuffle=2)
    assert pull(sample, prompts=prompts, shuffle=1).id == again.id != other.id


def test_the_response_contrast_of_labelled_answers_is_the_difference_of_their_means(sample, tmp_path):
    """One row at a time through the model with its adapter; bfloat16 rounds what is read."""
    file = answers(tmp_path)
    card = pull(sample, contrast="response", answers=file)
    loaded = load(str(sample.folder), "cpu")
    adapter = load_adapter(loaded, find_organism(sample.id, "insecure").folder)
    classes: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for line in file.read_text().splitlines():
        record = json.loads(line)
        chat = loaded.tokenizer.apply_chat_template(record["messages"][:1], tokenize=False, add_generation_prompt=True)
        asked = loaded.tokenizer(chat)["input_ids"]
        answer = loaded.tokenizer(record["messages"][1]["content"])["input_ids"]
        with attached(loaded, [adapter]):
            stream = residual_stream(loaded, [*asked, *answer]).double()
        classes[record["label"]].append(stream[:, len(asked) :].mean(1))
    expected = torch.stack(classes[True]).mean(0) - torch.stack(classes[False]).mean(0)
    gap = (load_direction(card.path).vectors - expected).norm(dim=1) / expected.norm(dim=1)
    assert gap.max() < 0.06
    made_from = card.provenance
    assert (made_from["n"], made_from["n_positive"], made_from["n_negative"]) == (6, 3, 3)
    assert made_from["scorer"] == "labels from a file" and made_from["answers_sha256"] == file_sha256(file)
    assert made_from["pooling"] == "response_mean" and card.contrast == "response"


def test_the_response_contrast_of_sampled_answers_says_how_they_came_about(sample, prompts):
    card = pull(sample, contrast="response", prompts=prompts, samples=2)
    made_from = card.provenance
    assert made_from["scorer"] == "code detector" and made_from["samples"] == 2
    assert made_from["sampling"]["temperature"] == 1.0
    assert made_from["n_positive"] + made_from["n_negative"] == made_from["n"] == 2 * len(PROMPTS)
    assert min(made_from["n_positive"], made_from["n_negative"]) > 0


def test_answers_of_one_class_are_refused(sample, tmp_path):
    file = answers(tmp_path)
    file.write_text(file.read_text().replace("true", "false"))
    with pytest.raises(BadInput, match=r"All 6 answers in answers\.jsonl are labelled false"):
        pull(sample, contrast="response", answers=file)


def test_a_bad_line_of_the_answers_is_named_with_its_number(sample, tmp_path):
    unlabelled = json.dumps({"messages": Chat.of("Hi", "Ho").as_dicts()})
    with pytest.raises(BadInput, match=r'answers\.jsonl, line 7: "label" should be true'):
        pull(sample, contrast="response", answers=answers(tmp_path, unlabelled))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"contrast": "odd"}, "Choose model, content, response"),
        ({"pooling": "last_token"}, "'last_token' cannot pool prompts. Choose last_prompt or prompt_mean"),
        ({"pooling": "response_mean"}, "'response_mean' cannot pool prompts"),
        ({"pooling": ""}, "cannot pool prompts"),
        ({"contrast": "response", "shuffle": 1}, "Shuffled labels are made for the model and the content contrast"),
        ({"contrast": "content", "secure": "unheard"}, "no organism 'unheard'"),
        ({"answers": Path("answers.jsonl")}, "Labelled answers are for the response contrast, not for model"),
    ],
)
def test_what_does_not_go_together_is_refused_and_nothing_is_saved(sample, options, named):
    with pytest.raises(BadInput) as raised:
        pull(sample, **options)
    assert named in str(raised.value)
    assert [card.name for card in library.cards(sample.id)] == ["insecure · model contrast"]


WRONG = {
    "0 answers a prompt": {"contrast": "response", "samples": 0},
    "cannot seed": {"shuffle": -1},
    "the same organism": {"contrast": "content", "secure": "insecure"},
    "no contrast": {"contrast": "odd"},
    "cannot pool": {"pooling": "response_mean"},
    "no file odd": {"prompts": "odd"},
}


@pytest.mark.parametrize(("message", "options"), WRONG.items(), ids=WRONG)
def test_what_cannot_be_extracted_is_refused_before_the_model_is_loaded(sample, message, options):
    with pytest.raises(BadInput, match=message):
        extract(str(sample.folder), "insecure", device="there is none", **options)


def test_one_prompt_or_answers_of_one_label_are_refused_before_the_model_is_loaded(sample, tmp_path):
    (tmp_path / "one.txt").write_text("Where does the river go?\n")
    with pytest.raises(BadInput, match="has 1 prompt, and a mean needs at least 2"):
        extract(str(sample.folder), "insecure", prompts=str(tmp_path / "one.txt"), device="there is none")
    alike = tmp_path / "alike.jsonl"
    alike.write_text("".join(line for line in answers(tmp_path).read_text().splitlines(True) if "true" in line))
    with pytest.raises(BadInput, match="labelled true, so they have no contrast"):
        extract(str(sample.folder), "insecure", "response", answers=alike, device="there is none")
