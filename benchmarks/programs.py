"""The same work done by others' programs, each as its own documentation does it. Nothing of ours is used here."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.vectors import random_vectors

Work = Callable[[], dict[str, Any]]


class Plain:
    """transformers alone: `generate`, and a loop over `output_hidden_states`."""

    packages: tuple[str, ...] = ()

    def __init__(self, folder: str, _name: str, device: str, dtype: str) -> None:
        self.device = device
        loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), trust_remote_code=False)
        self.model = loaded.to(device).eval().requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        config = self.model.config
        vectors = random_vectors(config.num_hidden_layers, config.hidden_size)
        self.vectors = torch.from_numpy(vectors).to(device, self.model.dtype)
        self.steered: Any = None

    def versions(self) -> dict[str, str]:
        return {package: version(package) for package in (*self.packages, "transformers", "torch")}

    def prepare(self, do: str, asked: dict[str, Any]) -> Work:
        """The work, ready to be timed."""
        return {"decode": self.decode, "extract": self.extract}[do](asked)

    def decode(self, asked: dict[str, Any]) -> Work:
        """Greedy answers of exactly `tokens` tokens to prompts `ids`, steered at `block`; the new ids."""
        inputs = padded(asked["ids"], self.tokenizer.pad_token_id, self.device)
        settings = {"max_new_tokens": asked["tokens"], "min_new_tokens": asked["tokens"], "do_sample": False}

        @torch.inference_mode()
        def work() -> dict[str, Any]:
            found = self.generate(inputs, settings, asked["block"])
            return {"ids": found[:, inputs["input_ids"].shape[1] :].tolist()}

        return work

    def generate(self, inputs: dict[str, torch.Tensor], settings: dict[str, Any], _block: int) -> torch.Tensor:
        return self.model.generate(**inputs, **settings)

    def extract(self, asked: dict[str, Any]) -> Work:
        """Difference in means of the last token's states at all blocks, a prompt at a time."""
        sides = [
            self.tokenizer(asked[side], add_special_tokens=False)["input_ids"] for side in ("positive", "negative")
        ]

        @torch.inference_mode()
        def mean(side: list[list[int]]) -> torch.Tensor:
            total: Any = 0
            for ids in side:
                found = self.model(torch.tensor([ids], device=self.device), output_hidden_states=True, use_cache=False)
                total = total + torch.stack([state[0, -1] for state in found.hidden_states[1:]]).double().cpu()
            return total / len(side)

        def work() -> dict[str, Any]:
            difference = mean(sides[0]) - mean(sides[1])
            return {"norm": float(difference.norm())}

        return work


class Repeng(Plain):
    """repeng, with its control vector on."""

    packages = ("repeng",)

    def generate(self, inputs: dict[str, torch.Tensor], settings: dict[str, Any], block: int) -> torch.Tensor:
        import repeng

        if self.steered is None:
            self.steered = repeng.ControlModel(self.model, [block])
            vector = repeng.ControlVector(
                self.model.config.model_type, {block: self.vectors[block].float().cpu().numpy()}
            )
            self.steered.set_control(vector, 1.0)
        return self.steered.generate(**inputs, **settings)

    def extract(self, asked: dict[str, Any]) -> Work:
        """Its `ControlVector.train` with its defaults: batches of 32, PCA of the differences."""
        import repeng

        pairs = zip(asked["positive"], asked["negative"], strict=True)
        entries = [repeng.DatasetEntry(positive=positive, negative=negative) for positive, negative in pairs]

        def work() -> dict[str, Any]:
            return {"blocks": len(repeng.ControlVector.train(self.model, self.tokenizer, entries).directions)}

        return work


class SteeringVectors(Plain):
    """steering-vectors, with the vector applied."""

    packages = ("steering-vectors",)

    def generate(self, inputs: dict[str, torch.Tensor], settings: dict[str, Any], block: int) -> torch.Tensor:
        import steering_vectors

        vector = steering_vectors.SteeringVector({block: self.vectors[block]}, "decoder_block")
        with vector.apply(self.model):
            return self.model.generate(**inputs, **settings)


class NNsight(Plain):
    """nnsight, which adds the vector in each step of a trace."""

    packages = ("nnsight",)

    def generate(self, inputs: dict[str, torch.Tensor], settings: dict[str, Any], block: int) -> torch.Tensor:
        import nnsight

        if self.steered is None:
            self.steered = nnsight.TransformersModel(self.model, tokenizer=self.tokenizer, task="text-generation")
        model, vector, steps = self.steered, self.vectors[block], settings["max_new_tokens"]
        with model.generate(inputs, **settings) as tracer:
            for _ in tracer.iter[:steps]:
                model.model.layers[block].output[:] = model.model.layers[block].output + vector
            found = tracer.result.save()
        return found  # noqa: RET504 the trace ends before its result is there


def padded(prompts: list[list[int]], pad: int, device: str) -> dict[str, torch.Tensor]:
    """Token ids and attention mask `[rows, longest]`, real tokens at the right end."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
