"""How torch's threads wait for one another, set before torch is loaded; imported with `core` for that reason.

OpenMP threads that spin take the core away from the one that they wait for as soon as another process wants it too, and
a generation beside a single busy process falls to a fraction of its speed. After a short spin they sleep.
`python -m benchmarks --only busy` measures it.
"""

from __future__ import annotations

import os

SPIN = "GOMP_SPINCOUNT"
TURNS = "1000"
_found = {name: os.environ.get(name) for name in (SPIN, "OMP_WAIT_POLICY")}


def spin_briefly() -> None:
    """Set it for this process and those it starts, unless the user has chosen otherwise."""
    if not any(_found.values()):
        os.environ[SPIN] = TURNS


def as_found() -> dict[str, str]:
    """The environment without our choice: for programs that are not ours."""
    return {name: value for name, value in os.environ.items() if name != SPIN or _found[SPIN]}
