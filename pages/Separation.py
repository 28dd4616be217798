"""Separation: how well one direction tells two kinds of activations apart, and what that proves. No torch here."""

from __future__ import annotations

from pages.parts.shell import bootstrap

bootstrap("Separation", "Separation")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts.separation.page import PAGE  # noqa: E402
from pages.parts.study.page import show  # noqa: E402

show(PAGE)
