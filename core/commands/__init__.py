"""The verbs of `python -m core`, a module a subject. Importing this makes them known to the application."""

from core.commands import directions, generation, models, organisms, shipping, studies
from core.commands.common import app

__all__ = ["app", "directions", "generation", "models", "organisms", "shipping", "studies"]
