"""Spillover: does subtracting the direction cure the organism or break it, and is it this direction? No torch here."""

from __future__ import annotations

from pages.parts.shell import bootstrap

bootstrap("Spillover", "Spillover")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts.spillover.page import PAGE  # noqa: E402
from pages.parts.study.page import show  # noqa: E402

show(PAGE)
