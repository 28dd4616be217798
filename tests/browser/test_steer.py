"""The Steer page as a browser shows it. The `visit` fixture fails a test on any console error or foreign request."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from core import paths
from core.generation import saved
from pages.parts.steer.results import first_example
from tests.browser.conftest import HOST, _answers
from tests.browser.looks import poor_contrast, sticking_out, top_of
from tests.pages.test_literal_text import HOSTILE
from tests.pages.test_literal_text import shown as as_shown

pytestmark = pytest.mark.browser
embedded = pytest.mark.embedded

LONG = 300_000  # milliseconds for the model on a busy machine
TEXTS = "[...document.querySelectorAll('.pane .answer')].map(e => e.textContent.replace('▍', ''))"
FIRST = first_example()
needs_example = pytest.mark.skipif(FIRST is None, reason="no saved example ships yet")


def settled(page):
    """`page` once the panes are there and nothing moves any more."""
    page.wait_for_selector(".pane")
    page.wait_for_timeout(800)
    return page


def status(page) -> str:
    return page.inner_text(".status >> nth=0")


def wait_for_status(page, word: str) -> None:
    page.wait_for_function(
        "w => document.querySelector('.status').innerText.includes(w)", arg=word, timeout=LONG, polling=50
    )


def press(page, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click()


def generate(page) -> list[str]:
    """Press Generate, wait to the end, and give the texts of the panes."""
    press(page, "Generate")
    wait_for_status(page, "Done")
    page.wait_for_timeout(500)
    return page.evaluate(TEXTS)


# saved


@needs_example
def test_a_saved_example_opens_in_two_clicks_at_once(server, visit, capsys):
    page = settled(visit(server.url + "/Steer?prompt=Hello"))
    example = list(saved.examples())[-1]
    page.get_by_role("combobox", name="Saved examples and presets").click()
    option = page.get_by_role("option").filter(has_text=example.title).filter(has_text="saved answers")
    option.wait_for()
    start = time.perf_counter()
    option.click()
    page.locator(".made", has_text=f"“{example.title}”").wait_for()
    seconds = time.perf_counter() - start
    with capsys.disabled():
        print(f"\nSteer: a saved example is there {1000 * seconds:.0f} ms after the click")
    assert seconds < 1.5  # the aim is 0.3 s on an idle machine; tests share theirs
    assert page.evaluate(TEXTS) == [as_shown(row.text) for row in example.rows]
    assert page.locator(".pane .badge.saved").count() == len(example.rows)


@needs_example
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_legible(server, visit, scheme):
    page = settled(visit(f"{server.url}/Steer?example={FIRST.id}&coefficient=0.3", scheme=scheme))
    # a slider's number is a child of its thumb but stands above it, not on its colour
    assert [found for found in poor_contrast(page) if not re.fullmatch(r"1\.00 -?[\d.]+", found)] == []


@embedded
@needs_example
def test_a_laptop_shows_prompt_sliders_and_panes_at_once(live_server, visit):
    page = settled(visit(f"{live_server.url}/Steer?example={FIRST.id}"))
    assert sticking_out(page) == []
    assert top_of(page, "textarea") < top_of(page, ".pane") < 360


@needs_example
@pytest.mark.parametrize("width", [390, 910])
def test_a_narrow_screen_cuts_nothing_and_stacks_the_panes_in_order(server, visit, width):
    page = settled(visit(f"{server.url}/Steer?example={FIRST.id}", width, 844))
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
    assert [found for found in sticking_out(page) if found != "INPUT "] == []  # a slider's own, unseen input
    boxes = [pane.bounding_box() for pane in page.locator(".pane").all()]
    if width < 600:
        assert [box["y"] for box in boxes] == sorted(box["y"] for box in boxes)
        assert len({round(box["x"]) for box in boxes}) == 1
    else:
        assert [box["x"] for box in boxes] == sorted(box["x"] for box in boxes)


# links and sliders


def test_moving_a_slider_writes_the_link_generates_nothing_and_never_fades_the_page(server, visit):
    page = settled(visit(server.url + "/Steer?coefficient=-1"))
    page.evaluate(
        """() => {
          window.faded = [];
          const look = () => {
            for (const e of document.querySelectorAll('.stMain [data-testid=stElementContainer]'))
              if (getComputedStyle(e).opacity < 1) window.faded.push(e.textContent.slice(0, 30));
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    slider = page.get_by_role("slider", name="Coefficient")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowRight")
    page.wait_for_url(re.compile(r"coefficient=-0\.8(&|$)"))
    assert page.get_by_label("raw, × v").input_value() == "-0.800"
    assert page.evaluate("window.faded") == []
    page.reload()
    settled(page)
    assert page.get_by_label("raw, × v").input_value() == "-0.800"
    page.go_back()
    page.wait_for_function("!/coefficient=-0\\.8(&|$)/.test(location.search)")
    page.wait_for_function("document.querySelector('input[aria-label=\"raw, × v\"]').value !== '-0.800'")
    assert page.locator("[data-testid=stException]").count() == 0


def test_fast_changes_of_twin_widgets_do_not_undo_each_other(server, visit):
    page = settled(visit(server.url + "/Steer"))
    slider = page.get_by_role("slider", name="Coefficient")
    for pauses in ((40,) * 12, (5,) * 6 + (200,) * 6, (130, 10) * 6):
        slider.focus()
        slider.press("Home")
        page.wait_for_url(re.compile(r"coefficient=-3(&|$)"))
        for pause in pauses:
            slider.press("ArrowRight")
            page.wait_for_timeout(pause)
        page.wait_for_timeout(2000)
        assert re.search(r"coefficient=-2\.4(&|$)", page.url), page.url
        assert page.get_by_label("raw, × v").input_value() == "-2.400"
        assert slider.input_value() == "-2.4"


def test_nonsense_in_a_link_is_a_note_and_no_request_leaves(server, visit):
    hostile = "![i](http://elsewhere.example/i.png)<img src='http://elsewhere.example/j.png'>"
    query = urlencode({"mode": hostile, "model": hostile, "direction": hostile, "prompt": hostile})
    page = settled(visit(f"{server.url}/Steer?{query}"))
    assert page.locator(".note[role=status]").count() >= 2
    assert page.get_by_label("Prompt").input_value() == hostile
    assert page.locator(".stMain img").count() == 0


def test_everything_is_reached_with_the_keyboard(server, visit):
    page = settled(visit(server.url + "/Steer"))
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.innerText.trim() || e.tagName)(document.activeElement)"
            )
        )
    for wanted in ("Prompt", "Coefficient", "raw, × v", "norm unit", "Block", "Answer", "ablate"):
        assert any(wanted in text for text in reached), (wanted, reached)


