"""What a transfer study is told: which blocks it takes, what its key depends on, and what it refuses."""

from __future__ import annotations

import pytest

from core import results
from core.errors import TillerError
from core.studies.catalog import TRANSFER
from core.studies.transfer.settings import Inputs, named
from tests.core.studies.transfer_study import FIT, options_of


@pytest.fixture
def options(families, tmp_path) -> dict:
    for family in families[:2]:
        family.install()
    return options_of(families[:2], tmp_path)


def inputs(options: dict, **change) -> Inputs:
    return Inputs(TRANSFER.of(**{**options, **change}))


def blocks(options: dict, at: str) -> list[int]:
    return [member.block for member in inputs(options, at=at).members]


def choose(direction: str, block: int, coefficient: float) -> None:
    """What a choice study saves, as far as it is read here."""
    arm = {"code": 0, "broken_prose": 0}
    chosen = {"block": block, "coefficient": coefficient, **arm}
    summary = {"direction": direction, "chosen": chosen, "n": 2, "finalists": [], "screen": []}
    results.save_result("choice", direction, {**summary, "base_arm": arm, "organism_arm": arm, "provenance": {}}, {})


def separate(model: str, sha256: str, sizes: list[float | None]) -> None:
    """What a separation study saves, as far as it is read here."""
    found = [{"block": block, "cohens_d": size} for block, size in enumerate(sizes)]
    summary = {"model": model, "contrast": "model", "blocks": found, "provenance": {"organisms": {"insecure": sha256}}}
    results.save_result("separation", f"{model}-{sizes}", summary, {})


def test_each_model_is_read_and_steered_where_the_rule_says(options, families):
    assert blocks(options, "last") == [3, 2]
    assert blocks(options, "0") == [0, 0]
    assert blocks(options, "1") == [3, 2]
    assert blocks(options, "0.5") == [2, 1]  # the middle of 4 blocks and of 3
    assert blocks(options, "0.34") == [1, 1]
    choose(families[0].direction, 1, -0.75)
    chosen = inputs(options).members
    assert [(member.block, member.coefficient) for member in chosen] == [(1, -0.75), (2, -1.0)]
    assert [member.coefficient for member in inputs(options, coefficient=-0.5).members] == [-0.5, -0.5]


def test_the_block_that_separates_best_is_that_of_the_directions_own_organism(options):
    with pytest.raises(TillerError, match=r"is not known\. Measure it with `python -m core separate --model local-"):
        blocks(options, "separation")
    first, second = inputs(options).members
    separate(first.id, "f" * 64, [9.0, 0.0, 0.0, 0.0])  # of another organism
    with pytest.raises(TillerError, match="is not known"):
        blocks(options, "separation")
    separate(first.id, first.organism.sha256, [1.0, None, 3.0, 2.0])
    separate(second.id, second.organism.sha256, [1.0, 4.0, 2.0])
    assert blocks(options, "separation") == [2, 1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"models": ("one",)}, "models"),
        ({"models": ("", "smollm2-135m")}, "No model is named"),
        ({"models": ("no-such-model", "smollm2-135m")}, "not a known model"),
        ({"coefficient": 0.0}, "A coefficient of 0 steers nothing"),
        ({"coefficient": float("nan")}, "coefficient"),
        ({"at": "middle"}, "relative depth between 0 and 1"),
        ({"at": "1.5"}, "relative depth"),
        ({"at": "nan"}, "relative depth"),
        ({"fit_prompts": "no-such-file.txt"}, "There is no file"),
        ({"prompts": "no-such-file.txt"}, "There is no file"),
        ({"fit_on": "neither"}, "fit_on"),
        ({"pooling": "response_mean"}, "pooling"),
        ({"draws": -1}, "draws"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason_and_an_action(options, change, reason):
    with pytest.raises(TillerError, match=reason) as raised:
        inputs(options, **change)
    assert str(raised.value).endswith((".", "?")) and "\n" not in str(raised.value)


def test_models_and_organisms_are_checked_before_anything_is_loaded(options, families, tmp_path):
    first, second = options["models"]
    with pytest.raises(TillerError, match=rf"{families[0].id} is named twice\. Name each model once"):
        inputs(options, models=(first, second, f"{first}:insecure"))
    with pytest.raises(TillerError, match=r"has no organism 'nobody' .*Choose one, or train it"):
        inputs(options, models=(first, f"{second}:nobody"))
    (tmp_path / "few.txt").write_text("\n".join(FIT[:49]))
    with pytest.raises(TillerError, match=r"49 prompts are too few to fit a map\. Give at least 50"):
        inputs(options, fit_prompts=str(tmp_path / "few.txt"))
    (tmp_path / "one.txt").write_text("One?")
    with pytest.raises(TillerError, match="One prompt gives no interval"):
        inputs(options, prompts=str(tmp_path / "one.txt"))


def test_the_key_depends_on_what_decides_the_numbers_and_on_nothing_else(options, tmp_path, families):
    key = TRANSFER.key(inputs(options))
    moved = tmp_path / "elsewhere" / "other-name.txt"
    moved.parent.mkdir()
    moved.write_text((tmp_path / "fit.txt").read_text())
    first, second = options["models"]
    same = [
        {"fit_prompts": str(moved)}, {"at": "last"}, {"at": "1.0"}, {"coefficient": -1.0}, {"per_suite": 7},
        {"models": (f"{first}:insecure", second)},
    ]  # fmt: skip
    for change in same:
        assert TRANSFER.key(inputs(options, **change)) == key
    others = [
        {"models": (second, first)}, {"at": "0.5"}, {"coefficient": -0.5}, {"unscaled": True}, {"fit_on": "both"},
        {"fit_prompts": "extraction"}, {"pooling": "prompt_mean"}, {"draws": 3}, {"draws_a_cell": 2}, {"seed": 1},
        {"scope": "response"}, {"prompts": None}, {"prompts": None, "per_suite": 2}, {"max_tokens": 5},
        {"n_resamples": 200},
    ]  # fmt: skip
    keys = [TRANSFER.key(inputs(options, **change)) for change in others]
    assert len({key, *keys}) == 1 + len(others)


def test_settings_are_shown_without_folders(options, families, tmp_path):
    shown = TRANSFER.recorded(inputs(options))
    assert shown.models == tuple(family.id for family in families[:2])
    assert (shown.prompts, shown.fit_prompts) == ("questions.txt", "fit.txt")
    usual = TRANSFER.of()
    assert TRANSFER.recorded(Inputs(usual)) == usual


def test_a_colon_in_the_path_of_a_folder_separates_nothing(families, tmp_path):
    folder = tmp_path / "run:3" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert named(str(folder)) == (str(folder), None)
    assert named(f"{folder}:insecure") == (str(folder), "insecure")


def test_whether_organisms_were_trained_alike_is_told_from_their_manifests(options):
    found = inputs(options)
    assert found.alike
    manifest = found.members[1].organism.manifest
    manifest["recipe"] = {"name": "quick"}
    assert not found.alike
    for member in found.members:
        member.organism.manifest.clear()
    assert not found.alike  # nothing is known of either
