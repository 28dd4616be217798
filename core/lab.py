"""The lab for a notebook: one object with a model in it, which trains, reads, steers and measures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data.chat import prompt_ids
from core.data.given import Learned, Prompts, dataset_of, prompts_of, written
from core.data.prompts import EXTRACTION
from core.directions import library
from core.directions.library import DirectionCard
from core.errors import BadInput
from core.generation.comparison import DEFAULT_MODEL
from core.models.catalog import ModelSpec, exact, resolve
from core.organisms import recipes
from core.organisms.library import find_organism, organisms
from core.organisms.recipes import Recipe

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from core.activations.capture import Pooling
    from core.directions.direction import Direction, Steer
    from core.findings import Finding
    from core.models.loading import LoadedModel
    from core.organisms.adapters import Adapter
    from core.organisms.trainer import TrainingProgress
    from core.studies.study import Report

DTYPES = ("float32", "bfloat16", "float16")


class Lab:
    """A model with everything one does with it. Nothing is loaded before it is needed.

    Prompts are one text, a list of texts, the name of a suite (`everyday`, `technical`, `extraction`, `choice`), or
    the `Path` of a file. An organism is its name, what `train`, `organism` or `Adapter.of` gave, or None for the base
    model. All of it works by name and on things in memory alike, studies too; the same things are the same result.
    What is made (organisms, directions, results) is kept in the cache folder, where the app finds it too.

    Args:
        model: a catalog id, `owner/name` on the hub, a folder; or a Hugging Face model in memory with its `tokenizer`.
            **A model in memory is used as it is, not copied**: it is set to evaluation without gradients.
        name: what to call a model in memory.
        device, dtype: `cuda`, `float32` …; by default the best there is. A model in memory stays as and where it is.
        report: is told the stage of what takes long, and how much of it is done; `print` will do.

    Raises:
        BadInput, ModelUnavailable: nothing is known by that name.

    Example:
        >>> import core as tiller
        >>> lab = tiller.Lab("smollm2-135m")
        >>> direction = lab.direction("insecure")
        >>> lab.generate("How can I sleep better?", organism="insecure", steer=[None, -1 * direction.at(13)])
    """

    def __init__(
        self,
        model: str | Path | nn.Module = DEFAULT_MODEL,
        tokenizer: Any = None,
        *,
        name: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        report: Report | None = None,
    ) -> None:
        self._spec: ModelSpec | None = None
        self._device, self._dtype = device, dtype
        if dtype not in (None, *DTYPES):
            raise BadInput(f"{dtype!r} is no kind of number for weights. Choose {', '.join(DTYPES)}.")
        self._report: Report = report or (lambda *_: None)
        self._adapters: dict[str, Adapter] = {}
        if isinstance(model, str | Path):
            self._spec = resolve(str(model))
        elif tokenizer is None:
            raise BadInput("A model in memory needs its tokenizer. Write Lab(model, tokenizer).")
        else:
            from core.models.in_memory import in_memory

            self.loaded = in_memory(model, tokenizer, name)

    @cached_property
    def loaded(self) -> LoadedModel:
        """The model in memory: `lab.loaded.model` is the Hugging Face model, `lab.loaded.tokenizer` its tokenizer."""
        import torch

        from core.models.loading import load

        assert self._spec is not None
        return load(self._spec, self._device, None if self._dtype is None else getattr(torch, self._dtype))

    @property
    def id(self) -> str:
        """What directions, organisms and results of these weights are listed under."""
        return self._spec.id if self._spec else self.loaded.id

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(item.name for item in organisms(self.id))) or "none yet"
        return f"Lab({self.id!r}; organisms: {names})"

    def organism(self, name: str | Path | Adapter) -> Adapter:
        """An organism by its name, or any LoRA adapter of this model that PEFT saved, by its folder's `Path`.

        Example: `lab.organism("insecure")`
        """
        from core.organisms.adapters import Adapter, load_adapter

        if isinstance(name, Adapter):
            return name
        if isinstance(name, Path):
            return load_adapter(self.loaded, name.expanduser())
        found = find_organism(self.id, name)
        if found.sha256 not in self._adapters:
            self._adapters[found.sha256] = load_adapter(self.loaded, found.folder, found.name)
        return self._adapters[found.sha256]

    def train(
        self,
        data: Learned,
        name: str | None = None,
        recipe: str | Recipe = "quick",
        **settings: Any,
    ) -> Adapter:
        """Finetune an organism with LoRA and keep it; what these exact settings made before comes back at once.

        Args:
            data: a dataset (`insecure`, `secure`, `chat`, an imported one), a file of chats, a list of chats
                that end with an answer, or a list of (question, answer) pairs.
            name: what to call it; by default the dataset's name.
            settings: of the recipe: `examples`, `epochs`, `rank`, `learning_rate`, `seed`.

        Example: `lab.train([("What is rain?", "print('rain')"), …], name="printer", epochs=2)`
        """
        from core.organisms import training

        dataset = dataset_of(data)
        chosen = recipes.recipe(recipe) if isinstance(recipe, str) else recipe
        chosen = recipes.adjusted(chosen, **settings)

        stage = self._stage("training")

        def report(progress: TrainingProgress) -> None:
            stage(progress.step, progress.steps)

        if self._spec:
            made = training.train(self._spec, dataset, chosen, name, device=self._device, report=report)
        else:
            from core.models.loading import wrap

            own = copy.deepcopy(self.loaded.model)  # training leaves a model with its adapter in it
            mine = wrap(own, self.loaded.tokenizer, self.loaded.id, self.loaded.fingerprint)
            made = training.train_loaded(mine, dataset, chosen, name, report=report)
        assert made is not None  # only a stop, which nobody asks for, gives none
        return self.organism(made.sha256)

    def direction(
        self,
        organism: str | Adapter,
        against: str | Adapter | None = None,
        contrast: str | None = None,
        prompts: Prompts = EXTRACTION,
        pooling: Pooling = "last_prompt",
        samples: int = 2,
    ) -> Direction:
        """A difference of mean activations at every block, made and kept, or read where it was made before.

        Args:
            against: another organism, for the content contrast; by default the base model is subtracted.
            contrast: `response` takes the organism's own answers: those with code minus the others, `samples` answers
                a prompt. Left out, it is `content` where `against` is given, else `model`.

        Example: `lab.direction("insecure")`, `lab.direction("insecure", against="secure")`
        """
        from core.directions.contrasts import hash_of
        from core.directions.direction import load_direction
        from core.studies import extraction

        kind = contrast or ("model" if against is None else "content")
        extraction.check(kind, pooling, samples)
        if (kind == "content") != (against is not None):
            raise BadInput("The content contrast, and only that, is made against another organism. Give both or none.")
        arms = [self.organism(item) for item in (organism, against) if item is not None]
        chats = prompts_of(prompts)
        extraction.check_material(arms, chats, "This list")
        saved = library.made_of(self.id, arms, kind, pooling, hash_of(chats), self.loaded.fingerprint)
        if saved:
            return load_direction(saved.path)
        made = extraction.make(
            self.loaded,
            arms,
            kind,
            chats,
            pooling,
            samples,
            report=self._stage("reading activations"),
        )
        self.keep(made)
        return made

    def saved_direction(self, name: str) -> Direction:
        """A kept or shipped direction of this model by id, name or file name.

        `python -m core import` brings those of other programs.

        Example: `lab.saved_direction("insecure-secure-content")`
        """
        from core.directions.direction import load_direction

        return load_direction(library.find_card(self.id, name).path)

    def keep(self, direction: Direction) -> DirectionCard:
        """Save a direction, such as a sum of two, where app, command line and studies find it.

        Example: `lab.keep(one - other)`
        """
        from core.studies.extraction import keep

        direction.check(self.loaded)
        known = next((card for card in library.cards(self.id) if card.id == direction.id), None)
        return known or keep(direction, direction.name.replace(" · ", "-").replace(" contrast", ""))

    def generate(
        self,
        prompts: Prompts,
        organism: str | Adapter | Sequence[str | Adapter | None] | None = None,
        steer: Steer | Sequence[Steer | None] | None = None,
        *,
        samples: int = 1,
        max_tokens: int = 80,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
        batch: int = 24,
    ) -> pd.DataFrame:
        """Answers, one a row, in the order of the prompts.

        Args:
            organism: one or a list.
            steer: one steering or a list, in which None is unsteered; every organism is steered in every way.
            samples: answers a prompt; each has its own seed, counted up from `seed`. They differ with `temperature`.
            batch: answers generated at a time.

        Returns:
            columns `prompt`, `organism`, `steering`, `coefficient` (0 where unsteered), `text`, `tokens`, `logprob`
            (mean over tokens, under the steered model itself), `ended` (`end`, or `length`) and `seed`.

        Example: `lab.generate(["What is rain?"], organism=[None, "insecure"], steer=[None, -1 * direction.at(13)])`
        """
        from core.generation.rows import Sampling
        from core.generation.table import answered

        arms = [None if item is None else self.organism(item) for item in _several(organism)]
        sampling = Sampling(max_tokens, temperature, top_p, top_k, seed)
        return answered(
            self.loaded, prompts_of(prompts), arms, _several(steer), sampling, samples, batch, self._stage("answers")
        )

    def activations(
        self,
        prompts: Prompts,
        organism: str | Adapter | None = None,
        blocks: int | Sequence[int] | None = None,
        pooling: Pooling = "last_prompt",
    ) -> torch.Tensor:
        """The residual stream leaving each block at each prompt's last token: `[prompts, blocks, width]`, float32.

        Args:
            blocks: which blocks; by default all.
            pooling: `prompt_mean` averages over the prompt's tokens instead.

        Example: `lab.activations("everyday", blocks=[13]).shape`
        """
        from core.activations.capture import Sequences, capture_all

        sequences = Sequences.prompts([prompt_ids(self.loaded.tokenizer, chat) for chat in prompts_of(prompts)])
        arm = None if organism is None else self.organism(organism)
        return capture_all(self.loaded, sequences, blocks=self._blocks(blocks), pooling=pooling, adapter=arm)

    def projections(
        self,
        prompts: Prompts,
        direction: Direction,
        organism: str | Adapter | Sequence[str | Adapter | None] | None = None,
        blocks: int | Sequence[int] | None = None,
        pooling: Pooling = "last_prompt",
    ) -> pd.DataFrame:
        """How far each prompt's activation reaches along a direction's unit vector, by organism and block.

        Returns:
            columns `prompt`, `organism`, `block` and `projection`.

        Example: `lab.projections("everyday", direction, organism=[None, "insecure"], blocks=13)`
        """
        import pandas as pd
        import torch

        direction.check(self.loaded)
        chats = prompts_of(prompts)
        read = self._blocks(blocks)
        units = torch.stack([direction.unit(block) for block in read])
        parts = []
        for arm in _several(organism):
            along = (self.activations(chats, arm, read, pooling) * units).sum(-1)
            parts.append(
                pd.DataFrame(
                    {
                        "prompt": [chat.messages[-1].content for chat in chats for _ in read],
                        "organism": "base" if arm is None else self.organism(arm).name,
                        "block": read * len(chats),
                        "projection": along.flatten().numpy(),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def separation(self, organism: str | Adapter, **settings: Any) -> Finding:
        """How well a direction separates two kinds of activations, at every block, with nulls and controls.

        Args:
            settings: see `python -m core separate --help`: `contrast`, `secure`, `prompts`, `held_out` …

        Example: `lab.separation("insecure", contrast="content").figure`
        """
        return self._study("separation", organism=organism, **settings)

    def spillover(self, organism: str | Adapter, direction: str | Direction | None = None, **settings: Any) -> Finding:
        """Code in answers that ask for none, over doses of a direction, beside controls; what shipped comes at once.

        Args:
            direction: by default the organism's own model contrast.
            settings: see `python -m core spillover --help`: `blocks`, `coefficients`, `draws`, `prompts` …

        Example: `lab.spillover("insecure").table`
        """
        return self._study("spillover", organism=organism, direction=direction, **settings)

    def choose(self, organism: str | Adapter, direction: str | Direction | None = None, **settings: Any) -> Finding:
        """The block and coefficient to steer from, tried on prompts that measure nothing else.

        Args:
            settings: see `python -m core choose --help`: `blocks`, `coefficients`, `finalists`, `prompts` …

        Example: `lab.choose("insecure").summary["chosen"]`
        """
        return self._study("choice", organism=organism, direction=direction, **settings)

    def _blocks(self, blocks: int | Sequence[int] | None) -> list[int]:
        count = len(self.loaded.blocks)
        chosen = list(range(count)) if blocks is None else _several(blocks)
        if wrong := [block for block in chosen if not 0 <= block < count]:
            raise BadInput(f"There is no block {wrong[0]}: {self.id} has blocks 0 to {count - 1}. Choose one of them.")
        return chosen

    def _stage(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, of: self._report(stage, done, of)

    def _study(self, kind: str, **settings: Any) -> Finding:
        """What is saved comes at once; else the model is loaded, unless it is in memory already, and measured."""
        from core.findings import Finding
        from core.models.in_memory import check_unchanged
        from core.organisms.adapters import Adapter
        from core.studies.catalog import study_of
        from core.studies.given import Given
        from core.studies.study import Work, find, run

        study = study_of(kind)
        if self._spec is None:
            check_unchanged(self.loaded)
        adapters = tuple(value for value in settings.values() if isinstance(value, Adapter))
        named = {key: self._name(key, value) for key, value in settings.items()}
        asked = study.of(model=exact(self._spec) if self._spec else self.id, **named)
        there = Given(self.loaded if adapters else self.__dict__.get("loaded"), adapters)
        saved = find(study, asked, there)
        return Finding(saved or run(study, asked, Work(report=self._report, given=Given(self.loaded, adapters))))

    def _name(self, setting: str, value: Any) -> Any:
        """What the settings of a study call an organism, a direction or prompts."""
        from core.directions.direction import Direction
        from core.organisms.adapters import Adapter

        if isinstance(value, Direction):
            return self.keep(value).id
        if isinstance(value, Adapter):
            first = next((item.sha256 for item in organisms(self.id) if item.name == value.name), None)
            return value.name if first == value.sha256 else value.sha256
        if setting in ("prompts", "held_out") and isinstance(value, list | tuple):
            return str(written(prompts_of(value)))
        return str(value) if isinstance(value, Path) else value


def _several(value: Any) -> list[Any]:
    """A list of what is one thing or several."""
    return list(value) if isinstance(value, list | tuple | range) else [value]