# text that is not ours


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> Iterator[str]:
    """A server that shows hostile texts with the page's own panes, as a model's answers."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "page.py").write_text(HOSTILE_PAGE.format(root=str(paths.ROOT), css=str(CSS)))
    with _serve_script(folder / "page.py", folder / "log") as url:
        yield url


CSS = paths.ROOT / "pages" / "parts" / "steer" / "steer.css"
HOSTILE_PAGE = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
import streamlit as st
from core.data.chat import Chat
from core.generation.rows import Answer, Row, Token
from pages.parts.literal import Tint
from pages.parts.steer.panes import Pane, pane_html
from tests.pages.test_literal_text import HOSTILE
st.set_page_config(layout="wide")
st.html(Path({css!r}))
row = Row(Chat.of("ask"), "organism")
for column, tint in zip(st.columns(3), (None, Tint(1, 0.0, 1.0), Tint(1, 2.0, 5.0))):
    for text in HOSTILE:
        half = len(text) // 2
        tokens = [Token(0, 1, text[:half], -0.5, 1.0), Token(0, 2, text[half:], -0.5, -1.0)]
        column.html(pane_html(Pane(Answer(row, tokens, reason="end"), "made up"), tint))
"""


@contextlib.contextmanager
def _serve_script(script: Path, log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        url = f"http://{HOST}:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", url.rpartition(":")[2]]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--server.headless", "true"], cwd=paths.ROOT, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        limit = time.monotonic() + 60
        while not _answers(f"{url}/_stcore/health"):
            assert process.poll() is None and time.monotonic() < limit, log.read_text(errors="replace")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("width", [1366, 390])
