"""What every saved thing says about how it was made."""

from __future__ import annotations

import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "numpy", "scipy", "scikit-learn", "pandas")


def now() -> dict[str, Any]:
    """Package versions and the time, in UTC."""
    return {
        "versions": package_versions(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on; `unknown` where one is not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
