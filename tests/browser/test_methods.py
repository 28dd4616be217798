"""The Methods page as a browser shows it. `visit` fails a test on any console error or foreign request."""

from __future__ import annotations

import pytest

from tests.browser.looks import poor_contrast, sticking_out, top_of

pytestmark = pytest.mark.browser

ASKED, TEXT = ".st-key-methods-asked", ".st-key-methods-text"
SCREENS = [(1366, 768, "light"), (1366, 768, "dark"), (390, 844, "light"), (390, 844, "dark")]


def settled(page):
    page.wait_for_selector("#sources", state="attached")
    page.wait_for_function("document.querySelectorAll('.katex').length > 30")
    page.wait_for_timeout(500)
    return page


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_a_deep_link_to_a_cold_server_shows_its_term_at_once(fresh_server, visit, width, height):
    page = visit(f"{fresh_server.url}/Methods?term=verdict-spillover", width, height)
    page.wait_for_selector(f"{ASKED} >> text=Verdict: spillover")
    settled(page)
    assert page.evaluate("document.querySelector('.stMain').scrollTop") == 0
    assert 0 < top_of(page, f"{ASKED} >> text=Verdict: spillover") < 300
    assert page.title() == "Methods · Tiller"


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_every_section_is_reached_from_the_contents(server, visit, width, height):
    page = settled(visit(f"{server.url}/Methods", width, height))
    for anchor in ("transfer-map", "contrast", "sources"):
        page.evaluate("document.querySelector('.stMain').scrollTo(0, 0)")
        page.locator(f".st-key-methods-contents a[href='#{anchor}']").click()
        page.wait_for_url(f"**/Methods#{anchor}")
        page.wait_for_timeout(500)
        box = page.locator(f"#{anchor}").bounding_box()
        assert -1 <= box["y"] < height - 100, anchor


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
def test_all_is_legible_and_nothing_is_cut(server, visit, width, height, scheme):
    page = settled(visit(f"{server.url}/Methods?term=broken", width, height, scheme))
    assert poor_contrast(page) == []
    assert sticking_out(page) == []
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
    assert page.locator(".katex-error").count() == 0
    # a formula's parts, since its own box holds signs that are drawn wide and cut
    wide = (
        "[...document.querySelectorAll('.katex-html .base')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    )
    assert page.evaluate(f"{wide}.map(e => e.textContent.slice(0, 40))") == []


def test_a_narrow_screen_shows_every_page_of_the_navigation(server, visit):
    page = settled(visit(f"{server.url}/Methods", 390, 844))
    there = page.locator(".st-key-navigation a")
    assert [text.split()[-1] for text in there.all_inner_texts()][-2:] == ["Runs", "Methods"]
    for place in range(there.count()):
        box = there.nth(place).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert top_of(page, "h1") < 160


def test_a_help_text_and_a_panel_open_their_section_beside_the_page(server, visit):
    page = visit(f"{server.url}/Spillover")
    panel = page.get_by_role("link", name="verdict spillover")
    panel.wait_for()
    with page.expect_popup() as opened:
        panel.click()
    opened.value.wait_for_selector(f"{ASKED} >> text=Verdict: spillover")
    page.locator("[class*='st-key-spillover-mode'] [data-testid='stTooltipHoverTarget']").hover()
    tooltip = page.get_by_test_id("stTooltipContent").get_by_role("link").first
    tooltip.wait_for()
    anchor = tooltip.get_attribute("href").partition("term=")[2]
    with page.expect_popup() as opened:
        tooltip.click()
    opened.value.wait_for_selector(ASKED)
    assert opened.value.url.endswith(f"/Methods?term={anchor}")
    assert page.url.startswith(f"{server.url}/Spillover")