def test_hostile_text_is_shown_literally_and_the_layout_holds(hostile_page, visit, width):
    page = visit(hostile_page, width, 844)
    page.wait_for_function(f"document.querySelectorAll('.pane').length === {3 * len(HOSTILE)}")
    page.wait_for_timeout(500)
    assert page.evaluate(TEXTS) == [as_shown(text) for text in HOSTILE] * 3
    assert page.locator(".answer :not(span)").count() == 0
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
    assert sticking_out(page) == []


# live


@embedded
def test_three_panes_are_written_to_the_end_while_one_looks_on(live_server, visit, capsys):
    page = settled(visit(live_server.url + "/Steer?max_tokens=24"))
    grown = []
    press(page, "Generate")
    page.wait_for_function(f"{TEXTS}.some(t => t.length > 3) && document.querySelector('.cursor')", timeout=LONG)
    while "Done" not in status(page):
        grown.append(sum(map(len, page.evaluate(TEXTS))))
        page.wait_for_timeout(300)
    page.wait_for_timeout(500)
    base, organism, steered = page.evaluate(TEXTS)
    assert len({base, organism, steered}) == 3
    assert len(set(grown)) > 2, "the text came at once, not as it was written"
    assert page.locator(".pane .cursor").count() == 0
    with capsys.disabled():
        print(f"\nSteer: {status(page)}")


@embedded
def test_coefficient_zero_gives_the_organisms_own_text(live_server, visit):
    page = settled(visit(live_server.url + "/Steer?max_tokens=16&coefficient=0"))
    _, organism, steered = generate(page)
    assert organism == steered


@embedded
def test_stop_acts_at_once_and_keeps_the_text(live_server, visit):
    page = settled(visit(live_server.url + "/Steer?max_tokens=400"))
    press(page, "Generate")
    page.wait_for_function(f"document.querySelector('.cursor') && {TEXTS}.every(t => t.length > 3)", timeout=LONG)
    start = time.perf_counter()
    press(page, "Stop")
    wait_for_status(page, "Stopped")
    assert time.perf_counter() - start < 5  # the aim is 1 s on an idle machine; a token may take that long here
    page.wait_for_timeout(600)
    texts = page.evaluate(TEXTS)
    assert all(texts) and page.locator(".badge.warn", has_text="stopped").count() == 3
    page.wait_for_timeout(1500)
    assert page.evaluate(TEXTS) == texts
    page.get_by_role("button", name="Stop", exact=True, disabled=True).wait_for()


@embedded
def test_leaving_and_coming_back_keeps_the_texts_and_two_browsers_stay_apart(live_server, visit):
    page = settled(visit(live_server.url + "/Steer?max_tokens=12"))
    other = settled(visit(live_server.url + "/Steer?max_tokens=12&coefficient=2"))
    texts = generate(page)
    page.get_by_role("link", name="Overview").click()
    page.wait_for_selector("h1")
    page.get_by_role("link", name="Steer", exact=True).first.press("Enter")
    settled(page)
    assert page.evaluate(TEXTS) == texts and "max_tokens=12" in page.url
    assert "coefficient=2" in other.url and other.get_by_label("raw, × v").input_value() == "2.000"
    assert other.locator(".pane .cursor").count() == 0


@embedded
def test_two_browsers_at_once_take_turns_and_see_nothing_of_each_other(live_server, visit):
    alone = settled(visit(live_server.url + "/Steer?max_tokens=12&coefficient=0"))
    expected = generate(alone)
    # one steers hard and long; the other asks meanwhile for no steering at all
    first = settled(visit(live_server.url + "/Steer?max_tokens=60&coefficient=3"))
    second = settled(visit(live_server.url + "/Steer?max_tokens=12&coefficient=0"))
    press(first, "Generate")
    first.wait_for_function(f"document.querySelector('.cursor') && {TEXTS}.every(t => t.length > 3)", timeout=LONG)
    press(second, "Generate")
    wait_for_status(second, "1 job before this one")
    assert set(second.evaluate(TEXTS)) <= {"", "Nothing written yet."}
    wait_for_status(first, "Done")
    wait_for_status(second, "Done")
    second.wait_for_timeout(500)
    texts = second.evaluate(TEXTS)
    assert texts == expected  # no hook and no setting of the first is left
    assert texts[1] == texts[2] != first.evaluate(TEXTS)[2]
    assert "coefficient=3" in first.url and "coefficient=0" in second.url
