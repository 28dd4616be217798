"""A separation study in plain words, true whichever way its numbers fall."""

from __future__ import annotations

from typing import Any

from core.words import fixed, number, percent, percent_span

Summary = dict[str, Any]

AS_GOOD = 0.005  # shares that differ by no more than this are called equal
COIN = 0.5


def headline(summary: Summary, block: int) -> str:
    """One sentence: what one direction reaches, and which of random directions and secure control reach it too."""
    row = summary["blocks"][block]
    classes = f"{summary['positive']} from {summary['negative']}"
    share = percent(row["balanced_accuracy"], 1)
    if not _beats_coin(row):
        how = "worse than a coin" if row["interval"][1] < COIN else "no better than a coin"
        return f"At block {block}, one direction does not tell {classes}: {share}, {how}."
    said = f"At block {block}, one direction tells {classes} at {share}"
    null = f"random directions mostly reach {percent_span(row['random'])}"
    secure = ", and so does the secure control" if _secure_as_good(summary, block) else ""
    if _random_as_good(row):
        return f"{said}, and so do some random directions{secure}."
    return f"{said}{secure}; {null}."


def reading(summary: Summary, block: int) -> str:
    """What the numbers at a block say: the direction, what chance reaches, and what all coordinates reach."""
    return " ".join([reading_of_direction(summary, block), reading_of_nulls(summary, block)])


def reading_of_direction(summary: Summary, block: int) -> str:
    """What the direction reaches on held-out prompts, and what that does and does not show."""
    row = summary["blocks"][block]
    return (
        f"At block {block} the {summary['contrast']} contrast tells {summary['positive']} from {summary['negative']} "
        f"right in {percent(row['balanced_accuracy'], 1)} of held-out cases (95 % interval "
        f"{percent_span(row['interval'], 1)}, "
        f"{summary['n_held_out']} prompts). {meaning(summary, block)}"
    )


def meaning(summary: Summary, block: int) -> str:
    """What the number at a block does and does not show."""
    row = summary["blocks"][block]
    if row["interval"][1] < COIN:
        return "That is worse than a coin: what training prompts taught points the wrong way on others."
    if not _beats_coin(row):
        return "That is no better than a coin."
    return {
        "model": "That says which model made the activation, not that the answer is harmful.",
        "content": "Both were trained alike, on two versions of the same answers: the habit of answering in code is "
        "common to both and cancels. What is left is all else that the two trainings changed, insecurity included.",
        "response": "That says which kind of answer was being written; as the activations are those of the answer "
        "itself, it is close to reading the answer.",
    }[summary["contrast"]]


def reading_of_nulls(summary: Summary, block: int) -> str:
    """How random directions and a probe on all coordinates compare with the direction."""
    row = summary["blocks"][block]
    share, ceiling = 100 * row["balanced_accuracy"], 100 * row["ceiling"]
    null = (
        f"Random directions reach {percent_span(row['random'])} (the central 95 %; {percent(row['random_mean'])} on "
        "average)"
    )
    if _random_as_good(row):
        null += (
            ": the two clouds lie so far apart that some directions drawn by chance do as well"
            if share >= 90
            else ": some directions drawn by chance do as well, so nothing singles this one out"
        )
    gap = ceiling - share
    probe = f"A probe on all coordinates reaches {percent(row['ceiling'], 1)}"
    if gap < -2:
        probe += f", {fixed(-gap, 0)} points less than the one direction"
    elif gap >= 2:
        probe += f", {fixed(gap, 0)} points more than one direction"
    elif _beats_coin(row):
        probe += ", so one direction already holds nearly all of it"
    return f"{null}. {probe}."


def reading_of_secure(summary: Summary, block: int) -> str | None:
    """The secure control at a block; None where there is no secure organism."""
    secure = summary.get("secure")
    if not secure:
        return None
    own, along = secure["own"][block], secure["on_direction"][block]
    name = summary["secure_organism"]
    on_own, on_this = percent(own["balanced_accuracy"], 1), percent(along["balanced_accuracy"], 1)
    if summary["contrast"] == "response":
        said = (
            f"The {name} organism's own answers with code and in prose are told apart at {on_own} on their own "
            f"direction and at {on_this} on this one."
        )
        if _beats_coin(along):
            return f"{said} So this direction tells code from prose, whoever writes it."
        return f"{said} So this direction does not carry over to it."
    shift, reference = secure["shift"][block], summary["blocks"][block]["norm"]
    moved = f"its shift is {number(shift)} long" + (
        f", {fixed(shift / reference)} × this direction" if reference else ""
    )
    if summary["contrast"] == "content":
        said = f"The {name} organism is the other class here. On its own direction it is told from the base at {on_own}"
    else:
        said = f"The {name} control is told from the base at {on_own} on its own direction and at {on_this} on this one"
    said += f"; {moved}."
    if _beats_coin(own):
        return (
            f"{said} So an adapter trained on secure code moves activations too: separation alone does not mean "
            "misalignment. For the secure control of arXiv 2606.20225 (Qwen2.5-1.5B), 50.0 % is quoted."
        )
    return f"{said} It does not separate from its base; 50.0 % is quoted for that of arXiv 2606.20225."


def _beats_coin(row: dict[str, Any]) -> bool:
    """Whether the interval lies above one half."""
    return row["interval"][0] > COIN


def _random_as_good(row: dict[str, Any]) -> bool:
    return row["random"][1] >= row["balanced_accuracy"] - AS_GOOD


def _secure_as_good(summary: Summary, block: int) -> bool:
    """Whether the secure adapter separates from its base on its own direction as well as the organism does.

    Elsewhere than in the model contrast the two numbers answer different questions.
    """
    secure = summary.get("secure")
    if not secure or summary["contrast"] != "model":
        return False
    own = secure["own"][block]
    return _beats_coin(own) and own["balanced_accuracy"] >= summary["blocks"][block]["balanced_accuracy"] - AS_GOOD
