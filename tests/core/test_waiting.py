"""How OpenMP threads wait is chosen before torch is loaded, and the user's own choice counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from core import paths

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize("start", ["import core.models.catalog", "import app", "import core.job_process"])
@pytest.mark.parametrize("chosen", [{}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}], ids=str)
def test_threads_spin_briefly_unless_the_user_says_otherwise(start, chosen):
    """As torch will read it, whichever part of the project comes first."""
    code = f"{start}\nimport json, os, sys\nassert 'torch' not in sys.modules\nprint(json.dumps(dict(os.environ)))"
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.ROOT, env={**clean, **chosen}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: found.get(name) for name in NAMES} == {
        "GOMP_SPINCOUNT": None if "OMP_WAIT_POLICY" in chosen else chosen.get("GOMP_SPINCOUNT", "1000"),
        "OMP_WAIT_POLICY": chosen.get("OMP_WAIT_POLICY"),
    }
