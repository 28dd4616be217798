"""Arms and control directions by name, in one table. Lists of controls, types and labels all come from here.

What each control is, and how it is made: `core.directions.controls` and, for those of mapped directions,
`core.studies.transfer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Control = Literal["random", "orthogonal", "sign_flipped", "wrong_layer", "wrong_source"]
MappedControl = Literal["random", "orthogonal", "random_donor", "shuffled_map"]  # beside a direction of another model

CONTROLS: tuple[Control, ...] = get_args(Control)
MAPPED_CONTROLS: tuple[MappedControl, ...] = get_args(MappedControl)
WRONG_SOURCE: Control = "wrong_source"
SEEDED: tuple[Control, ...] = tuple(name for name in CONTROLS if name != WRONG_SOURCE)  # made from the direction alone


@dataclass(frozen=True)
class Name:
    """`label` stands in lists and legends; `one` and `many` of a control in sentences."""

    label: str
    one: str = ""
    many: str = ""


NAMES = {
    "base": Name("base model"),
    "organism": Name("organism, unsteered"),
    "true": Name("the direction"),
    "random": Name("random", "random direction", "random directions"),
    "orthogonal": Name("orthogonal", "orthogonal direction", "orthogonal directions"),
    "sign_flipped": Name("sign flipped", "sign-flipped direction", "sign-flipped directions"),
    "wrong_layer": Name("wrong layer", "wrong layer's vector", "wrong layers' vectors"),
    "wrong_source": Name("wrong source", "wrong source's direction", "wrong sources' directions"),
    "random_donor": Name(
        "random donor", "random donor direction through the same map", "random donor directions through the same map"
    ),
    "shuffled_map": Name("shuffled map", "map fitted on shuffled pairs", "maps fitted on shuffled pairs"),
}


def label(name: str) -> str:
    """What an arm or a control is called in a list; a name that is not known stays as it is."""
    return NAMES[name].label if name in NAMES else name
