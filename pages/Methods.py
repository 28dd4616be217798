"""Methods: what every term and number means, where it is computed, and whose it is. No torch here."""

from __future__ import annotations

from pages.parts.shell import bootstrap

bootstrap("Methods", "Methods")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts.methods import show_methods  # noqa: E402

show_methods()
