"""A small `assets/` folder for tests: made-up numbers that never leave the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def preset(identity: str = "steer-it-away", **changes: Any) -> dict[str, Any]:
    return {"id": identity, "title": "Steer it away", "about": "A sentence.", "settings": {"block": 3}, **changes}


def example(identity: str = "steer-it-away", **changes: Any) -> dict[str, Any]:
    token = {"id": 7, "text": "Hi", "logprob": -0.5, "projection": 1.5}
    row = {"label": "base", "text": "Hi", "tokens": [token], "reason": "end", "seconds": 0.1}
    return {**preset(identity), "rows": [row], "strip": [], "provenance": {}, **changes}


def story(identity: str = "a-lesson", **changes: Any) -> dict[str, Any]:
    steps = [
        {"title": title, "text": "Text.", "question": "Why?", "reveal": "Because.", "example": "steer-it-away"}
        for title in ("First", "Second")
    ]
    return {"id": identity, "title": "A lesson", "minutes": 5, "steps": steps, **changes}


def write(root: Path, place: str, value: Any) -> Path:
    """Write `value` as JSON, or a text as it is, to `place` under `root`."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path
