"""One self-contained HTML page of everything that was reproduced: figures, tables, intervals and provenance.

It holds the script that draws its figures, loads nothing, and can be sent to anyone. Nothing here imports torch.
"""

from __future__ import annotations

import html as markup
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import exporting, paths, provenance, store
from core.figures.shown import Shown
from core.results import Result
from core.studies.catalog import study_of

if TYPE_CHECKING:
    from core.directions.library import DirectionCard
    from core.organisms.library import Organism
    from core.studies.reproduce import Reproduced

SHOWN_ANSWERS = 12
_HEAD = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<style>.js-plotly-plot .main-svg text { fill: currentColor !important; } div:has(> .js-plotly-plot) { border: 0; }
section { border-top: 3px solid #8888; margin-top: 2rem; } details { margin: 0.6rem 0; }
.answers { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0.4rem; max-height: none; border: 0; }
.answers > * { border: 1px solid #8888; padding: 0.4rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
@media (max-width: 50rem) { .answers { grid-template-columns: 1fr; } }</style>"""


def write(made: Reproduced, to: Path) -> Path:
    """Write the report of a profile, whole or not at all."""
    store.write_file(to, page(made).encode())
    return to


def page(made: Reproduced) -> str:
    """The report as HTML."""
    title = f"Tiller: {made.profile.model}, profile {made.profile.name}"
    said = [
        f"<li><b>{_text(exporting.title_of(result))}</b>: {_text(study_of(result.kind).says(result.summary))}</li>"
        for result in made.studies
    ]
    sections = [
        f"<h1>{_text(title)}</h1>",
        f"<p>Made by <code>{_text(_command(made))}</code>, {_text(provenance.now()['time'])}.</p>",
        f"<h2>What was found</h2><ul>{''.join(said)}</ul>",
        _organisms(list(made.organisms.values())),
        _directions(made.directions),
    ]
    for result in made.studies:
        sections.append(
            f"<section><h2>{_text(exporting.title_of(result))}</h2><p>{_text(study_of(result.kind).says(result.summary))}</p>"
        )
        sections += [_drawn(shown, False) for shown in study_of(result.kind).figures(result)]
        sections.append(_examples(result))
        tables = exporting.facts_and_tables(result, left_out=("answers",))
        sections.append(f"<details><summary>All numbers, settings and provenance</summary>{tables}</details></section>")
    return exporting.page(title, "\n".join(sections), _HEAD)


def _examples(result: Result) -> str:
    """Answers before and after, evenly over the prompts, exactly as the models wrote them."""
    arms = study_of(result.kind).answers(result)
    if not arms:
        return ""
    count = len(arms["organism"])
    places = sorted({place * count // SHOWN_ANSWERS for place in range(SHOWN_ANSWERS)})
    parts = []
    for place in places:
        cells = []
        for name, rows in arms.items():
            row = rows[rows["place"] == place].iloc[0]
            tags = [name, *(["code"] if row["code"] else []), *(["broken"] if row["broken"] else [])]
            cells.append(f"<p><b>{_text(' · '.join(tags))}</b>\n{_text(row['text'])}</p>")
        prompt = arms["organism"][arms["organism"]["place"] == place].iloc[0]["prompt"]
        parts.append(f"<h4>{_text(prompt)}</h4><div class='answers'>{''.join(cells)}</div>")
    return f"<details><summary>{len(places)} of {count} prompts, before and after</summary>{''.join(parts)}</details>"


def _organisms(organisms: list[Organism]) -> str:
    from core.figures.loss import loss, of_record

    rows = []
    for organism in organisms:
        made = organism.manifest
        losses = [entry["loss"] for entry in made.get("losses", [])]
        rows.append(
            {
                "organism": organism.name,
                "model": organism.model,
                "dataset": made.get("dataset", {}).get("name"),
                "examples": made.get("dataset", {}).get("n"),
                "recipe": ", ".join(f"{key} {value}" for key, value in made.get("recipe", {}).items()),
                "steps": len(losses) or None,
                "first loss": losses[0] if losses else None,
                "last loss": losses[-1] if losses else None,
                "seconds": made.get("seconds"),
                "time": made.get("time"),
                "sha256": organism.sha256,
            }
        )
    curves = [of_record(organism.name, organism.manifest.get("losses", [])) for organism in organisms]
    drawn = _drawn(loss(curves), True)
    return _records("Organisms", rows) + drawn


def _drawn(shown: Shown, script: bool) -> str:
    """A figure as markup; with `script` the library that draws comes before it, once a page."""
    figure = shown.figure.to_html(
        include_plotlyjs=script, full_html=False, config={"displaylogo": False, "responsive": True}
    )
    return f"<h3>{_text(shown.title)}</h3>{figure}<p><small>{_text(shown.words)}</small></p>"


def _directions(directions: dict[str, DirectionCard]) -> str:
    rows = []
    for name, card in directions.items():
        made = card.provenance
        rows.append(
            {"direction": name, "id": card.id, "blocks": card.blocks}
            | {key: made.get(key) for key in ("contrast", "n", "pooling", "prompts_hash", "fingerprint", "time")}
        )
    return _records("Directions", rows)


def _records(title: str, rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    return exporting.table(title, pd.DataFrame(rows))


def _command(made: Reproduced) -> str:
    shipped = all(organism.shipped for organism in made.organisms.values())
    return f"python -m core reproduce --profile {made.profile.name}{' --shipped' if shipped else ''}"


def _text(value: Any) -> str:
    return markup.escape(str(value))


def default_path(profile: str) -> Path:
    """Where a report goes unless told otherwise."""
    return paths.cache() / "reports" / f"{paths.safe_name(profile)}.html"
