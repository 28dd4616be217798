"""The arms of a spillover study, base, organism and organism steered: their answers, and their shares by suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.results import Result
from core.studies.spillover.tables import BROKEN, RATES, Row, Summary

if TYPE_CHECKING:
    import pandas as pd

ARMS = {
    "base": "Base model",
    "organism": "Organism",
    "steered": "Organism,<br>steered",
    "random": "Organism,<br>random push",
}
COUNTED = {"code": RATES["all"], "broken": BROKEN}


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


def measured(summary: Summary) -> list[Row]:
    """Counts of code and of broken answers with 95 % Wilson intervals as shares, a row an arm and suite.

    The arms are base, organism, and organism steered at the chosen dose and pushed at random there; what was not
    measured is left out.
    """
    rows = {row["direction"]: row for row in summary["arms"]}
    at_dose = {row["direction"]: row for row in summary["doses"] if row["chosen"]}
    random = at_dose.get("random") or next(iter(summary["random_draws"]), None)
    arms = {
        "base": rows.get("base"),
        "organism": rows.get("organism"),
        "steered": at_dose.get("true"),
        "random": random,
    }
    found = []
    for arm, row in arms.items():
        for suite, rates in row["suites"].items() if row else ():
            line = {"arm": arm, "suite": suite, "n": rates["n"]}
            for name, rate in COUNTED.items():
                low, high = rates[rate.interval]
                line |= {name: round(rates[rate.value] * rates["n"]), f"{name}_low": low, f"{name}_high": high}
            found.append(line)
    return found


def arm_name(row: Row) -> str:
    """What an arm is called in a sentence."""
    return ARMS[row["arm"]].replace("<br>", " ")


def describe_arms(rows: Sequence[Row]) -> str:
    """The arms in words, for readers who do not see them."""
    parts = [
        f"{arm_name(row)}, {row['suite']} prompts: code in {row['code']} and broken {row['broken']} of {row['n']}"
        for row in rows
    ]
    return "Answers with code and broken answers. " + "; ".join(parts) + "."


def arms_table(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a table."""
    import pandas as pd

    return pd.DataFrame(rows)
