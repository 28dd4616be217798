"""Transfer: does a direction of one model work in another, and is it this direction? No torch here."""

from __future__ import annotations

from pages.parts.shell import bootstrap

bootstrap("Transfer", "Transfer")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts.study.page import show  # noqa: E402
from pages.parts.transfer.page import PAGE  # noqa: E402

show(PAGE)
