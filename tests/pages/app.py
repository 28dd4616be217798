"""A page run by `AppTest`: opening it, finding what is on it, and which libraries it imports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from core import jobs, paths

OVERVIEW = "app.py"
SECONDS = 120  # the longest that a run of a page, or a job, may take


def visit(page: str, session: Mapping[str, Any] | None = None, /, **query: str) -> AppTest:
    """A page by its file, such as `pages/Steer.py`, at a link with these query parameters.

    Args:
        session: what the session holds already.
    """
    app = AppTest.from_file(str(paths.ROOT / OVERVIEW), default_timeout=SECONDS)
    if page != OVERVIEW:
        app = app.switch_page(page)
    for key, value in (session or {}).items():
        app.session_state[key] = value
    for key, value in query.items():
        app.query_params[key] = value
    return run(app)


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def widget(app: AppTest, kind: str, label: str):
    return next(element for element in app.get(kind) if element.label == label)


def press(app: AppTest, label: str) -> AppTest:
    widget(app, "button", label).click()
    return run(app)


def pieces(app: AppTest, mark: str = "") -> list[str]:
    """Each piece of HTML that holds `mark`, without style sheets."""
    bodies = [element.proto.body for element in app.get("html")]
    return [body for body in bodies if mark in body and "<style" not in body]


def html(app: AppTest) -> str:
    return "\n".join(pieces(app))


def links(app: AppTest) -> list[tuple[str, str]]:
    """(label, query string) of each link to a page."""
    return [(element.proto.label, element.proto.query_string) for element in app.get("page_link")]


def charts(app: AppTest) -> list[dict]:
    return [json.loads(element.proto.spec) for element in app.get("plotly_chart")]


def wait_for(identity: str) -> jobs.Job:
    """A job once it has ended."""
    limit = time.monotonic() + SECONDS
    while jobs.find(identity).live:
        assert time.monotonic() < limit
        time.sleep(0.1)
    return jobs.find(identity)


def heavy_imports(
    page: str, libraries: Sequence[str], /, holds: str = "True", assets: Path | None = None, **query: str
) -> list[str]:
    """Which of the libraries a process of its own has imported once it has shown a page.

    Args:
        holds: an expression of `app` that must be true, so that it was a page with something on it.
        assets: what ships, in place of what really does.
    """
    code = (
        "import json, pathlib, sys\n"
        "from core import paths\n"
        f"paths.ASSETS = pathlib.Path({str(assets or paths.ROOT / 'assets')!r})\n"
        "from tests.pages.app import visit\n"
        f"app = visit({page!r}, **{query!r})\n"
        f"assert {holds}\n"
        f"print(json.dumps([name for name in {libraries!r} if name in sys.modules]))\n"
    )
    made = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout.splitlines()[-1])
