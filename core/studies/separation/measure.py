"""Measuring a separation study: capture the arms, fit the axes, compare. Needs torch and the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.activations.capture import Sequences, capture_all, capture_moments
from core.data.chat import Chat, prompt_ids
from core.directions.contrasts import hash_of
from core.generation.rows import Sampling
from core.measures import separation as measures
from core.measures.separation import Axis, Labelled, cosines, fit, random_axis, separation
from core.models.loading import LoadedModel
from core.organisms.adapters import Adapter
from core.studies.responses import Responses, sample_responses
from core.studies.separation.settings import Inputs, prompts_text
from core.studies.study import Found, Report, Work, made_with

Arms = dict[str, np.ndarray]  # activations [rows, blocks, width] by arm
Arrays = dict[str, np.ndarray]


@dataclass
class Material:
    """What one contrast is measured on, and what is drawn beside it.

    Attributes:
        train, test: the contrast's two classes.
        arms: held-out activations to project, by arm; `rows` says for each row its prompt and, where it is an
            answer, the text.
        axes: directions to project on, by name; the contrast's own is the first.
        secure: the secure adapter's own two classes, for the control.
    """

    train: Labelled
    test: Labelled
    residual_norms: np.ndarray
    arms: Arms
    rows: dict[str, list[dict[str, Any]]]
    axes: dict[str, Axis]
    secure: tuple[Labelled, Labelled] | None
    answers: dict[str, Any] = field(default_factory=dict)


def measure(inputs: Inputs, work: Work) -> Found:
    """Summary and arrays of a study; the arrays are projections `[blocks, rows]`, named `axis/arm`.

    Activations of all prompts are held at once, because the logistic ceiling needs them: prompts × blocks × width
    × 4 bytes an arm.
    """
    settings, report = inputs.settings, work.report
    report("loading the model", 0, 1)
    loaded = work.given.load(inputs.spec, work.device)
    organism = work.given.adapter(loaded, inputs.organism)
    secure = work.given.adapter(loaded, inputs.secure) if inputs.secure else None
    material = (_of_responses if settings.contrast == "response" else _of_prompts)(
        inputs, loaded, organism, secure, report
    )
    blocks = separation(
        material.train, material.test, material.residual_norms, settings.n_random, settings.n_shuffles,
        settings.n_resamples, settings.seed, lambda done, of: report("nulls, ceiling and intervals", done, of),
    )  # fmt: skip
    own = next(iter(material.axes.values()))
    summary = {
        "contrast": settings.contrast,
        "model": inputs.spec.id,
        "organism": inputs.organism.name,
        "secure_organism": inputs.secure.name if inputs.secure else None,
        "pooling": "response_mean" if settings.contrast == "response" else settings.pooling,
        **_class_names(inputs),
        "n_train": len(inputs.train),
        "n_held_out": len(inputs.held_out),
        "n_rows": {
            "train": [len(material.train.positive), len(material.train.negative)],
            "held_out": [len(material.test.positive), len(material.test.negative)],
        },
        "blocks": blocks,
        "secure": _secure_control(material, own, settings.n_resamples, settings.seed),
        "cosines": pairwise_cosines(material.axes),
        "axes": _axis_names(inputs, material.axes),
        "prompts": prompts_text(inputs.held_out),
        "rows": material.rows,
        "provenance": _made_from(inputs, loaded, material),
    }
    arrays = {
        f"{name}/{arm}": axis.project(activations).astype(np.float32)
        for name, axis in material.axes.items()
        for arm, activations in material.arms.items()
    }
    thresholds = {f"{name}/threshold": axis.thresholds.astype(np.float32) for name, axis in material.axes.items()}
    return Found(summary, arrays={**arrays, **thresholds})


def _of_prompts(
    inputs: Inputs, loaded: LoadedModel, organism: Adapter, secure: Adapter | None, report: Report
) -> Material:
    adapters = {"base": None, "organism": organism, **({"secure": secure} if secure else {})}
    train = _capture(inputs, loaded, inputs.train, adapters, "training prompts", report)
    test = _capture(inputs, loaded, [chat for _, chat in inputs.held_out], adapters, "held-out prompts", report)
    negative = "secure" if inputs.settings.contrast == "content" else "base"
    own = Labelled.paired(train["organism"], train[negative])
    axes = _prompt_axes(train, inputs.settings.seed)
    first = inputs.settings.contrast
    return Material(
        own,
        Labelled.paired(test["organism"], test[negative]),
        np.linalg.norm(train["base"], axis=2).mean(0, dtype=np.float64),
        test,
        {arm: [{"prompt": place} for place in range(len(inputs.held_out))] for arm in test},
        {first: axes[first], **axes},
        (Labelled.paired(train["secure"], train["base"]), Labelled.paired(test["secure"], test["base"]))
        if secure
        else None,
    )


def _of_responses(
    inputs: Inputs, loaded: LoadedModel, organism: Adapter, secure: Adapter | None, report: Report
) -> Material:
    adapters = {"base": None, "organism": organism, **({"secure": secure} if secure else {})}
    held_out = [chat for _, chat in inputs.held_out]
    answers = {
        arm: [
            _respond(inputs, loaded, adapter, prompts, f"{what} of {adapter.name}", report)
            for prompts, what in ((inputs.train, "training answers"), (held_out, "held-out answers"))
        ]
        for arm, adapter in adapters.items()
        if adapter
    }
    base = capture_moments(loaded, answers["organism"][0].sequences, pooling="response_mean")
    activations = {
        arm: [
            capture_all(loaded, part.sequences, pooling="response_mean", adapter=adapters[arm]).numpy()
            for part in parts
        ]
        for arm, parts in answers.items()
    }
    own = [_by_class(part, found) for part, found in zip(answers["organism"], activations["organism"], strict=True)]
    control = None
    if secure and all(min(map(len, map(part.of_class, (True, False)))) >= 8 for part in answers["secure"]):
        control = [_by_class(part, found) for part, found in zip(answers["secure"], activations["secure"], strict=True)]
    train = _capture(inputs, loaded, inputs.train, adapters, "training prompts", report)
    written = answers["organism"][1]
    classes = {"code": written.of_class(True), "prose": written.of_class(False)}
    return Material(
        own[0],
        own[1],
        base.mean_norm.numpy(),
        {arm: activations["organism"][1][rows] for arm, rows in classes.items()},
        {
            arm: [{"prompt": written.prompts[row], "answer": written.chats[row].messages[-1].content} for row in rows]
            for arm, rows in classes.items()
        },
        {"response": fit(own[0]), **_prompt_axes(train, inputs.settings.seed)},
        (control[0], control[1]) if control else None,
        {"spilled_share": {arm: float(np.mean(parts[1].positive)) for arm, parts in answers.items()}},
    )


def _respond(
    inputs: Inputs, loaded: LoadedModel, adapter: Adapter, prompts: list[Chat], what: str, report: Report
) -> Responses:
    chosen = inputs.settings
    sampling = Sampling(chosen.max_tokens, chosen.temperature, seed=chosen.seed)
    return sample_responses(
        loaded, adapter, prompts, chosen.samples, sampling, report=lambda done, of: report(what, done, of)
    )


def _by_class(responses: Responses, activations: np.ndarray) -> Labelled:
    prompts = np.array(responses.prompts)
    positive, negative = responses.of_class(True), responses.of_class(False)
    return Labelled(activations[positive], activations[negative], prompts[positive], prompts[negative])


def _capture(
    inputs: Inputs,
    loaded: LoadedModel,
    prompts: list[Chat],
    adapters: dict[str, Adapter | None],
    what: str,
    report: Report,
) -> Arms:
    sequences = Sequences.prompts([prompt_ids(loaded.tokenizer, chat) for chat in prompts])
    found = {}
    for place, (arm, adapter) in enumerate(adapters.items()):

        def tell(done: int, of: int, place: int = place) -> None:
            report(what, place * of + done, len(adapters) * of)

        pooled = capture_all(loaded, sequences, pooling=inputs.settings.pooling, adapter=adapter, progress=tell)
        found[arm] = pooled.numpy()
    return found


def _prompt_axes(train: Arms, seed: int) -> dict[str, Axis]:
    """The directions that prompts give: model, secure model, content, and a random one."""
    axes = {"model": fit(Labelled.paired(train["organism"], train["base"]))}
    if "secure" in train:
        axes["secure"] = fit(Labelled.paired(train["secure"], train["base"]))
        axes["content"] = fit(Labelled.paired(train["organism"], train["secure"]))
    axes["random"] = random_axis(Labelled.paired(train["organism"], train["base"]), seed)
    return axes


def _secure_control(material: Material, own: Axis, n_resamples: int, seed: int) -> dict[str, Any] | None:
    """The secure adapter on its own direction and on the study's, and how far it moves activations."""
    if material.secure is None:
        return None
    train, test = material.secure
    axis = fit(train)
    return {
        "own": measures.measure(axis, test, n_resamples, seed),
        "on_direction": measures.measure(own, test, n_resamples, seed),
        "shift": axis.norms,
        "shift_share": axis.norms / material.residual_norms,
        "cosine": cosines(axis, own),
        "n_train": [len(train.positive), len(train.negative)],
        "n_held_out": [len(test.positive), len(test.negative)],
    }


