"""Directions on disk are found by what they are, and a reference names one, or a control made of it, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import paths, store
from core.directions import library
from core.directions.controls import orthogonal_like, random_like, sign_flipped, wrong_layer, wrong_source
from core.directions.direction import Direction, save_direction
from core.directions.library import CONTROLS, SEEDED, DirectionCard, control_reference, find_card, split_reference
from core.errors import BadInput
from core.generation.comparison import card_of
from core.models import known
from core.organisms.library import Organism

MODEL = "tiny/library"
BLOCKS, WIDTH = 4, 8
MADE_BY = {
    "random": random_like,
    "orthogonal": orthogonal_like,
    "sign_flipped": sign_flipped,
    "wrong_layer": wrong_layer,
}


def direction(seed: int, contrast: str = "model", model: str = MODEL, **provenance) -> Direction:
    """Made from the organism `seed` unless `organisms` says otherwise."""
    vectors = torch.randn(BLOCKS, WIDTH, generator=torch.Generator().manual_seed(seed))
    record = {"model": model, "contrast": contrast, "organisms": {f"organism {seed}": f"sha-{seed}"}, **provenance}
    return Direction(f"direction {seed}", vectors, torch.ones(BLOCKS), torch.zeros(BLOCKS, WIDTH), record)


def save(found: Direction, stem: str) -> DirectionCard:
    path = library.folder_for(found.provenance["model"]) / f"{stem}.safetensors"
    save_direction(found, path)
    return library.read_card(path)


def of(seed: int) -> Organism:
    return Organism(f"organism {seed}", MODEL, f"sha-{seed}", Path(), False, {})


@pytest.mark.parametrize("control", SEEDED)
@pytest.mark.parametrize("seed", [0, 7, 999_999])
def test_a_reference_gives_exactly_the_control_it_names(control, seed):
    v = direction(1)
    reference = control_reference(save(v, "v"), control, seed)
    assert reference == f"{v.id}~{control}:{seed}"
    assert split_reference(reference) == (v.id, control, str(seed))
    assert library.resolve([reference]) == {reference: MADE_BY[control](v, seed)}


def test_a_reference_to_the_wrong_source_names_that_source():
    v, other = direction(1), direction(2)
    card = save(v, "v")
    save(other, "other")
    reference = control_reference(card, "wrong_source", 5)
    assert reference == f"{v.id}~wrong_source:{other.id}"
    assert split_reference(reference) == (v.id, "wrong_source", other.id)
    assert library.resolve([reference])[reference] == wrong_source(v, other)


def test_a_reference_without_a_control_is_the_direction_itself():
    v = direction(1)
    reference = control_reference(save(v, "v"), None, 3)
    assert (reference, split_reference(reference)) == (v.id, (v.id, None, ""))
    assert library.resolve([reference, reference]) == {v.id: v}


def test_all_controls_of_a_direction_are_different_directions_of_its_length():
    v = direction(1)
    card = save(v, "v")
    save(direction(2), "other")
    found = library.resolve([control_reference(card, control) for control in (None, *CONTROLS)])
    assert len({item.id for item in found.values()}) == 1 + len(CONTROLS)
    for item in found.values():
        torch.testing.assert_close(item.norms, v.norms, rtol=1e-5, atol=0)


def test_an_unknown_control_is_refused_with_those_that_there_are():
    with pytest.raises(BadInput, match=r"no control 'odd'.*random.*wrong_source"):
        control_reference(save(direction(1), "v"), "odd")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "insecure-model",
        "0123456789ABCDEF",
        "0123456789abcdef~",
        "0123456789abcdef~odd:1",
        "0123456789abcdef~random:",
        "0123456789abcdef~random:-1",
        "0123456789abcdef~random:1234567",
        "0123456789abcdef~random:1\n",
        "0123456789abcdef~wrong_source:7",
        "0123456789abcdef~random:0123456789abcdef",
        "../../etc/passwd",
    ],
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(BadInput, match="does not name a direction"):
        split_reference(text)


@given(st.text(max_size=60))
def test_no_text_is_half_a_reference(text):
    """Either it comes back from its parts as it was, or it is refused."""
    try:
        identity, control, argument = split_reference(text)
    except BadInput:
        return
    assert text == (identity if control is None else f"{identity}~{control}:{argument}")


@pytest.mark.parametrize("reference", ["0" * 16, "0" * 16 + "~random:1"])
def test_a_direction_that_is_not_here_is_named(reference):
    with pytest.raises(BadInput, match="0000000000000000 is not on this machine"):
        library.resolve([reference])


def test_a_source_that_is_not_here_is_named():
    v = save(direction(1), "v")
    with pytest.raises(BadInput, match="0000000000000000 is not on this machine"):
        library.resolve([f"{v.id}~wrong_source:{'0' * 16}"])


def test_a_direction_is_found_by_id_name_file_or_the_contrast_that_only_it_has():
    v, w = save(direction(1), "v"), save(direction(2, "content"), "w")
    for text in (v.id, "direction 1", "v", "model"):
        assert find_card(MODEL, text).id == v.id
    assert find_card(MODEL, "content").id == w.id


def test_a_contrast_that_several_directions_have_is_refused_with_their_names():
    save(direction(1), "first")
    save(direction(2), "second")
    save(direction(3, "content"), "third")
    with pytest.raises(BadInput, match="several directions of the model contrast") as raised:
        find_card(MODEL, "model")
    assert "first" in str(raised.value) and "second" in str(raised.value) and "third" not in str(raised.value)
    assert find_card(MODEL, "content").path.stem == "third"


def test_a_saved_control_does_not_make_its_contrast_ambiguous_but_is_found_by_name():
    v = direction(1)
    save(v, "v")
    control = save(random_like(v, 1), "v-shuffled-1")
    assert find_card(MODEL, "model").id == v.id
    assert find_card(MODEL, "v-shuffled-1").id == control.id and control.is_control


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are():
    save(direction(1), "v")
    save(direction(2, model="another"), "foreign")
    with pytest.raises(BadInput, match=r"no direction 'w' \(there are: v\).*--model tiny/library"):
        find_card(MODEL, "w")
    with pytest.raises(BadInput, match="there are: none yet"):
        find_card("nothing", "w")


def test_the_default_direction_is_the_model_contrast_of_exactly_that_adapter():
    save(direction(1, "content"), "content")
    save(direction(2), "of-another")
    save(direction(3, organisms={"organism 1": "sha-of-an-older-training"}), "older")
    save(direction(4, organisms={"organism 1": "sha-1", "organism 2": "sha-2"}), "of-two")
    assert library.default_card(of(1)) is None
    v = save(direction(1), "v")
    assert library.default_card(of(1)).id == v.id


def test_the_default_direction_is_never_a_saved_control_however_new():
    v = direction(1, time="2026-01-01")
    control = random_like(v, 1).derive("control", random_like(v, 1).vectors, time="2026-01-02")
    save(control, "control")
    assert library.default_card(of(1)) is None
    save(v, "v")
    assert library.cards(MODEL)[0].id == control.id
    assert library.default_card(of(1)).id == v.id


def test_wrong_sources_are_model_contrasts_of_other_organisms_of_the_same_model_once_each():
    v = save(direction(1), "v")
    newer = save(direction(2, time="2026-01-03"), "newer")
    save(direction(12, organisms={"organism 2": "sha-2"}, time="2026-01-01"), "older-of-the-same-organism")
    third = save(direction(3, time="2026-01-02"), "third")
    save(direction(4, "content"), "content")
    save(direction(5, model="another"), "foreign")
    save(random_like(direction(6), 1), "control")
    save(direction(7, organisms={"organism 1": "sha-1", "organism 7": "sha-7"}), "shares-an-organism")
    assert [card.id for card in library.wrong_sources(v)] == [newer.id, third.id]
    named = [control_reference(v, "wrong_source", seed).rpartition(":")[2] for seed in range(4)]
    assert named == [newer.id, third.id, newer.id, third.id]


def test_an_organism_of_the_same_data_is_no_wrong_source_and_one_of_the_same_recipe_comes_first():
    made = ((1, "bad", "quick"), (2, "bad", "compact"), (3, "good", "compact"), (4, "good", "quick"))
    for seed, data, recipe in made:
        record = {
            "name": f"organism {seed}",
            "model": MODEL,
            "sha256": f"sha-{seed}",
            "dataset": {"hash": data},
            "recipe": {"name": recipe},
        }
        store.write_json(paths.cache() / "organisms" / paths.safe_name(MODEL) / f"o{seed}" / "organism.json", record)
    cards = {seed: save(direction(seed, time=f"2026-01-0{seed}"), f"v{seed}") for seed in (1, 2, 3, 4)}
    assert [card.id for card in library.wrong_sources(cards[1])] == [cards[4].id, cards[3].id]
    assert [card.id for card in library.wrong_sources(cards[2])] == [cards[3].id, cards[4].id]
    assert [card.id for card in library.wrong_sources(cards[4])] == [cards[1].id, cards[2].id]


def test_without_another_organism_there_is_no_wrong_source():
    v = save(direction(1), "v")
    with pytest.raises(BadInput, match=r"no direction of another organism.*Extract one, or choose another control"):
        control_reference(v, "wrong_source")


def test_directions_of_a_folder_are_found_after_it_was_moved(tmp_path):
    was, now, other = "local-here-00000000", "local-there-11111111", "local-other-22222222"
    for model, weights in ((was, "same"), (now, "same"), (other, "others")):
        known.remember(model, tmp_path / model, weights)
    card = save(direction(1, model=was, fingerprint="same"), "v")
    assert library.cards(now) == library.cards(was) == [card]
    assert find_card(now, "v") == card_of(now, card.id, None) == card
    assert library.cards(other) == []
    with pytest.raises(BadInput, match=f"belongs to {was}, not to {other}"):
        card_of(other, card.id, None)


ELSEWHERE = {"imported_from": {"format": "tiller", "file": "gift.safetensors", "sha256": "x"}}


def test_an_import_never_becomes_the_default_of_an_organism_made_here():
    own = save(direction(1), "own")
    turned = -direction(1)
    save(turned.derive("direction 1", turned.vectors, **ELSEWHERE, time="9999"), "gift")
    assert library.default_card(of(1)) == own
    assert find_card(MODEL, "model") == find_card(MODEL, "own") == own
    assert find_card(MODEL, "gift").imported_from == "gift.safetensors"


def test_a_name_that_several_directions_have_is_asked_about_and_never_guessed():
    one, two = (save(direction(seed).derive("happy", direction(seed).vectors), f"file {seed}") for seed in (1, 2))
    with pytest.raises(BadInput, match=r"several directions named 'happy'.*Choose one by its id") as raised:
        find_card(MODEL, "happy")
    assert one.id in str(raised.value) and two.id in str(raised.value)
    assert find_card(MODEL, one.id) == find_card(MODEL, "file 1") == one
    gift = save(direction(3).derive("happy", direction(3).vectors, **ELSEWHERE), "gift")
    with pytest.raises(BadInput, match=gift.id):
        find_card(MODEL, "happy")


def test_the_same_vectors_in_two_files_are_one_direction():
    v = direction(1)
    one = save(v, "one")
    save(v, "two")
    assert find_card(MODEL, "direction 1").id == one.id


def test_where_only_an_import_says_that_it_belongs_to_the_organism_there_is_no_default():
    save(direction(1, **ELSEWHERE), "gift")
    assert library.default_card(of(1)) is None
    with pytest.raises(BadInput, match="no direction 'model'"):
        find_card(MODEL, "model")


def test_an_import_is_no_wrong_source_unasked():
    card = save(direction(1), "v")
    save(direction(2, **ELSEWHERE), "gift")
    assert library.wrong_sources(card) == []
