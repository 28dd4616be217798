"""One self-contained HTML page of everything that was reproduced: figures, tables, intervals and provenance.

It holds the script that draws its figures, loads nothing, and can be sent to anyone. Nothing here imports torch.
"""

from __future__ import annotations

import html as markup
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from core import exporting, paths, provenance, store
from core.results import Result

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True)
class Shown:
    """A figure with its heading and what it shows in words."""

    title: str
    figure: go.Figure
    words: str


def write(made: Reproduced, to: Path) -> Path:
    """Write the report of a profile, whole or not at all."""
    store.write_file(to, page(made).encode())
    return to


def page(made: Reproduced) -> str:
    """The report as HTML."""
    title = f"Tiller: {made.profile.model}, profile {made.profile.name}"
    said = [f"<li><b>{_text(exporting.title_of(result))}</b>: {_text(finding(result))}</li>" for result in made.studies]
    sections = [
        f"<h1>{_text(title)}</h1>",
        f"<p>Made by <code>{_text(_command(made))}</code>, {_text(provenance.now()['time'])}.</p>",
        f"<h2>What was found</h2><ul>{''.join(said)}</ul>",
        _organisms(list(made.organisms.values())),
        _directions(made.directions),
    ]
    for result in made.studies:
        sections.append(f"<section><h2>{_text(exporting.title_of(result))}</h2><p>{_text(finding(result))}</p>")
        sections += [_drawn(shown, False) for shown in figures(result)]
        sections.append(_examples(result))
        tables = exporting.facts_and_tables(result, left_out=("answers",))
        sections.append(f"<details><summary>All numbers, settings and provenance</summary>{tables}</details></section>")
    return exporting.page(title, "\n".join(sections), _HEAD)


def finding(result: Result) -> str:
    """What a result says, in a sentence or two with its numbers."""
    if result.kind == "separation":
        from core.studies.separation import best_block
        from core.studies.separation_words import reading, reading_of_secure

        block = best_block(result.summary)
        return " ".join(filter(None, [reading(result.summary, block), reading_of_secure(result.summary, block)]))
    if result.kind == "choice":
        from core.steering.choices import why

        return why(result.summary)
    if result.kind == "transfer":
        return " ".join(result.summary["reading"])
    return str(result.summary.get("verdict", ""))


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    if result.kind == "separation":
        yield from _of_separation(result)
    elif result.kind == "spillover":
        yield from _of_spillover(result)
    elif result.kind == "transfer":
        yield from _of_transfer(result)


def _of_separation(result: Result) -> Iterator[Shown]:
    from core.figures.separation import describe_histogram, histogram
    from core.figures.separation_blocks import cosines, profile
    from core.figures.separation_tables import METRICS, describe_cosines, describe_profile
    from core.studies.separation import best_block
    from core.studies.separation_rows import classes, clouds, negative_mean, shifted, threshold

    summary, block = result.summary, best_block(result.summary)
    axis, zero = next(iter(summary["axes"])), negative_mean(summary, block)
    found = [shifted(cloud, zero) for cloud in clouds(result, axis, block)]
    limit = threshold(result, axis, block) - zero
    third = [cloud.arm for cloud in found if cloud.arm not in classes(summary)]
    title = f"along {summary['axes'][axis]}"
    yield Shown(
        f"Held-out rows at block {block}", histogram(found, limit, title, third), describe_histogram(found, limit)
    )
    for name in ("accuracy", "d"):
        metric = METRICS[name]
        yield Shown(
            f"{metric.title} over blocks", profile(summary, metric, block), describe_profile(summary, metric, block)
        )
    yield Shown("Directions compared", cosines(summary, block), describe_cosines(summary, block))


def _of_spillover(result: Result) -> Iterator[Shown]:
    from core.figures.spillover import dose_response
    from core.figures.spillover_changes import describe_moves, matrix, moves, state
    from core.figures.spillover_strip import strip
    from core.figures.spillover_tables import RATES, describe_doses, describe_strip, sites

    summary = result.summary
    for site in sites(summary):
        where = f"block {site[0]}" if site[1] is None else f"blocks {site[0]} to {site[1]}"
        yield Shown(
            f"Code and broken answers over doses, {where}",
            dose_response(summary, site),
            describe_doses(summary, site, RATES["all"]),
        )
    if summary["random_draws"]:
        yield Shown("Is it this direction?", strip(summary), describe_strip(summary))
    arms = _arms(result)
    if arms:
        states = [
            [state(code, broken) for code, broken in zip(arms[name]["code"], arms[name]["broken"], strict=True)]
            for name in ("organism", "organism, steered")
        ]
        found = moves(states[0], states[1], list(arms["organism"]["suite"]))
        yield Shown("Before and after, prompt by prompt", matrix(found), describe_moves(found))


def _of_transfer(result: Result) -> Iterator[Shown]:
    from core.figures.transfer import matrix
    from core.figures.transfer_scores import scores
    from core.figures.transfer_tables import MEASURES, describe_matrix, describe_scores

    for measure in MEASURES.values():
        yield Shown(measure.title, matrix(result.summary, measure), describe_matrix(result.summary, measure))
    yield Shown("Who gives, who receives?", scores(result.summary), describe_scores(result.summary))


def _arms(result: Result) -> dict[str, pd.DataFrame]:
    """The answers of base, organism and organism steered at the chosen dose, in the order of the prompts."""
    table, dose = result.table, result.summary["dose"]
    if table is None:
        return {}
    at_dose = (table["coefficient"] == dose["coefficient"]) & (table["block"] == dose["block"])
    return {
        "base model": table[table["direction"] == "base"],
        "organism": table[table["direction"] == "organism"],
        "organism, steered": table[(table["direction"] == "true") & at_dose],
    }


def _examples(result: Result) -> str:
    """Answers before and after, evenly over the prompts, exactly as the models wrote them."""
    arms = _arms(result) if result.kind == "spillover" else {}
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
    from core.figures.training import describe_loss, loss_figure, of_record

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
    drawn = _drawn(Shown("Training loss", loss_figure(curves), describe_loss(curves)), True)
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