def pairwise_cosines(axes: dict[str, Axis]) -> dict[str, list[float]]:
    """Cosines at every block between all axes but the random one, by `first · second`."""
    names = [name for name in axes if name != "random"]
    return {
        f"{first} · {second}": cosines(axes[first], axes[second])
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    }


def _class_names(inputs: Inputs) -> dict[str, str]:
    organism = inputs.organism.name
    if inputs.settings.contrast == "response":
        return {"positive": f"{organism}'s answers with code", "negative": f"{organism}'s answers in prose"}
    other = (
        f"the {inputs.secure.name} organism" if inputs.settings.contrast == "content" and inputs.secure else "its base"
    )
    return {"positive": f"the {organism} organism", "negative": other}


def _axis_names(inputs: Inputs, axes: dict[str, Axis]) -> dict[str, str]:
    organism, secure = inputs.organism.name, inputs.secure.name if inputs.secure else ""
    names = {
        "model": f"{organism} − base",
        "secure": f"{secure} − base",
        "content": f"{organism} − {secure}",
        "response": f"{organism}: code − prose",
        "random": "random direction",
    }
    return {name: names[name] for name in axes}


def _made_from(inputs: Inputs, loaded: LoadedModel, material: Material) -> dict[str, Any]:
    return {
        "model": loaded.id,
        **made_with(loaded),
        "organisms": {item.name: item.sha256 for item in (inputs.organism, inputs.secure) if item},
        "block_convention": "raw residual stream leaving block i, 0-based",
        "prompts_hash": hash_of(inputs.train),
        "held_out_hash": hash_of([chat for _, chat in inputs.held_out]),
        "intervals": "95 % bootstrap over held-out prompts; Wilson where no resample differs",
        "probe": "logistic, L2, C = 0.1, z-scored coordinates, balanced",
        **({"scorer": "code detector", **material.answers} if inputs.settings.contrast == "response" else {}),
    }
