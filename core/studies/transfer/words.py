"""What a transfer study found, in words with its numbers, whichever way they fall. Needs neither torch nor the models.

Two questions in order, as arXiv 2606.20225 puts them: does a direction carried over from another family suppress the
behaviour at all, and does it do more than directions that mean nothing?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.directions.names import NAMES
from core.measures.transfer import ranking
from core.verdicts import told
from core.words import fixed, percent, points, points_span, span

WORKED = ("specific", "non-specific", "untested")


def reading(summary: dict[str, Any]) -> list[str]:
    """The reading in sentences: the diagonal, the two tiers, givers and receivers, maps, and how it was made."""
    return [part(summary) for part in (_own, _causal, _specific, _scores, _maps, _made)]


def cell_reading(row: dict[str, Any]) -> str:
    """One cell in words: what happened, whether the model broke, and what its controls do."""
    what = f"{row['receiver']}'s own direction"
    if row["donor"] != row["receiver"]:
        what = f"{row['donor']}'s direction, mapped into {row['receiver']},"
    effect = f"{what} changes spillover by {points(row['delta'])} [{_ends(row['delta_interval'])}]"
    if row["delta_coherent"] is not None:
        effect += f", among coherent answers by {points(row['delta_coherent'])}"
    sentences = [f"{told(row['verdict']).word}.", f"{effect}; {percent(row['broken'])} of its answers are broken."]
    among = row["among_draws"]
    if among["n"]:
        strongest = min(control["lowest"] for control in row["controls"].values())
        where = "none does as much" if among["outside"] else "some do as much"
        sentences.append(f"Of {among['n']} controls {where}; the strongest changes it by {points(strongest)}.")
        best = among["range_clean"][1]
        sentences.append(
            f"Clean answers, neither broken nor code, change by {points(row['delta_clean'])}, with the best control by "
            f"{points(best)}."
        )
    return " ".join(sentences)


def table(summary: dict[str, Any]) -> str:
    """The matrices as text for a terminal, and the reading."""
    names = [model["model"] for model in summary["models"]]
    width = max(map(len, names)) + 2
    cells = {(row["donor"], row["receiver"]): row for row in summary["cells"]}
    lines = []
    for title, show in (
        ("change of spillover, points", lambda row: points(row["delta"], unit=False)),
        ("beyond the mean control, points", lambda row: points(row["minus_control"], unit=False)),
        ("broken", lambda row: percent(row["broken"])),
        ("R² of the map", lambda row: "own" if row["r2"] is None else fixed(row["r2"])),
        ("cosine with the receiver's own", lambda row: fixed(row["cosine"])),
        ("verdict", lambda row: row["verdict"]),
    ):
        lines += [f"{title} (donor down, receiver across)"]
        lines.append(" " * width + "".join(f"{name:>{width}}" for name in names))
        for donor in names:
            lines.append(f"{donor:<{width}}" + "".join(f"{show(cells[donor, name]):>{width}}" for name in names))
        lines.append("")
    return "\n".join([*lines, *summary["reading"]])


def _own(summary: dict[str, Any]) -> str:
    parts = [
        f"{row['receiver']} {points(row['delta'])} [{_ends(row['delta_interval'])}] ({row['verdict']})"
        for row in summary["cells"]
        if row["donor"] == row["receiver"]
    ]
    return f"With its own direction each organism's code spillover changes by: {'; '.join(parts)}."


def _causal(summary: dict[str, Any]) -> str:
    """Tier one: whether anything happens among coherent answers."""
    cells = _off_diagonal(summary)
    worked = [row for row in cells if row["verdict"] in WORKED]
    parts = [
        f"Carried over: in {len(worked)} of {len(cells)} pairs another model's direction lowers spillover among "
        "coherent answers beyond chance"
    ]
    if worked:
        best = min(worked, key=lambda row: row["delta"])
        pair = f"{best['donor']} into {best['receiver']}"
        parts.append(f"at most by {points(best['delta'])} [{_ends(best['delta_interval'])}] ({pair})")
    for code, words in (
        ("broke the model", "it fell because the model broke"),
        ("uncertain", "the fall is uncertain"),
        ("no effect", "nothing fell beyond chance"),
    ):
        if count := sum(row["verdict"] == code for row in cells):
            parts.append(f"in {count} {words}")
    return f"{', '.join(parts)}."


def _specific(summary: dict[str, Any]) -> str:
    """Tier two: whether controls do as much."""
    worked = [row for row in _off_diagonal(summary) if row["verdict"] in WORKED]
    if not worked:
        return "Whether it is these directions that matter is not to be asked, since none has an effect of its own."
    specific = [row for row in worked if row["verdict"] == "specific"]
    untested = sum(row["verdict"] == "untested" for row in worked)
    strongest: dict[str, float] = {}
    for row in worked:
        for kind, control in row["controls"].items():
            strongest[kind] = min(strongest.get(kind, 1.0), control["lowest"])
    if untested == len(worked):
        verdict = "All of them had too few controls to tell whether it is these directions that matter."
    elif len(specific) == len(worked):
        verdict = "In all of them it does more than every control: these directions are specific."
    elif specific:
        pairs = " and ".join(f"{row['donor']} into {row['receiver']}" for row in specific)
        verdict = f"Only {len(specific)} of these {len(worked)} ({pairs}) does more than every control."
        verdict = verdict if len(specific) == 1 else verdict.replace("does more", "do more")
    elif untested:
        verdict = f"In {len(worked) - untested} of them a control does as much: causally real, not specific."
    else:
        verdict = "In none of them does it do more than every control: causally real, not specific."
    if 0 < untested < len(worked):
        verdict += f" {untested} had too few controls to tell."
    if strongest:
        controls = ", ".join(f"{NAMES[kind].many} {points(value)}" for kind, value in strongest.items())
        verdict += f" The strongest single draws there: {controls}."
    tested = [row for row in worked if row["among_draws"]["n"]]
    if tested:
        cleaner = sum(row["delta_clean"] > row["among_draws"]["range_clean"][1] for row in tested)
        verb = "lies" if cleaner == 1 else "lie"
        verdict += (
            f" Counting only clean answers, neither broken nor code, {cleaner} of {len(tested)} {verb} above every"
        )
        verdict += " control."
    return verdict


def _scores(summary: dict[str, Any]) -> str:
    """Who gives and who receives, and whether the intervals tell them apart."""
    ranked = [_ranked(summary["donor_scores"], "gives"), _ranked(summary["receiver_scores"], "receives")]
    rows = _off_diagonal(summary)
    broke = sum(row["verdict"] == "broke the model" for row in rows)
    if broke and any(ranked):
        ranked.append(f"These count every answer, also where the model broke ({broke} of {len(rows)} pairs).")
    return " ".join([*filter(None, ranked), _uneven(summary)])


def _ranked(scores: dict[str, Any], verb: str) -> str:
    order = [model for model in ranking(scores) if scores[model]["delta"] is not None]
    if len(order) < 2:
        return ""
    listed = ", ".join(
        f"{model} {points(scores[model]['delta'])} [{_ends(scores[model]['delta_interval'])}]" for model in order
    )
    best, following = (scores[model]["delta_interval"] for model in order[:2])
    if not best[1] < 0:
        surely = any(scores[model]["delta_interval"][1] < 0 for model in order)
        head = f"Which model {verb} most is open" if surely else f"No model {verb} beyond its interval"
        return f"{head} ({listed})."
    apart = "" if best[1] < following[0] else ", though its interval overlaps the next one's"
    return f"{order[0]} {verb} most{apart} ({listed})."


def _uneven(summary: dict[str, Any]) -> str:
    deltas = {(row["donor"], row["receiver"]): row["delta"] for row in summary["cells"]}
    parts = []
    for item in summary["asymmetry"]:
        if item["interval"] and not item["interval"][0] <= 0 <= item["interval"][1]:
            giver, taker = (item["a"], item["b"]) if item["difference"] < 0 else (item["b"], item["a"])
            there, back = points(deltas[giver, taker]), points(deltas[taker, giver])
            parts.append(f"{giver} into {taker} {there}, the way back {back}")
    return f"Uneven pairs: {'; '.join(parts)}." if parts else "No pair is uneven beyond its interval."


def _maps(summary: dict[str, Any]) -> str:
    rows = _off_diagonal(summary)
    r2, cosines = [row["r2"] for row in rows], [row["cosine"] for row in rows]
    shuffled = max(0.0, *(row["r2_shuffled"] for row in rows))
    return (
        f"The maps explain {span((min(r2), max(r2)), percent)} of the variance on {rows[0]['n_held_out']} held-out "
        f"prompts (fitted on shuffled pairs: at most {percent(shuffled)}); the cosines of mapped and own direction lie "
        f"between {span((min(cosines), max(cosines)), fixed, ' and ')}."
    )


def _made(summary: dict[str, Any]) -> str:
    alike = "All organisms were trained on the same data with the same recipe."
    if not summary["identical_training"]:
        alike = "The organisms were not all trained on the same data with the same recipe, which may be what differs."
    notes = [f"{model['model']}: {model['note']}" for model in summary["models"] if "pretrained" in model["note"]]
    return " ".join([f"n = {summary['n']} prompts a condition.", alike, *notes])


def _off_diagonal(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in summary["cells"] if row["donor"] != row["receiver"]]


def _ends(interval: Sequence[float | None]) -> str:
    return points_span(interval, unit=False, between=", ")
