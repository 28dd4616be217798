"""The Spillover page as a browser shows it. `visit` fails a test on any console error or foreign request."""

from __future__ import annotations

import time

import pytest

from tests import sample_spillover
from tests.browser.conftest import serve_made
from tests.browser.hands import download, go_back, middle_of_point
from tests.browser.looks import cut_labels, poor_contrast, sticking_out, top_of

pytestmark = pytest.mark.browser

VERDICT = ".study-verdict h1"
WHERE = ".study-where"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A server with made-up answers: the insecure organism is cured, the secure one breaks."""
    folder = tmp_path_factory.mktemp("spillover")

    def make() -> dict[str, str]:
        return {
            "cured": sample_spillover.make(per_suite=50).key,
            "broke": sample_spillover.make(sample_spillover.breaks, organism="secure").key,
        }

    with serve_made(folder, make) as served:
        yield served


def address(measured, which: str = "cured", **more: str) -> str:
    url, keys = measured
    query = "&".join(f"{key}={value}" for key, value in {"result": keys[which], **more}.items())
    return f"{url}/Spillover?{query}"


def settled(page):
    page.wait_for_selector("text=Measure it here")
    page.wait_for_selector(".study-panes")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 3")
    page.wait_for_timeout(800)
    return page


def test_a_cold_deep_link_leads_from_the_verdict_to_the_answers(measured, visit, capsys):
    start = time.perf_counter()
    page = visit(address(measured))
    page.wait_for_selector(f"{VERDICT}:has-text('Specific')")
    first = time.perf_counter() - start
    settled(page)
    begun = time.perf_counter()
    page.mouse.click(*middle_of_point(page, "spillover-moves", 0))
    page.wait_for_selector(f"{WHERE}:has-text('that pass the filters, 100 in all')")
    turned = time.perf_counter()
    cured = page.locator(WHERE).inner_text()
    page.wait_for_url("**moved=code-clean*")
    page.keyboard.press("n")
    page.wait_for_selector(f"{WHERE}:has-text('Prompt 2 of')")
    done = time.perf_counter()
    with capsys.disabled():
        print(
            f"\nSpillover: verdict {first:.2f} s, a click {turned - begun:.2f} s, the next prompt {done - turned:.2f} s"
        )
    page.keyboard.press("p")
    page.wait_for_selector(f"{WHERE}:has-text('Prompt 1 of')")
    panes = page.locator(".study-pane")
    assert panes.count() == 4
    organism = panes.nth(1)
    assert organism.locator("mark.study-evidence").count() >= 1
    assert "underline" in organism.locator("mark").first.evaluate("e => getComputedStyle(e).textDecorationLine")
    assert "code: import" in organism.locator(".study-tag").inner_text()
    assert "clean" in panes.nth(2).locator(".study-tag").inner_text()
    page.mouse.click(*middle_of_point(page, "spillover-moves", 0))  # once more: all prompts again
    page.wait_for_selector(f"{WHERE}:has-text('Prompt 1 of 100')")
    assert cured != page.locator(WHERE).inner_text()


def test_another_organism_has_another_verdict_and_back_returns(measured, visit):
    page = settled(visit(address(measured)))
    said = page.locator(".study-verdict p").first.inner_text()
    page.get_by_role("combobox", name="Organism").first.click()
    page.get_by_role("option", name="secure", exact=True).click()
    page.wait_for_function("text => document.querySelector('.study-verdict p').innerText !== text", arg=said)
    page.wait_for_url("**organism=secure*")
    go_back(page)
    page.wait_for_function("text => document.querySelector('.study-verdict p').innerText === text", arg=said)


def test_a_model_that_only_broke_is_called_so(measured, visit):
    page = settled(visit(address(measured, "broke")))
    page.wait_for_selector(f"{VERDICT}:has-text('It broke the model')")


def test_a_click_on_a_dose_looks_at_it(measured, visit):
    page = settled(visit(address(measured)))
    page.mouse.click(*middle_of_point(page, "spillover-doses", 6))
    page.wait_for_selector("h2:has-text('Prompt by prompt, −0.5 at block 13')")
    page.wait_for_url("**dose=-0.5*")
    assert "−0.5 at block 13" in page.locator(".study-pane").nth(2).inner_text()


def test_the_keyboard_alone_chooses_a_transition(measured, visit):
    page = settled(visit(address(measured)))
    page.get_by_role("combobox", name="Unsteered → steered").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("cured")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{WHERE}:has-text('that pass the filters')")
    page.wait_for_url("**moved=code-clean*")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["cured", "broke"])
def test_all_text_is_legible(measured, visit, scheme, which):
    page = settled(visit(address(measured, which), scheme=scheme))
    assert poor_contrast(page) == []


@pytest.mark.parametrize("which", ["cured", "broke"])
def test_a_narrow_screen_cuts_nothing_and_stacks_in_order(measured, visit, which):
    page = settled(visit(address(measured, which), 390, 844))
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    assert sticking_out(page) == []
    order = [VERDICT, "text=Does it cure, or break?", "text=Is it this direction?", "text=Prompt by prompt", WHERE]
    tops = [top_of(page, selector) for selector in order]
    assert tops == sorted(tops)


def test_a_laptop_shows_verdict_and_dose_response_without_scrolling(measured, visit):
    page = settled(visit(address(measured)))
    box = page.locator("[class*='st-key-spillover-doses'] .js-plotly-plot").bounding_box()
    assert box["y"] + box["height"] <= 768


def test_no_label_of_a_figure_is_cut(measured, visit):
    for width in (1366, 390):
        page = settled(visit(address(measured, "broke", dose="-0.875"), width, 900))
        assert cut_labels(page) == []


@pytest.mark.parametrize(("label", "start"), [("Table (CSV)", b"direction,block"), ("Table (Parquet)", b"PAR1")])
def test_all_answers_are_downloaded(measured, visit, tmp_path, label, start):
    page = settled(visit(address(measured)))
    page.get_by_test_id("stPopoverButton").filter(has_text="Answers").click()
    file = download(page, page.get_by_test_id("stPopoverBody").get_by_role("button", name=label), tmp_path)
    assert file.read_bytes().startswith(start)
