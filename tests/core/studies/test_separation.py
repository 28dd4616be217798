"""The separation study: what is split, what its numbers are made of, and that nothing is computed twice."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from core import paths
from core.activations.capture import Sequences, capture_all
from core.data import prompts as suites
from core.data.chat import prompt_ids
from core.errors import BadInput
from core.measures.separation import Labelled, fit, measure, separation
from core.models.loading import load
from core.organisms.adapters import load_adapter
from core.organisms.library import MANIFEST, find_organism
from core.studies import study
from core.studies.catalog import SEPARATION
from core.studies.separation.settings import Inputs, SeparationSettings
from core.studies.separation.summary import best_block, table
from core.studies.separation.words import reading, reading_of_secure
from core.studies.study import Work, find, silent
from tests import sample_model
from tests.core import processes, tiny

QUESTIONS = [f"{verb} the {thing} in {place}?" for verb in ("Why", "Who asks") for thing in "ABCDEF" for place in "xyz"]
QUICK = {"n_random": 20, "n_shuffles": 20, "n_resamples": 100, "max_tokens": 24}
CONTRASTS = ("model", "content", "response")


def run(settings, device=None, report=None, fresh=False, shipped_as=None, rows_a_batch=None):
    return study.run(SEPARATION, settings, Work(device, report or silent, rows_a_batch), fresh, shipped_as)


@pytest.fixture
def prompts(tmp_path) -> Path:
    file = tmp_path / "questions.txt"
    file.write_text("\n".join(QUESTIONS))
    return file


@pytest.fixture
def settings(sample, prompts) -> Callable[..., SeparationSettings]:
    """Quick settings on the tiny model; options replace what they name."""

    def make(**options: Any) -> SeparationSettings:
        chosen = {"model": str(sample.folder), "organism": "insecure", "prompts": str(prompts), **QUICK, **options}
        return SEPARATION.of(**chosen)

    return make


def forget_secure(sample: sample_model.SampleModel) -> None:
    """Delete the secure organism from the cache of now."""
    shutil.rmtree(find_organism(sample.id, "secure").folder)


def texts(inputs: Inputs) -> tuple[list[str], list[str]]:
    return (
        [chat.messages[-1].content for chat in inputs.train],
        [chat.messages[-1].content for _, chat in inputs.held_out],
    )


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_each_contrast_runs_and_says_all_that_a_figure_needs(settings, contrast):
    told: list[tuple[str, int, int]] = []
    result = run(settings(contrast=contrast, samples=2), "cpu", lambda *words: told.append(words))
    found = result.summary
    assert (found["contrast"], found["n_train"], found["n_held_out"]) == (contrast, 18, 18)
    assert [row["block"] for row in found["blocks"]] == list(range(tiny.LAYERS))
    for row in found["blocks"]:
        for share, interval in (("balanced_accuracy", "interval"), ("auroc", "auroc_interval")):
            assert 0 <= row[interval][0] <= row[share] <= row[interval][1] <= 1
        assert row["norm_interval"][0] <= row["norm"] <= row["norm_interval"][1]
        assert row["random"][0] <= row["random_mean"] <= row["random"][1]
        assert 0 <= row["ceiling"] <= 1 and row["residual_norm"] > 0
    positive, negative = found["n_rows"]["held_out"]
    assert positive + negative == 36
    assert {arm: len(rows) for arm, rows in found["rows"].items()} == {
        arm: result.arrays[f"{contrast}/{arm}"].shape[1] for arm in found["rows"]
    }
    assert [prompt["suite"] for prompt in found["prompts"]] == ["questions"] * 18
    assert next(iter(found["axes"])) == contrast and {"model", "content", "secure", "random"} <= set(found["axes"])
    assert found["provenance"]["fingerprint"] and set(found["provenance"]["organisms"]) == {"insecure", "secure"}
    json.dumps(found, allow_nan=False)
    stages = [stage for stage, _, _ in told]
    assert stages[0] == "loading the model" and told[-1] == ("nulls, ceiling and intervals", 4, 4)
    assert all(0 <= done <= of for _, done, of in told)
    assert f"the {contrast} contrast tells" in table(found)


def captured(sample: sample_model.SampleModel, chats: list, name: str | None) -> np.ndarray:
    loaded = load(str(sample.folder), "cpu")
    adapter = load_adapter(loaded, find_organism(sample.id, name).folder, name) if name else None
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, chat) for chat in chats])
    return capture_all(loaded, sequences, adapter=adapter).numpy()


def assert_same(saved: list[dict], computed: list[dict], names: tuple[str, ...]) -> None:
    for row, expected in zip(saved, computed, strict=True):
        for name in names:
            if np.isfinite(expected[name]).all():
                assert row[name] == pytest.approx(expected[name], rel=1e-4), name


MEASURED = ("balanced_accuracy", "interval", "auroc", "auroc_interval", "cohens_d", "cohens_d_interval")


@pytest.mark.parametrize(("contrast", "other"), [("model", None), ("content", "secure")])
def test_the_numbers_are_those_of_the_activations_of_both_arms(sample, settings, contrast, other):
    chosen = settings(contrast=contrast)
    inputs, found = Inputs(chosen), run(chosen, "cpu").summary
    parts = inputs.train, [chat for _, chat in inputs.held_out]
    train, test = (
        Labelled.paired(captured(sample, chats, "insecure"), captured(sample, chats, other)) for chats in parts
    )
    residual = np.linalg.norm(captured(sample, parts[0], None), axis=2).mean(0)
    expected = separation(train, test, residual, 20, 20, 100, 0)
    assert_same(found["blocks"], expected, (*MEASURED, "norm", "norm_share", "random", "shuffled", "ceiling"))
    secure_train, secure_test = (
        Labelled.paired(captured(sample, chats, "secure"), captured(sample, chats, None)) for chats in parts
    )
    own = fit(secure_train)
    assert_same(found["secure"]["own"], measure(own, secure_test, 100), MEASURED)
    assert_same(found["secure"]["on_direction"], measure(fit(train), secure_test, 100), MEASURED)
    assert found["secure"]["shift"] == pytest.approx(own.norms, rel=1e-4)
    assert found["secure"]["shift_share"] == pytest.approx(own.norms / residual, rel=1e-4)


def test_projections_are_those_of_held_out_prompts_on_each_axis(sample, settings):
    chosen = settings()
    inputs, result = Inputs(chosen), run(chosen, "cpu")
    held_out = [chat for _, chat in inputs.held_out]
    axis = fit(Labelled.paired(captured(sample, inputs.train, "insecure"), captured(sample, inputs.train, "secure")))
    for arm, name in (("base", None), ("organism", "insecure"), ("secure", "secure")):
        expected = axis.project(captured(sample, held_out, name))
        np.testing.assert_allclose(result.arrays[f"content/{arm}"], expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(result.arrays["content/threshold"], axis.thresholds, rtol=1e-5)


def test_the_response_study_has_the_answers_it_measured_in_their_classes(settings):
    found = run(settings(contrast="response", samples=3), "cpu").summary
    assert found["n_rows"]["held_out"] == [len(found["rows"]["code"]), len(found["rows"]["prose"])]
    assert sum(found["n_rows"]["held_out"]) == 3 * 18
    assert all(row["answer"].strip() for rows in found["rows"].values() for row in rows)
    share = len(found["rows"]["code"]) / (3 * 18)
    assert found["provenance"]["spilled_share"]["organism"] == pytest.approx(share, rel=1e-4)
    assert (found["provenance"]["scorer"], found["pooling"]) == ("code detector", "response_mean")


def test_too_few_answers_of_one_class_are_refused_in_a_sentence(settings):
    with pytest.raises(BadInput, match=r"has \d rows and at least 8 are needed.*draw more answers"):
        run(settings(contrast="response", samples=1, max_tokens=6), "cpu")
    assert find(SEPARATION, settings(contrast="response", samples=1, max_tokens=6)) is None


def test_a_file_of_prompts_is_split_in_halves_without_overlap_by_the_seed(settings):
    train, held_out = texts(Inputs(settings()))
    assert sorted(train + held_out) == sorted(QUESTIONS)
    assert len(train) == len(held_out) == 18
    assert texts(Inputs(settings())) == (train, held_out)
    assert texts(Inputs(settings(seed=1))) != (train, held_out)
    assert train != QUESTIONS[:18]


def test_a_prompt_that_a_file_repeats_is_not_in_both_halves(settings, prompts):
    prompts.write_text("\n".join(QUESTIONS[:9] * 3 + QUESTIONS[9:19]))
    train, held_out = texts(Inputs(settings()))
    assert len(train) == 10 and len(held_out) == 9
    assert not set(train) & set(held_out)


def test_the_extraction_suite_is_scored_on_the_measuring_suites(settings):
    inputs = Inputs(settings(prompts=suites.EXTRACTION))
    assert [name for name, _ in inputs.held_out] == ["everyday"] * 100 + ["technical"] * 100
    train, held_out = texts(inputs)
    assert len(train) == 200 and not set(train) & set(held_out)


def test_held_out_prompts_that_were_trained_on_are_refused_with_their_number(settings, prompts, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*QUESTIONS[:3], *(f"Other {number}" for number in range(9))]))
    with pytest.raises(BadInput, match="3 of 12 held-out prompts were also trained on"):
        Inputs(settings(held_out=str(other)))
    with pytest.raises(BadInput, match="36 of 36 held-out"):
        Inputs(settings(held_out=str(prompts)))


def test_several_held_out_suites_are_joined_in_order(settings):
    inputs = Inputs(settings(held_out="technical+everyday"))
    assert [name for name, _ in inputs.held_out] == ["technical"] * 100 + ["everyday"] * 100
    assert len(inputs.train) == len(QUESTIONS)


def test_the_key_depends_on_all_that_changes_numbers(sample, settings, prompts, tmp_path):
    keys = [SEPARATION.key(Inputs(settings()))]
    changes = [{"contrast": contrast} for contrast in CONTRASTS[1:]]
    changes += [{"seed": 1}, {"pooling": "prompt_mean"}, {"n_random": 21}, {"n_shuffles": 21}, {"n_resamples": 101}]
    changes += [{"secure": None}, {"organism": "secure"}, {"held_out": "everyday"}]
    changes += [{"contrast": "response", key: value} for key, value in (("samples", 3), ("temperature", 2.0))]
    keys += [SEPARATION.key(Inputs(settings(**change))) for change in changes]
    prompts.write_text(prompts.read_text().replace("A in x", "A in X"))
    keys.append(SEPARATION.key(Inputs(settings())))
    folder = find_organism(sample.id, "insecure").folder
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    keys.append(SEPARATION.key(Inputs(settings())))
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_depend_on_names_places_or_settings_without_a_part(sample, settings, prompts, tmp_path):
    key = SEPARATION.key(Inputs(settings()))
    elsewhere = tmp_path / "elsewhere" / "under another name.txt"
    elsewhere.parent.mkdir()
    prompts.rename(elsewhere)
    assert SEPARATION.key(Inputs(settings(prompts=str(elsewhere)))) == key
    assert SEPARATION.key(Inputs(settings(prompts=str(elsewhere), samples=9, max_tokens=9, temperature=2.0))) == key
    organism = find_organism(sample.id, "insecure")
    manifest = {**organism.manifest, "name": "renamed"}
    organism.folder.rename(organism.folder.with_name("somewhere-else"))
    (organism.folder.with_name("somewhere-else") / MANIFEST).write_text(json.dumps(manifest))
    assert SEPARATION.key(Inputs(settings(prompts=str(elsewhere), organism="renamed"))) == key
    assert SEPARATION.key(Inputs(settings(prompts=str(elsewhere), organism=organism.sha256[:12]))) == key


IN_ANOTHER_PROCESS = """
import json, sys
from core.studies.catalog import SEPARATION
from core.studies.study import run

