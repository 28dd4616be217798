"""The Transfer page as a browser shows it. `visit` fails a test on any console error or foreign request."""

from __future__ import annotations

import pytest

from tests import sample_transfer
from tests.browser.conftest import serve_made
from tests.browser.hands import download, go_back, middle_of_point
from tests.browser.looks import cut_labels, poor_contrast, sticking_out, top_of

pytestmark = pytest.mark.browser

CELL = ".study-cell h2"
WHERE = ".study-where"
FIRST = "qwen2.5-coder-0.5b → smollm2-135m"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A server with made-up answers of three models, and of four."""

    def make() -> dict[str, str]:
        return {
            "four": sample_transfer.make(models=(*sample_transfer.MODELS, "llama-3.2-1b")).key,
            "three": sample_transfer.make().key,
        }

    with serve_made(tmp_path_factory.mktemp("transfer"), make) as served:
        yield served


def address(measured, which: str = "three", **more: str) -> str:
    url, keys = measured
    query = "&".join(f"{key}={value}" for key, value in {"result": keys[which], **more}.items())
    return f"{url}/Transfer?{query}"


def settled(page):
    page.wait_for_selector("text=Measure it here")
    page.wait_for_selector(".study-panes")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 3")
    page.wait_for_timeout(800)
    return page


def test_a_click_anywhere_in_a_cell_opens_it_and_back_returns(measured, visit):
    page = settled(visit(address(measured)))
    page.wait_for_selector(f"{CELL}:has-text('{FIRST}')")
    x, y = middle_of_point(page, "transfer-matrix", 5)  # row by row: the second donor into the third receiver
    page.mouse.click(x + 30, y + 22)
    page.wait_for_selector(f"{CELL}:has-text('qwen2.5-coder-0.5b → gemma-3-270m-chat')")
    page.wait_for_url("**receiver=gemma-3-270m-chat*")
    page.wait_for_selector(".study-cell:has-text('It broke the model')")
    assert "broken" in page.locator(".study-panes").inner_text()
    go_back(page)
    page.wait_for_selector(f"{CELL}:has-text('{FIRST}')")


def test_the_keyboard_alone_chooses_a_cell_and_turns_the_prompts(measured, visit):
    page = settled(visit(address(measured)))
    page.get_by_role("combobox", name="Cell (or click one)").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("gemma-3-270m-chat, own")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{CELL}:has-text('gemma-3-270m-chat, its own direction')")
    page.wait_for_url("**donor=gemma-3-270m-chat*")
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{WHERE}:has-text('Prompt 2 of')")


def test_another_matrix_keeps_the_cell_and_a_link_restores_both(measured, visit):
    page = settled(visit(address(measured, donor="smollm2-135m", receiver="qwen2.5-coder-0.5b")))
    page.get_by_role("radio", name="cosine").or_(page.get_by_role("button", name="cosine")).first.click()
    page.wait_for_selector("h2:has-text('Cosine of the mapped')")
    page.wait_for_url("**matrix=cosine*")
    again = settled(visit(page.url))
    again.wait_for_selector("h2:has-text('Cosine of the mapped')")
    assert again.locator(CELL).inner_text() == "smollm2-135m → qwen2.5-coder-0.5b"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_legible_also_in_the_open_form(measured, visit, scheme):
    page = settled(visit(address(measured), scheme=scheme))
    page.locator("summary:has-text('Measure it here')").click()
    page.wait_for_timeout(800)
    assert poor_contrast(page) == []


@pytest.mark.parametrize("which", ["three", "four"])
def test_a_narrow_screen_cuts_nothing_and_stacks_in_order(measured, visit, which):
    page = settled(visit(address(measured, which), 390, 844))
    page.locator("summary:has-text('Measure it here')").click()
    page.wait_for_timeout(800)
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    assert sticking_out(page) == []
    assert cut_labels(page) == []
    order = [".study-tier", "text=Change in answers with code", CELL, WHERE, "h2:has-text('Who gives')"]
    tops = [top_of(page, selector) for selector in order]
    assert tops == sorted(tops)


def test_a_laptop_shows_both_tiers_and_the_navigation_in_one_line(measured, visit):
    page = settled(visit(address(measured, "four")))
    tiers = [page.locator(".study-tier").nth(place).bounding_box() for place in range(2)]
    assert tiers[0]["y"] == tiers[1]["y"]
    assert tiers[0]["y"] + tiers[0]["height"] < 768 / 2
    links = page.locator(".st-key-navigation [data-testid='stPageLink-NavLink']")
    assert len({round(links.nth(place).bounding_box()["y"]) for place in range(links.count())}) == 1
    assert cut_labels(page) == []


@pytest.mark.parametrize(("label", "start"), [("Table (CSV)", b"receiver,donor"), ("Table (Parquet)", b"PAR1")])
def test_all_answers_are_downloaded(measured, visit, tmp_path, label, start):
    page = settled(visit(address(measured)))
    page.get_by_test_id("stPopoverButton").filter(has_text="Answers").click()
    file = download(page, page.get_by_test_id("stPopoverBody").get_by_role("button", name=label), tmp_path)
    assert file.read_bytes().startswith(start)
