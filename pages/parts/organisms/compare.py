"""Organisms of a model beside each other: a table, their losses, the settings that differ; and one of them closer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.errors import TillerError
from core.figures.loss import loss, of_record
from core.organisms.library import Organism, delete_organism
from core.words import duration, number
from pages.parts import widgets
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.organisms.choice import LINKED, PAGE, Shown, choose
from pages.parts.organisms.onward import show_next
from pages.parts.organisms.train import show_model
from pages.parts.shell import literal_markdown

COLUMNS = ("organism", "origin", "dataset", "recipe", "rank", "steps", "final loss", "took", "made", "sha256")
_bound = functools.partial(widgets.bound, PAGE, choose)


def show_compare(now: Shown) -> None:
    """All organisms of the model, then some of them beside each other, then one of them."""
    with st.container(key="organisms-model"):
        show_model(now)
    if not now.organisms or now.organism is None:
        none = f"{now.model} has no organism on this machine yet. Train one, or choose another model."
        st.html(f"<p class='org-missing' role='status'>{literal(none)}</p>")
        st.button("Train one", icon=":material/model_training:", on_click=choose, kwargs={"view": "train"})
        return
    st.html(table_html(now))
    curves, closer = st.columns([7, 5], gap="medium")
    with curves:
        _show_curves(now)
    with closer:
        _show_one(now, now.organism)


def table_html(now: Shown) -> str:
    """A row an organism; what a manifest does not say is “unknown”."""
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = ""
    for organism in now.organisms:
        cells = [
            f"<td data-of='{name}'>{literal(text)}</td>" for name, text in zip(COLUMNS, row(organism), strict=True)
        ]
        chosen = " class='org-chosen' aria-current='true'" if organism == now.organism else ""
        rows += f"<tr{chosen}>{''.join(cells)}</tr>"
    n = len(now.organisms)
    return (
        f"<div class='org-table' tabindex='0' aria-label='Organisms'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class='org-small'>{n} {'organism' if n == 1 else 'organisms'} of "
        f"{literal(now.model)}. Final loss: mean over the last steps, as many as in brackets. "
        f"{term_html('training-loss')}</p>"
    )


def row(organism: Organism) -> list[str]:
    """The cells of an organism, in the order of `COLUMNS`."""
    record = organism.manifest
    dataset, recipe = _part(record, "dataset"), _part(record, "recipe")
    losses = record.get("losses") or []
    final, steps = "unknown", "unknown"
    if losses:
        curve = of_record("", losses)
        steps = str(curve.total)
        if curve.means:
            final = f"{number(curve.means[-1])} ({min(curve.window, len(curve.losses))})"
    n = f", n = {dataset['n']:,} of {dataset['of']:,}" if {"n", "of"} <= set(dataset) else ""
    return [
        organism.name,
        "shipped" if organism.shipped else "made here",
        f"{dataset.get('name', 'unknown')}{n}",
        str(recipe.get("name", "unknown")),
        str(recipe.get("rank", "unknown")),
        steps,
        final,
        _took(record.get("seconds")),
        str(record.get("time", "unknown"))[:16].replace("T", " "),
        organism.sha256[:LINKED],
    ]


def settings_of(organism: Organism) -> dict[str, str]:
    """All that an organism's manifest says of how it was made."""
    record = organism.manifest
    dataset, recipe, versions = (_part(record, name) for name in ("dataset", "recipe", "versions"))
    found = {f"dataset {name}": value for name, value in dataset.items()}
    found |= {name.replace("_", " "): value for name, value in recipe.items() if name != "name"}
    found |= {"recipe": recipe.get("name"), "base weights": str(record.get("fingerprint", "unknown"))[:12]}
    found |= {f"{name} version": value for name, value in versions.items()}
    return {name: "unknown" if value is None and name != "examples" else _plain(value) for name, value in found.items()}


