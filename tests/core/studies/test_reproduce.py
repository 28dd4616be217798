"""Everything from nothing on a tiny model: trained, extracted, separated, measured, reported; and nothing twice."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch

from core import paths, report
from core.data import datasets
from core.errors import BadInput, ModelUnavailable
from core.models import loading
from core.models.catalog import resolve
from core.organisms import recipes, training
from core.results import Result
from core.studies import reproduce
from core.studies import study as studies
from core.studies.catalog import TRANSFER, study_of
from core.studies.reproduce import Profile, profile
from tests.core import tiny
from tests.sample_model import SampleModel, make


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SampleModel:
    return make(tmp_path_factory.mktemp("reproduce"), writes="\n{a")


@pytest.fixture
def small(model, monkeypatch) -> Profile:
    """A profile whose training and studies take seconds."""
    monkeypatch.setitem(
        recipes.RECIPES, "quick", replace(recipes.RECIPES["quick"], examples=8, rank=2, alpha=4, max_tokens=1024)
    )
    pairs = datasets.code_pairs()[:12]
    monkeypatch.setattr(datasets, "code_pairs", lambda: pairs)
    few = {"per_suite": 4, "draws": 2, "max_tokens": 4, "n_resamples": 100, "dose": -1.0, "coefficients": (-0.5,)}
    studies = ({"organism": "insecure", **few}, {"organism": "secure", **few, "controls": ("wrong_source",)})
    return Profile("small", (str(model.folder),), contrasts=("model",), spillover=studies)


class Reader(HTMLParser):
    """Tags, and every address that a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action") and value]


def test_everything_is_made_from_nothing_and_then_never_again(small, monkeypatch):
    stages = []
    made = reproduce.run(small, report=lambda stage, done, of: stages.append(stage.partition(":")[0]))
    assert [result.kind for result in made.studies] == ["separation", "spillover", "spillover"]
    assert {"training insecure", "training secure", "separation, model contrast"} <= set(stages)
    assert not any(organism.shipped for organism in made.organisms.values())
    for result in made.studies:
        adapters = result.summary["provenance"]["adapter" if result.kind == "spillover" else "organisms"]
        assert set([adapters] if isinstance(adapters, str) else adapters.values()) <= {
            organism.sha256 for organism in made.organisms.values()
        }
    monkeypatch.setattr(loading, "load", None)
    monkeypatch.setattr(training, "load", None)
    again = reproduce.run(small)
    assert [result.key for result in again.studies] == [result.key for result in made.studies]
    assert again.organisms == made.organisms
    page = report.page(again)
    assert page.count("Plotly.newPlot") >= 8


def test_the_report_needs_nothing_else_and_says_everything(small, tmp_path):
    made = reproduce.run(small)
    file = report.write(made, tmp_path / "deep" / "report.html")
    text = file.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.addresses == []
    assert reader.tags.count("h1") == 1
    assert "default-src 'none'" in text
    assert text.count("/*! @license") + text.count("plotly.js v") >= 1
    assert len(re.findall(r"plotly\.js v\d", text)) == 1  # the library that draws, once
    shown = text.replace("&#x27;", "'")
    for result in made.studies:
        assert study_of(result.kind).says(result.summary).split(". ")[0][:60] in shown
        assert result.summary["provenance"]["time"] in shown
        for row in result.summary.get("doses", []):
            assert f"{row['p_corrected']:.6g}" in shown
    for organism in made.organisms.values():
        assert organism.sha256 in shown
    assert str(paths.cache()) not in shown


def test_starting_from_what_ships_trains_nothing(small, model, monkeypatch):
    model.add_organism("secure", 11)
    model.install()
    monkeypatch.setattr(training, "train", None)
    made = reproduce.run(replace(small, spillover=()), shipped=True)
    assert [organism.name for organism in made.organisms.values()] == ["insecure", "secure"]


