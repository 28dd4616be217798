"""The Separation page as a browser shows it. `visit` fails a test on any console error or foreign request."""

from __future__ import annotations

import pytest

from tests import sample_separation
from tests.browser.conftest import serve_made
from tests.browser.hands import download, go_back, middle_of_point
from tests.browser.looks import cut_labels, poor_contrast, sticking_out, top_of

pytestmark = pytest.mark.browser

HEADLINE = ".study-headline"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A server with all three contrasts of a made-up organism, whatever ships."""
    folder = tmp_path_factory.mktemp("separation")
    names = ("model", "content", "response")
    with serve_made(folder, lambda: {name: sample_separation.make(name, gap=3.0).key for name in names}) as served:
        yield served


def address(measured, contrast: str = "model", **more: str) -> str:
    url, keys = measured
    query = "&".join(f"{key}={value}" for key, value in {"result": keys[contrast], "block": "1", **more}.items())
    return f"{url}/Separation?{query}"


def settled(page):
    page.wait_for_selector("text=Where the numbers come from")
    page.wait_for_selector("text=Directions in and out")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 4")
    page.wait_for_timeout(800)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("contrast", ["content", "response"])
def test_all_text_is_legible(measured, visit, scheme, contrast):
    page = settled(visit(address(measured, contrast), scheme=scheme))
    # a slider's number is a child of its thumb but stands above it, not on its colour
    assert [found for found in poor_contrast(page) if found != "1.00 1"] == []


@pytest.mark.parametrize("contrast", ["model", "response"])
def test_a_narrow_screen_cuts_nothing_and_stacks_in_order(measured, visit, contrast):
    page = settled(visit(address(measured, contrast), 390, 844))
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    assert [found for found in sticking_out(page) if found != "INPUT "] == []  # a slider's own, unseen input
    order = [
        HEADLINE,
        "text=Held-out rows at",
        "text=Over all blocks",
        "text=On two directions",
        "text=On the wrong side",
    ]
    tops = [top_of(page, selector) for selector in order]
    assert tops == sorted(tops)


def test_a_laptop_shows_both_main_figures_without_scrolling(measured, visit):
    page = settled(visit(address(measured)))
    for name in ("histogram", "profile"):
        box = page.locator(f"[class*='st-key-separation-{name}'] .js-plotly-plot").bounding_box()
        assert box["y"] + box["height"] <= 768, name


def test_no_label_of_a_figure_is_cut(measured, visit):
    for width in (1366, 390):
        page = settled(visit(address(measured, "response"), width, 900))
        assert cut_labels(page) == []


def test_a_click_on_a_point_chooses_its_block_and_back_returns(measured, visit):
    page = settled(visit(address(measured)))
    page.mouse.click(*middle_of_point(page, "separation-profile", 3))
    page.wait_for_selector(f"{HEADLINE}:has-text('At block 3')")
    page.wait_for_url("**block=3*")
    go_back(page)
    page.wait_for_selector(f"{HEADLINE}:has-text('At block 1')")


def test_the_keyboard_alone_moves_the_block(measured, visit):
    page = settled(visit(address(measured)))
    page.get_by_role("slider", name="Block").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f"{HEADLINE}:has-text('At block 2')")
    page.wait_for_url("**block=2*")
    page.reload()
    page.wait_for_selector(f"{HEADLINE}:has-text('At block 2')")


def test_a_tooltip_shows_tags_as_text(measured, visit):
    page = settled(visit(address(measured)))
    page.mouse.move(*middle_of_point(page, "separation-scatter", 0))
    page.wait_for_selector(".hoverlayer .hovertext")
    # whichever point is nearest: the one with tags shows them, and no prompt is ever bold
    bold = page.evaluate(
        "[...document.querySelectorAll('.hoverlayer tspan')].filter(e => e.style.fontWeight == 'bold')"
        ".map(e => e.textContent)"
    )
    assert "bold" not in bold


def test_an_answer_on_the_wrong_side_opens_literally(measured, visit):
    page = settled(visit(address(measured, "response", block="0")))
    page.locator(".study-table summary").first.click()
    shown = page.locator(".study-table details[open] div").first
    assert shown.inner_text().startswith("<b>bold</b> <script>")


@pytest.mark.parametrize(("label", "start"), [("Table (CSV)", "arm,suite,prompt"), ("Figure (HTML)", "<html>")])
def test_a_figure_is_downloaded_whole(measured, visit, tmp_path, label, start):
    page = settled(visit(address(measured)))
    page.locator("[class*='st-key-tiller-separation-histogram'] button").first.click()
    text = download(page, page.get_by_test_id("stPopoverBody").get_by_role("button", name=label), tmp_path).read_text()
    assert start in text[:400]
    assert '<script src="http' not in text


@pytest.mark.parametrize("path", ["/", "/Separation", "/Steer"])
def test_links_and_menu_lie_free_under_the_toolbar(measured, visit, path):
    page = visit(f"{measured[0]}{path}")
    links = ".st-key-navigation [data-testid='stPageLink-NavLink']"
    page.wait_for_selector(links)
    page.wait_for_timeout(2500)
    for width in (1366, 900, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(300)
        hit = page.evaluate(
            """links => [...document.querySelectorAll(links)].map(link => {
              const box = link.getBoundingClientRect();
              return link.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
            })""",
            links,
        )
        assert hit == [True] * len(hit)
        assert len(hit) >= 3
    page.locator("[data-testid='stMainMenu'] button").click()
    page.get_by_role("menuitemradio", name="Dark").or_(page.get_by_text("Dark", exact=True)).first.click()
    page.wait_for_function("getComputedStyle(document.querySelector('.stApp')).colorScheme == 'dark'")


def test_without_a_result_or_a_model_the_page_explains_and_nothing_spins(server, visit):
    page = visit(f"{server.url}/Separation?organism=secure&contrast=response")
    page.wait_for_selector("text=has not been measured on this machine")
    page.wait_for_selector("text=Not on this machine yet")
    page.wait_for_timeout(500)
    assert sticking_out(page) == []
    assert poor_contrast(page) == []
    assert page.locator("[data-testid='stSpinner']").count() == 0
