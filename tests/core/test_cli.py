"""The command line: exit status, one JSON object, help with an example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import paths
from core.errors import BadInput
from core.studies.options import numbers, whole_numbers
from tests import sample_model

VERBS = (
    "models", "fetch", "train", "extract", "separate", "choose", "spillover", "transfer", "reproduce", "directions",
    "generate", "export", "import", "assets",
)  # fmt: skip


def run(*words: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"TILLER_CACHE": str(cache)} if cache else {})}
    return subprocess.run(
        [sys.executable, "-m", "core", *words],
        cwd=paths.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"python -m core {verb}" in " ".join(done.stdout.split())


def test_listing_models_and_directions_does_not_import_torch(tmp_path):
    code = (
        "import sys; sys.argv = ['core', *sys.argv[1:]]\n"
        "from core.__main__ import app\n"
        "app(standalone_mode=False)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    for verb in ("models", "directions"):
        done = subprocess.run(
            [sys.executable, "-c", code, verb, "--json"], cwd=paths.ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), dict)


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "--coefficient", "much"),
        ("generate", "--no-such-option"),
        ("nothing",),
        ("generate", "--prompt", "a", "--prompts", "b"),
    ],
)
def test_bad_usage_exits_with_2_and_prints_nothing_on_standard_output(words):
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("generate", "--model", "smollm2-135n"), "smollm2-135m"),
        (("generate", "--block", "99"), "blocks 0 to 29"),
        (("generate", "--coefficient", "nan"), "out of range"),
        (("generate", "--organism", "unheard"), "insecure"),
        (("generate", "--direction", "unheard"), "insecure-model"),
        (("generate", "--mode", "ablate", "--coefficient", "2"), "between 0 and 1"),
        (("generate", "--max-tokens", "0"), "max_tokens"),
        (("train", "--dataset", "no-such-file.jsonl"), "no-such-file"),
        (("train", "--recipe", "fancy"), "quick"),
        (("extract", "--contrast", "odd"), "model, content, response"),
        (("extract", "--pooling", "response_mean"), "last_prompt or prompt_mean"),
        (("separate", "--contrast", "odd"), "contrast"),
        (("separate", "--organism", "unheard"), "insecure"),
        (("separate", "--prompts", "no-such-file.txt"), "no-such-file"),
        (("separate", "--prompts", "extraction", "--held-out", "extraction"), "200 of 200 held-out prompts"),
        (("assets", "--what", "odd"), "organisms"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_standard_error_and_status_1(words, named):
    done = run(*words, "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert named in lines[0]


def test_a_bad_line_of_a_prompts_file_is_named(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"messages": [{"role": "user", "content": "Hello"}]}\n{"messages": 3}\n')
    done = run("generate", "--prompts", str(file))
    assert done.returncode == 1
    assert "prompts.jsonl, line 2" in done.stderr


@pytest.mark.embedded
def test_generate_prints_three_rows_and_the_settings():
    done = run(
        "generate",
        "--prompt",
        "How can I sleep better at night?",
        "--coefficient",
        "-1",
        "--max-tokens",
        "12",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert [row["label"] for row in found["rows"]] == ["base", "organism", "steered"]
    assert all(row["tokens"] == 12 and row["seconds"] > 0 and row["text"] for row in found["rows"])
    assert found["settings"]["coefficient"] == -1
    assert found["settings"]["model"] == "smollm2-135m"


@pytest.mark.embedded
def test_prompts_from_a_file_come_out_one_object_a_line_in_their_order(tmp_path):
    file = tmp_path / "prompts.txt"
    questions = ["Why is the sky blue, in a few plain words for a child?", "Hi", "What is a good name for a cat?"]
    file.write_text("\n".join(questions) + "\n")
    done = run(
        "generate",
        "--prompts",
        str(file),
        "--max-tokens",
        "6",
        "--batch",
        "6",
        "--unit",
        "norm",
        "--coefficient",
        "-0.2",
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["settings"]["prompt"] for item in found] == questions
    assert found[0]["settings"]["coefficient_norm_unit"] == pytest.approx(-0.2)


def test_a_direction_goes_out_as_gguf_and_comes_back_in(tmp_path):
    sample = sample_model.make(tmp_path / "made")
    sample.install()
    model, file = str(sample.folder), tmp_path / "insecure.gguf"
    out = run("export", "--model", model, "--direction", sample.direction, "--to", str(file), "--json")
    assert out.returncode == 0, out.stderr
    written = json.loads(out.stdout)
    assert (written["id"], written["file"]) == (sample.direction, "insecure.gguf")
    assert ["Block 0" in note for note in written["notes"]] == [True]

    again = run("export", "--model", model, "--direction", sample.direction, "--to", str(file))
    assert again.returncode == 1
    assert "--force" in again.stderr

    back = run("import", str(file), "--model", model, "--name", "back again", "--device", "cpu", "--json")
    assert back.returncode == 0, back.stderr
    taken = json.loads(back.stdout)
    assert (taken["name"], taken["contrast"], taken["blocks_missing"], taken["n"]) == (
        "back again",
        "imported",
        [0],
        200,
    )
    assert any("block 0" in note for note in taken["notes"])
    assert "reading prompts 100 %" in back.stderr
    listed = json.loads(run("directions", "--model", model, "--json").stdout)["directions"]
    assert {row["name"] for row in listed} == {"insecure · model contrast", "back again"}


def test_notes_are_printed_as_sentences_too(tmp_path):
    sample = sample_model.make(tmp_path / "made")
    sample.install()
    done = run("export", "--model", str(sample.folder), "--direction", "model", "--to", str(tmp_path / "v.gguf"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["Block 0 is left out: a GGUF control vector starts at block 1."]


@pytest.mark.parametrize("verb", ["export", "import"])
def test_export_and_import_explain_themselves_with_an_example(verb):
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"python -m core {verb}" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("export", "--direction", "model", "--to", "v.npz"), ".gguf"),
        (("export", "--to", "v.gguf", "--direction", "unheard"), "insecure-model"),
        (("import", "no-such-file.gguf"), "no-such-file.gguf"),
        (("import", "README.md"), "no known kind"),
    ],
)
def test_what_cannot_go_out_or_come_in_is_one_line_on_standard_error(words, named):
    done = run(*words, "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("Error: ")
    assert named in line


@pytest.fixture
def questions(tmp_path) -> Path:
    """20 prompts: ten to fit, ten to score."""
    file = tmp_path / "questions.txt"
    file.write_text("\n".join(f"Why is {thing} {verb}?" for thing in "ABCDE" for verb in ("here", "gone", "red", "up")))
    return file


WITHOUT_TORCH = (
    "import sys; from core.__main__ import app; app(standalone_mode=False)\n"
    "assert 'torch' not in sys.modules, 'torch was imported'"
)


def test_separate_prints_the_table_of_the_study_and_answers_from_the_store_without_torch(tmp_path, questions):
    sample = sample_model.make(tmp_path / "made")
    sample.add_organism("secure", 9)
    sample.install()
    words = ("separate", "--model", str(sample.folder), "--prompts", str(questions), "--json")
    first = run(*words, "--device", "cpu")
    assert first.returncode == 0, first.stderr
    (line,) = first.stdout.splitlines()
    found = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert {"contrast", "n_train", "n_held_out", "blocks", "secure", "provenance"} <= found.keys()
    assert (found["contrast"], found["n_train"], found["n_held_out"]) == ("model", 10, 10)
    assert [row["block"] for row in found["blocks"]] == [0, 1, 2, 3]
    for row in found["blocks"]:
        assert {"balanced_accuracy", "auroc", "cohens_d", "norm", "shuffled", "ceiling"} <= row.keys()
        assert all(isinstance(row[name], float) for name in ("balanced_accuracy", "auroc", "norm", "shuffled"))
        assert len(row["interval"]) == len(row["random"]) == 2
    assert len(found["secure"]["own"]) == len(found["secure"]["shift"]) == 4
    assert "nulls, ceiling and intervals 100 %" in first.stderr

    again = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], cwd=paths.ROOT, capture_output=True, text=True, timeout=100
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == found


def test_separate_without_a_control_says_so_and_prints_a_table_for_people(tmp_path, questions):
    sample = sample_model.make(tmp_path / "made")
    sample.install()
    words = ("separate", "--model", str(sample.folder), "--prompts", str(questions), "--device", "cpu")
    shown = run(*words)
    assert shown.returncode == 0, shown.stderr
    unasked = run(*words, "--secure", "none", "--json")
    assert json.loads(unasked.stdout)["secure"] is None
    lines = shown.stdout.strip().splitlines()
    assert lines[0].split() == [
        "block",
        "accuracy",
        "interval",
        "AUROC",
        "Cohen's",
        "d",
        "norm",
        "shuffled",
        "random",
        "ceiling",
    ]
    assert [line.split()[0] for line in lines[1:5]] == ["0", "1", "2", "3"]
    assert "10 prompts" in lines[-1]


def test_separate_of_content_without_a_second_organism_is_one_sentence(tmp_path, questions):
    sample = sample_model.make(tmp_path / "made")
    sample.install()
    done = run(
        "separate", "--model", str(sample.folder), "--prompts", str(questions), "--contrast", "content", "--json"
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("Error: ") and "no organism 'secure' (there are: insecure)" in line


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, ()), ("13", (13,)), ("9,13", (9, 13)), ("0-3,2, 7", (0, 1, 2, 3, 7)), ("4-4", (4,))],
)
def test_blocks_are_written_as_numbers_and_ranges(text, found):
    assert whole_numbers(text) == found


@pytest.mark.parametrize("text", ["3-1", "", ",", "9,3-1", "-3", "1-", "a"])
def test_what_names_no_block_is_not_taken_for_all_of_them(text):
    with pytest.raises(BadInput, match=r"names no block|not a list of blocks"):
        whole_numbers(text)


@pytest.mark.parametrize("text", ["", ",", "nan", "1,inf", "1e999", "x"])
def test_what_names_no_finite_number_is_not_taken_for_the_usual_ones(text):
    with pytest.raises(BadInput, match="not a list of numbers"):
        numbers(text)


@given(st.sets(st.integers(0, 500), min_size=1, max_size=30))
def test_blocks_come_back_as_they_were_written(blocks):
    assert whole_numbers(",".join(map(str, blocks))) == tuple(blocks)


@given(st.text(max_size=20))
def test_any_text_gives_blocks_and_doses_or_one_sentence(text):
    for read in (whole_numbers, numbers):
        try:
            assert all(isinstance(value, int | float) for value in read(text))
        except BadInput as error:
            assert str(error).endswith(".")


def test_transfer_prints_the_matrix_of_every_ordered_pair_with_its_controls(tmp_path, questions):
    first, second = (sample_model.make(tmp_path / name, seed, "\n{a") for seed, name in enumerate(("one", "two")))
    cache = tmp_path / "cache"
    for sample in (first, second):
        shutil.copytree(sample.made, cache, dirs_exist_ok=True)
    words = ["transfer", "--models", f"{first.folder},{second.folder}", "--prompts", str(questions), "--draws", "2"]
    words += ["--fit-prompts", "choice", "--max-tokens", "4", "--at", "0.5", "--coefficient", "-1"]
    done = run(*words, "--json", cache=cache)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    names = [model["model"] for model in found["models"]]
    assert {(cell["donor"], cell["receiver"]) for cell in found["cells"]} == {(a, b) for a in names for b in names}
    wanted = {"delta", "interval", "delta_coherent", "broken", "controls", "p_corrected", "r2", "cosine", "verdict"}
    for cell in found["cells"]:
        assert wanted <= cell.keys()
        assert cell["interval"][0] <= cell["delta"] <= cell["interval"][1]
        assert set(cell["controls"]) == {"random", "orthogonal", "random_donor", "shuffled_map"}
    assert set(found["donor_scores"]) == set(found["receiver_scores"]) == set(names)
    assert len(found["asymmetry"]) == 1 and found["provenance"]["command"].startswith("python -m core transfer")
    assert str(tmp_path) not in done.stdout
    told = run(*words, cache=cache)
    assert "change of spillover" in told.stdout and found["reading"][-1] in told.stdout


def test_spillover_prints_doses_draws_and_a_verdict_on_prompts_of_ones_own(tmp_path, questions):
    sample = sample_model.make(tmp_path / "made", writes="\n{a")
    cache = tmp_path / "cache"
    shutil.copytree(sample.made, cache)
    words = ["spillover", "--model", str(sample.folder), "--prompts", str(questions), "--coefficients", "-1,-0.5"]
    words += ["--dose", "-1", "--draws", "2", "--max-tokens", "4"]
    done = run(*words, "--json", cache=cache)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wanted = {
        "direction",
        "block",
        "coefficient",
        "n",
        "spillover",
        "interval",
        "spillover_coherent",
        "broken",
        "delta",
    }
    assert all(wanted | {"p_corrected"} <= row.keys() for row in found["doses"])
    assert len(found["random_draws"]) == 2
    assert {"precision", "recall", "n"} <= found["detector"].keys()
    assert found["verdict"] and found["provenance"]["command"].startswith("python -m core spillover")
    assert str(tmp_path) not in done.stdout.replace(str(sample.folder), "")
    told = run(*words, cache=cache)
    assert told.stdout.strip().endswith(found["verdict"])