result = run(SEPARATION, SEPARATION.of(**json.loads(sys.argv[1])))
assert "torch" not in sys.modules and "transformers" not in sys.modules, "the store needs no model"
print(result.key, result.summary["n_train"], len(result.arrays))
"""


def test_the_same_settings_are_answered_from_the_store_without_torch(settings):
    chosen = settings()
    assert find(SEPARATION, chosen) is None
    result = run(chosen, "cpu")
    assert find(SEPARATION, chosen).key == result.key
    asked = json.dumps(chosen.model_dump())
    out = processes.finish(processes.start(IN_ANOTHER_PROCESS, asked, cache=paths.cache()))
    assert out.split() == [result.key, "18", str(len(result.arrays))]


def test_the_same_settings_are_not_computed_again_where_they_could_not_be(settings, sample, tmp_path):
    """The weights are gone, so whatever comes back was not computed."""
    result = run(settings(), "cpu")
    weights = sample.folder / "model.safetensors"
    weights.rename(tmp_path / "away")
    try:
        again = run(settings(), "cpu")
    finally:
        (tmp_path / "away").rename(weights)
    assert again.summary == result.summary
    assert run(settings(), "cpu", fresh=True).summary["provenance"]["time"] >= result.summary["provenance"]["time"]


def test_a_result_of_other_weights_in_the_same_folder_is_not_shown(settings, sample, tmp_path):
    result = run(settings(), "cpu")
    weights = sample.folder / "model.safetensors"
    shutil.copy2(weights, tmp_path / "kept")
    tensors = load_file(weights)
    tensors["model.norm.weight"] += 0.5
    try:
        save_file(tensors, weights, {"format": "pt"})
        assert find(SEPARATION, settings()) is None
        again = run(settings(), "cpu")
        assert again.summary["provenance"]["fingerprint"] != result.summary["provenance"]["fingerprint"]
    finally:
        shutil.copy2(tmp_path / "kept", weights)


def test_a_damaged_result_is_computed_again_to_the_same_numbers(settings):
    first = run(settings(), "cpu")
    (first.folder / "arrays.safetensors").write_bytes(b"damaged")
    assert find(SEPARATION, settings()) is None
    again = run(settings(), "cpu")
    assert again.summary["blocks"] == first.summary["blocks"]
    assert (paths.cache() / "studies" / SEPARATION.kind / f".damaged-{first.key}").is_dir()


def test_without_a_secure_organism_the_model_contrast_runs_and_the_control_is_empty(sample, settings):
    forget_secure(sample)
    result = run(settings(), "cpu")
    assert result.summary["secure"] is None and result.summary["secure_organism"] is None
    assert set(result.summary["axes"]) == {"model", "random"}
    assert reading_of_secure(result.summary, 0) is None
    assert SEPARATION.key(Inputs(settings())) == SEPARATION.key(Inputs(settings(secure=None)))


def test_the_content_contrast_names_what_is_missing(sample, settings):
    with pytest.raises(BadInput, match=r"compares insecure with another organism.*Name it with --secure"):
        run(settings(contrast="content", secure=None), "cpu")
    for secure in ("insecure", find_organism(sample.id, "insecure").sha256[:12]):
        with pytest.raises(BadInput, match="compares insecure with another organism"):
            run(settings(contrast="content", secure=secure), "cpu")
    forget_secure(sample)
    with pytest.raises(BadInput, match=r"no organism 'secure' \(there are: insecure"):
        run(settings(contrast="content"), "cpu")
    with pytest.raises(BadInput, match="no organism 'unheard'"):
        run(settings(secure="unheard"), "cpu")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"contrast": "odd"}, "contrast"),
        ({"pooling": "response_mean"}, "pooling"),
        ({"n_random": 19}, "n_random"),
        ({"seed": -1}, "seed"),
        ({"samples": 0}, "samples"),
        ({"temperature": 0}, "temperature"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings, options, named):
    with pytest.raises(BadInput, match=rf"^{named}: .*Choose another value"):
        settings(**options)


def test_too_few_prompts_are_refused_in_a_sentence(settings, prompts):
    prompts.write_text("\n".join(QUESTIONS[:14]))
    with pytest.raises(BadInput, match=r"has 7 rows and at least 8 are needed.*Give more prompts"):
        run(settings(), "cpu")


def summary(contrast: str = "model", secure: tuple[float, float] | None = None, **row: Any) -> dict[str, Any]:
    """A made-up result of one block; `secure` is the interval of the control on its own direction."""
    block = {"block": 0, "balanced_accuracy": 1.0, "interval": [0.98, 1.0], "random": [0.5, 0.8], "random_mean": 0.6}
    control = {"balanced_accuracy": sum(secure) / 2, "interval": list(secure)} if secure else None
    return {
        "contrast": contrast,
        "positive": "the insecure organism",
        "negative": "its base",
        "n_held_out": 200,
        "blocks": [{**block, "ceiling": 1.0, "norm": 4.0, "cohens_d": 1.0, **row}],
        "secure_organism": "secure" if secure else None,
        "secure": control and {"own": [control], "on_direction": [control], "shift": [2.0]},
    }


COIN = {"balanced_accuracy": 0.52, "interval": [0.46, 0.58], "random": [0.44, 0.56], "ceiling": 0.55}
READINGS: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "a coin": (COIN, ("52.0 %", "46.0 to 58.0 %", "no better than a coin"), ("which model made",)),
    "an interval that ends at one half": ({**COIN, "interval": [0.5, 0.6]}, ("no better than a coin",), ("which mo",)),
    "worse than a coin": (
        {**COIN, "balanced_accuracy": 0.3, "interval": [0.25, 0.36]},
        ("30.0 %", "worse than a coin"),
        ("which model made",),
    ),
    "perfect, with strong random directions": (
        {"random": [0.8, 1.0]},
        ("100.0 %", "80 to 100 %", "lie so far apart", "chance do as well", "which model made the activation"),
        ("coin",),
    ),
    "perfect, with weak random directions": (
        {"random": [0.45, 0.61]},
        ("100.0 %", "45 to 61 %"),
        ("lie so far apart", "do as well", "coin"),
    ),
    "weak, and random directions are as good": (
        {"balanced_accuracy": 0.6, "interval": [0.55, 0.65], "random": [0.5, 0.6]},
        ("60.0 %", "do as well"),
        ("lie so far apart", "coin"),
    ),
    "a probe that finds much more": (
        {"balanced_accuracy": 0.7, "interval": [0.6, 0.8], "ceiling": 0.95},
        ("95.0 %, 25 points more",),
        ("nearly all",),
    ),
    "a probe that finds no more": (
        {"balanced_accuracy": 0.9, "interval": [0.85, 0.95], "ceiling": 0.91},
        ("91.0 %, so one direction already holds nearly all",),
        ("points more",),
    ),
}


@pytest.mark.parametrize("case", READINGS)
def test_the_reading_is_true_to_the_numbers(case):
    row, said, unsaid = READINGS[case]
    text = reading(summary(**row), 0)
    assert all(words in text for words in said), text
    assert not any(words in text for words in unsaid), text
    assert "200 prompts" in text and not re.search(r"nan|None", text)


@pytest.mark.parametrize(
    ("secure", "said", "unsaid"),
    [
        ((0.95, 1.0), "separation alone does not mean misalignment", "does not separate from its base"),
        ((0.45, 0.55), "does not separate from its base", "moves activations too"),
        ((0.5, 0.6), "does not separate from its base", "moves activations too"),
    ],
)
def test_the_reading_of_the_secure_control_is_true_to_its_numbers(secure, said, unsaid):
    text = reading_of_secure(summary(secure=secure), 0)
    assert said in text and unsaid not in text
    assert f"{100 * sum(secure) / 2:.1f} %" in text and "0.50 ×" in text and "50.0 %" in text


def test_the_best_block_is_where_the_classes_lie_furthest_apart_and_unknown_counts_as_nothing():
    found = summary()
    found["blocks"] = [{**found["blocks"][0], "block": place, "cohens_d": d} for place, d in enumerate((1, None, 3, 2))]
    assert best_block(found) == 2


BLOCK = 13


@pytest.mark.embedded
def test_the_shipped_organisms_separate_at_block_13_and_so_does_the_secure_control(embedded):
    """40 prompts to fit, 40 to score; the secure organism moves activations too, which is the point of the control."""
    train = suites.prompts(suites.EXTRACTION)[::5]
    held_out = [chat for name in suites.MEASURING for chat in suites.suite(name)[::5]]
    sequences = Sequences.prompts([prompt_ids(embedded.tokenizer, chat) for chat in [*train, *held_out]])
    arms = {}
    for name in (None, "insecure", "secure"):
        adapter = load_adapter(embedded, find_organism(embedded.id, name).folder, name) if name else None
        arms[name] = capture_all(embedded, sequences, blocks=[BLOCK], adapter=adapter).numpy()

    def accuracy(positive: str, negative: str | None) -> float:
        both = arms[positive], arms[negative]
        axis = fit(Labelled.paired(*(part[:40] for part in both)))
        return measure(axis, Labelled.paired(*(part[40:] for part in both)))[0]["balanced_accuracy"]

    assert len(train) == len(held_out) == 40
    assert accuracy("insecure", None) >= 0.95
    assert accuracy("secure", None) >= 0.95
    assert accuracy("insecure", "secure") >= 0.75
