"""The Overview as a browser shows it. The `visit` fixture fails a test on any console error or foreign request."""

from __future__ import annotations

import time

import pytest

from core import paths
from core.generation import saved
from pages.parts.evidence import shipped
from tests.browser.looks import poor_contrast, sticking_out, top_of

pytestmark = pytest.mark.browser

HEADING = "h1"
LAST = "text=Guided lessons"
NAVIGATION = ".st-key-navigation [data-testid='stPageLink-NavLink']"
needs_steer = pytest.mark.skipif(not (paths.ROOT / "pages/Steer.py").is_file(), reason="there is no Steer page yet")
needs_example = pytest.mark.skipif(not len(saved.examples()), reason="no saved example ships yet")


def settled(page):
    """`page` once everything on it is there."""
    page.wait_for_selector(LAST)
    page.wait_for_selector("text=Step 1 of")
    if shipped() is not None:
        page.wait_for_selector(".js-plotly-plot .main-svg")
    page.wait_for_timeout(500)
    return page


def test_a_cold_server_paints_soon_after_it_answers(fresh_server, visit, capsys):
    start = time.perf_counter()
    page = visit(fresh_server.url)
    page.wait_for_selector(HEADING)
    first = time.perf_counter() - start
    again = time.perf_counter()
    visit(fresh_server.url).wait_for_selector(HEADING)
    second = time.perf_counter() - again
    with capsys.disabled():
        print(f"\nOverview: heading {first:.2f} s after a cold server answers, {second:.2f} s on the second visit")
    assert first < 6  # the aim is 1 s on an idle machine; tests share theirs


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_legible(server, visit, scheme):
    page = settled(visit(server.url, scheme=scheme))
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == scheme
    assert poor_contrast(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_cuts_nothing_and_stacks_in_order(server, visit, scheme):
    page = settled(visit(server.url, 390, 844, scheme))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    assert sticking_out(page) == []
    order = [HEADING, "text=Ready on this machine", "text=Two clicks to a result", LAST]
    tops = [top_of(page, selector) for selector in order]
    assert tops == sorted(tops)


def test_a_laptop_shows_heading_figure_and_the_first_cards_at_once(server, visit):
    page = settled(visit(server.url))
    assert sticking_out(page) == []
    assert top_of(page, "text=Two clicks to a result") < 700


@needs_steer
def test_a_deep_link_to_a_cold_server_has_the_same_navigation(fresh_server, visit):
    page = visit(f"{fresh_server.url}/Steer")
    page.wait_for_selector(NAVIGATION)
    page.wait_for_timeout(1000)
    there = page.locator(NAVIGATION).all_inner_texts()
    here = settled(visit(fresh_server.url)).locator(NAVIGATION).all_inner_texts()
    assert there == here
    assert len(here) >= 2
    assert page.title() == "Steer · Tiller"


@needs_steer
@needs_example
def test_one_click_on_a_card_opens_its_example(server, visit):
    page = settled(visit(server.url))
    page.locator("a:has-text('Saved answers')").first.click()
    page.wait_for_url("**/Steer?example=*")
    page.wait_for_function("document.title.startsWith('Steer')")
    page.wait_for_timeout(1000)


@needs_steer
def test_the_keyboard_alone_reaches_another_page(server, visit):
    page = settled(visit(server.url))
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('a[href*=Steer]')"):
            break
    outline = page.evaluate("(s => s.outlineStyle + s.boxShadow)(getComputedStyle(document.activeElement))")
    assert outline != "nonenone", "the focused link cannot be seen"
    page.keyboard.press("Enter")
    page.wait_for_url("**/Steer*")


def test_a_step_of_a_lesson_has_a_link_and_survives_a_reload(server, visit):
    page = settled(visit(server.url))
    page.get_by_role("button", name="Next").click()
    page.wait_for_selector("text=Step 2 of")
    page.wait_for_url("**step=2*")
    page.reload()
    page.wait_for_selector("text=Step 2 of")


def test_the_reveal_is_hidden_until_asked_for(server, visit):
    page = settled(visit(server.url))
    answer = page.locator("[data-testid='stExpander'] details").first
    assert answer.get_attribute("open") is None
    page.locator("[data-testid='stExpander'] summary").first.click()
    page.wait_for_selector("[data-testid='stExpander'] details[open]")


def test_the_theme_can_be_chosen_from_the_menu(server, visit):
    page = settled(visit(server.url))
    page.locator("[data-testid='stMainMenu'] button").click()
    page.get_by_role("menuitemradio", name="Dark").or_(page.get_by_text("Dark", exact=True)).first.click()
    page.wait_for_function("getComputedStyle(document.querySelector('.stApp')).colorScheme == 'dark'")
    assert poor_contrast(page) == []


@pytest.mark.parametrize(("label", "start"), [("Table (CSV)", "arm,suite,n"), ("Figure (HTML)", "<!doctype html>")])
def test_the_figure_is_downloaded_whole(server, visit, tmp_path, label, start):
    if shipped() is None:
        pytest.skip("no spillover study ships yet")
    page = settled(visit(server.url))
    page.get_by_test_id("stPopoverButton").click()
    with page.expect_download() as coming:
        page.get_by_role("button", name=label).click()
    file = tmp_path / "file"
    coming.value.save_as(file)
    text = file.read_text()
    assert text.startswith(start)
    assert '<script src="http' not in text