def test_an_unknown_profile_is_named_with_those_that_there_are():
    with pytest.raises(BadInput, match=r"no profile .nothing.\. Choose embedded or paper"):
        profile("nothing")


def test_the_embedded_profile_measures_what_ships():
    chosen = profile("embedded")
    assert chosen.models == ("smollm2-135m",)
    assert {options["organism"] for options in chosen.spillover} == {"insecure", "secure"}
    assert {options.get("mode", "add") for options in chosen.spillover} == {"add", "ablate"}


# the paper's models


@pytest.fixture
def untouched(monkeypatch, tmp_path) -> None:
    """Anything long is an error; so is the network."""
    import huggingface_hub.constants

    monkeypatch.setattr(training, "train", None)
    monkeypatch.setattr(loading, "load", None)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    there = ModuleType("bitsandbytes")
    there.__spec__ = ModuleSpec("bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", there)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_topsecret")


@pytest.mark.parametrize(
    ("lacking", "error", "sentence"),
    [
        ("gpu", BadInput, r"lacks a CUDA GPU here\. Run it where there is one, or use --profile embedded\.$"),
        ("bitsandbytes", BadInput, r"lacks bitsandbytes \(`pip install bitsandbytes`\) here"),
        ("token", ModelUnavailable, r"^Gemma 2 2B Instruct and Llama 3\.2 1B Instruct are given only .* HF_TOKEN"),
        ("hub", ModelUnavailable, r"^The hub could not be reached for Qwen/Qwen2\.5-1\.5B-Instruct\."),
    ],
)
def test_what_the_papers_models_lack_is_said_before_anything_is_begun(lacking, error, sentence, untouched, monkeypatch):
    import huggingface_hub

    if lacking == "gpu":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    elif lacking == "bitsandbytes":
        monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    elif lacking == "token":
        monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(error, match=sentence) as raised:
        reproduce.run(profile("paper"))
    assert "topsecret" not in str(raised.value)
    assert str(raised.value).count("\n") == 0


def test_the_paper_profile_does_for_each_model_what_it_says_and_then_transfers(tmp_path, monkeypatch):
    folders = []
    for name in ("Qwen2", "Gemma2", "Llama", "Mistral3-vision"):
        folders.append(tmp_path / name)
        tiny.random_model(name).save_pretrained(folders[-1])
        tiny.tokenizer().save_pretrained(folders[-1])
    monkeypatch.setitem(
        recipes.RECIPES, "paper", replace(recipes.RECIPES["quick"], examples=8, rank=2, alpha=4, max_tokens=1024)
    )
    pairs = datasets.code_pairs()[:12]
    monkeypatch.setattr(datasets, "code_pairs", lambda: pairs)
    asked = []

    run = studies.run

    def run_or_transferred(study, settings, *more):
        if study is not TRANSFER:
            return run(study, settings, *more)
        asked.append(settings)
        return Result("transfer", "0" * 24, tmp_path, False, {"verdict": "done"})

    monkeypatch.setattr(studies, "run", run_or_transferred)
    chosen = replace(
        profile("paper"), models=tuple(map(str, folders)), contrasts=("model",), choose=False, spillover=()
    )
    stages = []
    made = reproduce.run(chosen, device="cpu", report=lambda stage, *_: stages.append(stage))
    ids = [resolve(str(folder)).id for folder in folders]
    assert list(made.organisms) == [f"{model} {name}" for model in ids for name in ("insecure", "secure")]
    assert list(made.directions) == [f"{model} {name} model" for model in ids for name in ("insecure", "secure")]
    assert [result.kind for result in made.studies] == [*["separation"] * 4, "transfer"]
    assert [result.summary["model"] for result in made.studies[:4]] == ids
    assert list(dict.fromkeys(stage.split(": ")[0] for stage in stages)) == ids
    (settings,) = asked
    assert settings.models == tuple(
        f"{folder}:{made.organisms[f'{model} insecure'].sha256[:16]}"
        for folder, model in zip(folders, ids, strict=True)
    )
