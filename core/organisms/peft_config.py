"""Reading the configuration that PEFT saves beside a LoRA adapter: every key is understood, or it is refused by name.

A key counts as understood at a value under which the adapter is `scaling · B A` beside each layer and nothing more.
What is off in a way that every version of PEFT writes it (null, false, empty) is off, also where the key is newer.
Nothing here imports torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import DamagedArtifact, OrganismMismatch

MOST = 1_000_000  # ranks and alphas are far below


def _any(_: Any) -> bool:
    return True


def _one_of(*values: Any) -> Callable[[Any], bool]:
    return lambda value: value in values


# What a saved adapter computes does not depend on these, or is read from its tensors: any value is understood.
DESCRIBING = (
    "peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "base_model_name_or_path",
    "auto_mapping", "peft_version", "revision", "inference_mode", "target_modules", "exclude_modules", "lora_dropout",
    "fan_in_fan_out", "layers_to_transform", "layers_pattern", "megatron_core", "qalora_group_size", "eva_config",
    "runtime_config", "ensure_weight_tying",
)  # fmt: skip
UNDERSTOOD: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(DESCRIBING, _any),
    "task_type": _one_of("CAUSAL_LM"),
    "bias": _one_of("none"),
    # the others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) change the base weights too, and an adapter does not hold those
    "init_lora_weights": _one_of(True, "gaussian", "orthogonal", "eva"),
}


@dataclass(frozen=True)
class LoraSettings:
    """What the numbers of a LoRA adapter depend on beside its tensors."""

    rank: int
    alpha: float
    root: bool
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]

    def scaling(self, path: str) -> float:
        """What B is multiplied by in a layer; a pattern names it by the end of its path, as in PEFT."""
        rank = _matched(self.ranks, path, self.rank)
        return _matched(self.alphas, path, self.alpha) / (math.sqrt(rank) if self.root else rank)

    def rank_of(self, path: str) -> int:
        return int(_matched(self.ranks, path, self.rank))


def read(config: Mapping[str, Any], name: str) -> LoraSettings:
    """The settings of a plain LoRA adapter called `name`.

    Raises:
        OrganismMismatch: names what is not understood.
        DamagedArtifact: rank or alpha are no numbers that an adapter could have.
    """
    odd = [key[:60] for key, value in config.items() if not _is_understood(key, value)]
    if config.get("peft_type") != "LORA":
        odd = [f"peft_type {config.get('peft_type')}"[:60]]
    if odd:
        raise OrganismMismatch(
            f"{name} is not an adapter that Tiller computes exactly ({', '.join(odd[:3])}). Save it with PEFT as plain "
            "LoRA, or train one with `python -m core train`."
        )
    ranks, alphas = _pattern(config, "rank_pattern", name), _pattern(config, "alpha_pattern", name)
    found = [config.get("r"), *ranks.values()], [config.get("lora_alpha"), *alphas.values()]
    if not all(isinstance(rank, int) and 0 < rank < MOST for rank in found[0]) or not all(
        isinstance(alpha, int | float) and -MOST < alpha < MOST for alpha in found[1]
    ):
        raise DamagedArtifact(
            f"The configuration of the organism {name} states rank {_cut(found[0])} and alpha {_cut(found[1])}. Train "
            "it again or restore the file."
        )
    return LoraSettings(config["r"], config["lora_alpha"], bool(config.get("use_rslora")), ranks, alphas)


def _cut(values: list[Any]) -> str:
    return ", ".join(map(str, values[:3]))[:40]


def _pattern(config: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    """A pattern by the end of paths; its keys are expressions, of which only plain ones and `.*` are taken."""
    found = config.get(key) or {}
    if not isinstance(found, dict) or not all(re.fullmatch(r"(\w|\\?[.-]|\.\*){1,200}", part) for part in found):
        raise OrganismMismatch(f"{name} has a {key} that Tiller does not read. Write plain paths into it.")
    return found


def _is_understood(key: str, value: Any) -> bool:
    if value is None or value is False or value in ("", [], {}):
        return True
    return key in UNDERSTOOD and UNDERSTOOD[key](value)


def _matched(pattern: Mapping[str, Any], path: str, usual: Any) -> Any:
    return next((value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", path)), usual)
