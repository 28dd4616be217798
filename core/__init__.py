"""Tiller's computing: models, organisms, directions, steering, generation, measures.

Nothing here imports Streamlit. `python -m core --help` shows the same verbs as the pages.
"""

from core.waiting import spin_briefly

__version__ = "0.1.0"

spin_briefly()
