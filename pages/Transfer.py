"""Transfer: does a direction of one model work in another, and is it this direction? No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.shell import bootstrap, errors, show_error

bootstrap("Transfer", "Transfer")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts import address  # noqa: E402
from pages.parts.literal import literal  # noqa: E402
from pages.parts.spillover.controls import note_html  # noqa: E402
from pages.parts.transfer import choice, figures, words  # noqa: E402
from pages.parts.transfer.browser import show_browser  # noqa: E402
from pages.parts.transfer.controls import show_bar  # noqa: E402
from pages.parts.transfer.measure import show_measure  # noqa: E402

for part in ("spillover", "transfer"):
    st.html(Path(__file__).parent / "parts" / part / f"{part}.css")

now, notes = choice.shown()
if now is not None:
    show_bar(now)
if notes:
    st.html(note_html(list(notes)))
for sentence in choice.saved().damaged:
    show_error(sentence)

if now is None:
    missing = "No transfer study is on this machine. Measure one below, with organisms of at least two models."
    st.html(f'<p class="spill-missing" role="status">{literal(missing)}</p>')
else:
    words.show_reading(now)
    over_cells, beside = st.columns([6, 5], gap="medium")
    with over_cells, st.container(key="transfer-panel-matrix"):
        figures.show_matrix(now)
    with beside, st.container(key="transfer-panel-cell"):
        words.show_cell(now)
        figures.show_strip(now)
        words.show_rates(now)
    with errors():
        show_browser(now)
    figures.show_scores(now)
    words.show_provenance(now)

show_measure(now)
after = choice.current()
if after is not None:
    address.write(choice.PAGE, choice.parameters(after))
