"""The answers of a spillover study by who gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.results import Result

if TYPE_CHECKING:
    import pandas as pd


def arms_of(result: Result) -> dict[str, pd.DataFrame]:
    """The answers of base, organism and organism steered at the chosen dose, in the order of the prompts."""
    table, dose = result.table, result.summary["dose"]
    if table is None:
        return {}
    # a summary is saved to six digits, the table in full
    same = np.isclose(table["coefficient"].astype(float), dose["coefficient"], rtol=1e-5, atol=0)
    at_dose = same & (table["block"] == dose["block"])
    return {
        "base model": table[table["direction"] == "base"],
        "organism": table[table["direction"] == "organism"],
        "organism, steered": table[(table["direction"] == "true") & at_dose],
    }
