"""Where steering with a direction starts, by what a choice found; neither torch nor the model is needed."""

from __future__ import annotations

from core import results
from core.directions.start import Start
from core.studies.choice.settings import KIND
from core.studies.choice.words import why


def start_for(direction: str) -> Start | None:
    """The start for a direction by its id: shipped before made here, the newest first; None where none was chosen."""
    for result in results.results(KIND):
        if result.summary["direction"] == direction:
            chosen = result.summary["chosen"]
            return Start(direction, chosen["block"], chosen["coefficient"], why(result.summary))
    return None
