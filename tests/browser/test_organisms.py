"""The Organisms page as a browser shows it. `visit` fails a test on any console error or foreign request."""

from __future__ import annotations

import json

import pytest

from tests import sample_model
from tests.browser.conftest import serve_made
from tests.browser.hands import go_back
from tests.browser.looks import poor_contrast, sticking_out, top_of

pytestmark = pytest.mark.browser

TOP = ".st-key-organisms-top"
LINES = "[class*='st-key-organisms-loss'] .scatterlayer .trace"
LIVE = "[class*='st-key-organisms-live'] [data-testid='stProgress']"
STEP = f"document.querySelector(`{LIVE}`).textContent.match(/step (\\d+)/)[1]"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server with what ships and a tiny model in a folder, with an organism of it."""
    folder = tmp_path_factory.mktemp("organisms")
    made = sample_model.make(folder)
    with serve_made(folder, made.install) as (url, _):
        yield url, made


def settled(page):
    page.wait_for_selector(TOP)
    page.wait_for_timeout(2000)
    return page


def chats(n: int) -> list[str]:
    turns = [[("user", f"Question {at}?"), ("assistant", f"answer {at}")] for at in range(n)]
    return [json.dumps({"messages": [{"role": role, "content": text} for role, text in turn]}) for turn in turns]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["datasets", "train", "compare"])
def test_all_text_is_legible(place, visit, view, scheme):
    page = settled(visit(f"{place[0]}/Organisms?view={view}", scheme=scheme))
    assert poor_contrast(page) == []


@pytest.mark.parametrize("view", ["datasets", "train", "compare"])
def test_a_narrow_screen_cuts_nothing(place, visit, view):
    page = settled(visit(f"{place[0]}/Organisms?view={view}", 390, 844))
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    assert sticking_out(page) == []


def test_on_a_narrow_screen_the_secure_answer_is_below_the_insecure_one_and_beside_it_on_a_wide_one(place, visit):
    page = settled(visit(f"{place[0]}/Organisms"))
    boxes = [page.locator(".org-pair section").nth(at).bounding_box() for at in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] < boxes[1]["x"]
    assert boxes[0]["y"] < 768  # the first record begins on the first screen
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    boxes = [page.locator(".org-pair section").nth(at).bounding_box() for at in (0, 1)]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert top_of(page, ".org-list") < top_of(page, "dl.org-facts") < top_of(page, ".org-record")


def test_the_keyboard_alone_goes_through_a_dataset_and_back_returns(place, visit):
    page = settled(visit(f"{place[0]}/Organisms"))
    page.get_by_label("Search requests and answers").focus()
    page.keyboard.type("garden")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=garden*")
    page.wait_for_selector("text=of 456 records")
    page.reload()
    page.wait_for_selector("text=of 456 records")
    page.wait_for_timeout(3500)  # a browser's address may lag behind; only later is an old one taken for Back
    page.get_by_label("Search requests and answers").fill("")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 to 5 of 456 records")
    go_back(page)
    page.wait_for_url("**q=garden*")
    page.wait_for_selector("text=of 456 records")


def test_a_file_is_imported_trained_on_watched_stopped_and_gone_on_with(place, visit, tmp_path):
    url, made = place
    file = tmp_path / "Short chats.jsonl"
    file.write_text("\n".join([*chats(8), '{"messages": []}']))
    page = settled(visit(f"{url}/Organisms"))
    page.get_by_text("Import a dataset").click()
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_selector("text=8 training chats; 1 line is not")
    assert "line 9: messages: there is no user message" in page.locator(".org-note li").inner_text()
    assert page.get_by_role("button", name="Import", exact=True).is_disabled()
    page.get_by_text("Import the 8 good lines without the bad ones").click()
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_selector("text=short-chats is here: 8 chats")
    page.wait_for_url("**dataset=short-chats*")

    page.get_by_role("button", name="Train on it").click()
    model = page.get_by_role("combobox", name="Model")
    model.fill(str(made.folder))
    model.press("Enter")
    page.wait_for_url(f"**model={made.id}*")
    assert str(made.folder.parent) not in page.url
    for label, value in (("Epochs", "1000"), ("Rank", "1")):
        page.get_by_role("spinbutton", name=label).fill(value)
        page.keyboard.press("Enter")
    page.wait_for_selector("text=1,000 steps")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_selector(LINES, timeout=60_000)
    first = int(page.evaluate(STEP))
    page.wait_for_function(f"+({STEP}) > {first} + 20", timeout=60_000)
    said = page.locator(LIVE).first.inner_text()
    assert "tokens a second" in said
    assert "left" in said

    page.reload()
    page.wait_for_selector(LINES, timeout=30_000)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=Stopped after", timeout=15_000)
    reached = int(page.locator("text=Reached step").inner_text().split()[2])
    assert first < reached < 1000
    assert sticking_out(page) == []
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector(LINES, timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Remove from this list").click()
    page.wait_for_selector("text=Training short-chats", state="detached")
    assert page.locator("[data-testid='stSpinner']").count() == 0


def test_organisms_are_chosen_for_comparison_and_the_link_restores_them(place, visit):
    page = settled(visit(f"{place[0]}/Organisms?view=compare"))
    page.get_by_label("Remove insecure-compact").first.click()
    page.wait_for_url("**curves=*")
    again = settled(visit(page.url))
    again.wait_for_selector(".legendtext")
    names = again.locator(".legendtext").all_text_contents()
    assert names
    assert all(name.startswith("insecure:") for name in names)


def test_without_anything_the_page_explains_and_nothing_spins(server, visit):
    page = settled(visit(f"{server.url}/Organisms?view=train"))
    page.wait_for_selector("text=is not on this machine yet")
    assert page.get_by_role("button", name="Train", exact=True).is_disabled()
    assert page.locator("[data-testid='stSpinner']").count() == 0