def compared(chosen: Sequence[Organism]) -> list[tuple[str, list[str], bool]]:
    """(setting, its value for each organism, whether they differ), those that differ first."""
    known = [settings_of(organism) for organism in chosen]
    names = list(dict.fromkeys(name for one in known for name in one))
    rows = [(name, [one.get(name, "unknown") for one in known]) for name in names]
    marked = [(name, values, len(set(values)) > 1) for name, values in rows]
    return sorted(marked, key=lambda item: not item[2])


def _show_curves(now: Shown) -> None:
    there = {item.sha256[:LINKED]: item for item in now.organisms if item.manifest.get("losses")}
    names = {key: label(item, now.organisms) for key, item in there.items()}
    chosen = [item.sha256[:LINKED] for item in now.curves if item.sha256[:LINKED] in there]
    st.html("<h2 class='org-h'>Side by side</h2>")
    _bound(
        st.multiselect, "Compare", "curves", chosen, list(there), start="default", convert=tuple,
        format_func=lambda key: names.get(key, key), placeholder="Choose two or more",
    )  # fmt: skip
    if not chosen:
        st.caption("Choose the organisms whose training is to be compared.")
        return
    curves = [of_record(names[key], there[key].manifest["losses"]) for key in chosen]
    shown = loss(curves)
    name = "tiller-organisms-loss"
    st.plotly_chart(shown.figure, config=toolbar(name), alt=shown.words, key="organisms.curves")
    show_downloads(name, shown.figure, shown.csv)
    st.html(settings_html([there[key] for key in chosen], [names[key] for key in chosen]))


def settings_html(chosen: Sequence[Organism], names: Sequence[str]) -> str:
    """The settings that differ, marked; those that are equal are folded."""
    rows = compared(chosen)
    head = "<tr><th>setting</th>" + "".join(f"<th>{literal(name)}</th>" for name in names) + "</tr>"

    def table(wanted: bool) -> str:
        body = "".join(
            f"<tr{' class=org-differs' if wanted and len(chosen) > 1 else ''}><td>{literal(name)}</td>"
            + "".join(f"<td>{literal(value)}</td>" for value in values)
            + "</tr>"
            for name, values, differs in rows
            if differs == wanted
        )
        return f"<table class='org-list'><thead>{head}</thead><tbody>{body}</tbody></table>"

    differing = sum(differs for *_, differs in rows)
    if len(chosen) == 1:
        return f"<details class='org-fold'><summary>All {len(rows)} settings</summary>{table(False)}</details>"
    shown = f"<p class='org-small'>≠ {differing} of {len(rows)} settings differ.</p>" + (
        table(True) if differing else ""
    )
    equal = len(rows) - differing
    return f"{shown}<details class='org-fold'><summary>{equal} settings are equal</summary>{table(False)}</details>"


def label(organism: Organism, there: Sequence[Organism]) -> str:
    """Its name, and the beginning of its sha256 where several have that name."""
    several = sum(item.name == organism.name for item in there) > 1
    return f"{organism.name} · {organism.sha256[:LINKED]}" if several else organism.name


def _show_one(now: Shown, organism: Organism) -> None:
    names = {item.sha256[:LINKED]: label(item, now.organisms) for item in now.organisms}
    st.html("<h2 class='org-h'>One of them</h2>")
    _bound(
        st.selectbox, "Organism", "organism", organism.sha256[:LINKED], list(names), start="index",
        format_func=lambda key: names.get(key, key),
    )  # fmt: skip
    show_next(organism)
    if organism.shipped:
        st.caption("Shipped with Tiller, so it cannot be deleted here.")
        return
    with st.popover("Delete", icon=":material/delete:", key="organisms.remove"):
        st.html(
            f"<p class='org-small'>Delete {literal(organism.name)} ({organism.sha256[:LINKED]})? Its directions and "
            "results stay; training it again makes it again.</p>"
        )
        st.button("Delete it", type="primary", key="organisms.remove_it", on_click=_deleted, args=(organism,))


def _deleted(organism: Organism) -> None:
    try:
        delete_organism(organism)
    except TillerError as error:
        st.toast(literal_markdown(str(error)))
    choose(organism=None, curves=None)


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _took(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return "unknown"
    return duration(seconds)


def _plain(value: Any) -> str:
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 4) if isinstance(value, float) else str(value)
