"""Reading activations: against nothing read, against repeng and a plain loop, and what memory it takes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.pairs import Measurement, interleaved
from core.activations.capture import BATCH_TOKENS, Sequences, batches, capture_moments, shared_prefix
from core.data.chat import prompt_text
from core.data.prompts import suite
from core.models.loading import LoadedModel, load

PAIRS = 40
Ids = Sequence[tuple[int, ...]]


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """All rows of this file. Positive and negative texts are two halves of the extraction suite."""
    texts = _texts(loaded)
    ids = [tuple(loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    some = Sequences.prompts(ids[: 2 * PAIRS])
    yield interleaved(
        f"capture at all blocks / bare forward without vocabulary, {2 * PAIRS} prompts",
        lambda: capture_moments(loaded, some),
        lambda: _bare(loaded, some),
        "≤ 1.05",
        n,
        note="same batches; ours with mean and variance in float64",
    )
    yield interleaved(
        f"extraction / loop over output_hidden_states, {PAIRS} pairs",
        lambda: _ours(loaded, ids),
        lambda: _plain_loop(loaded, ids),
        "≤ 0.5",
        max(3, n // 3),
        note="difference in means of positive and negative texts at all blocks",
    )
    peer = _repeng()
    if isinstance(peer, str):
        print(f"repeng does not run here: {peer}", file=sys.stderr)
    else:
        yield interleaved(
            f"extraction / repeng's ControlVector.train, {PAIRS} pairs",
            lambda: _ours(loaded, ids),
            lambda: _theirs(peer, loaded, texts),
            "≤ 0.5",
            max(3, n // 3),
            note="repeng 0.4.0, its defaults (batch 32, PCA of differences), same texts, weights and type",
        )
    for who, other in (("ours", "loop"), ("ours", "repeng")):
        yield _memory(loaded.id, who, other)
    yield _growth(loaded.id)


def peak(model: str, who: str, pairs: int) -> dict[str, float]:
    """In a process of its own: resident bytes once the model is loaded and warm, and the highest while `who` works."""
    loaded = load(model)
    texts = _texts(loaded)
    texts = (texts * (1 + 2 * pairs // len(texts)))[: 2 * pairs]
    ids = [tuple(loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    runs: dict[str, Callable[[], Any]] = {
        "ours": lambda: capture_moments(loaded, Sequences.prompts(ids)),
        "loop": lambda: _plain_loop(loaded, ids),
        "repeng": lambda: _theirs(_repeng(), loaded, texts),
    }
    capture_moments(loaded, Sequences.prompts([ids[0][:4]]))
    process, done, highest = psutil.Process(), threading.Event(), 0

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(0.002)

    gc.collect()
    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        runs[who]()
    finally:
        done.set()
        watcher.join()
    return {"before": float(before), "peak": float(max(highest, before))}


def _memory(model: str, ours: str, peer: str) -> Measurement:
    mine, theirs = (_in_a_process(model, who, PAIRS) for who in (ours, peer))
    extra = [found["peak"] - found["before"] for found in (mine, theirs)]
    whole = mine["peak"] / theirs["peak"]
    return Measurement(
        f"peak memory above the loaded model, extraction / {peer}, {PAIRS} pairs",
        extra[0] / extra[1],
        (extra[0] / extra[1],) * 2,
        extra[0] / 1e6,
        extra[1] / 1e6,
        "MB",
        "≤ 0.5",
        1,
        note=f"a process each; whole process {mine['peak'] / 1e6:.0f} / {theirs['peak'] / 1e6:.0f} MB = {whole:.2f}",
    )


def _growth(model: str) -> Measurement:
    few, many = (_in_a_process(model, "ours", pairs) for pairs in (50, 400))
    extra = [found["peak"] - found["before"] for found in (many, few)]
    return Measurement(
        "peak memory above the loaded model, capture of 800 prompts / 100 prompts",
        extra[0] / extra[1],
        (extra[0] / extra[1],) * 2,
        extra[0] / 1e6,
        extra[1] / 1e6,
        "MB",
        "≈ 1",
        1,
        note="a process each",
    )


def _in_a_process(model: str, who: str, pairs: int) -> dict[str, float]:
    code = f"import json; from benchmarks.extraction import peak; print(json.dumps(peak({model!r}, {who!r}, {pairs})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _texts(loaded: LoadedModel) -> list[str]:
    return [prompt_text(loaded.tokenizer, chat.as_dicts()) for chat in suite("extraction")]


def _ours(loaded: LoadedModel, ids: Ids) -> torch.Tensor:
    positive = capture_moments(loaded, Sequences.prompts(ids[:PAIRS]))
    return positive.mean - capture_moments(loaded, Sequences.prompts(ids[PAIRS : 2 * PAIRS])).mean


@torch.inference_mode()
def _bare(loaded: LoadedModel, sequences: Sequences) -> None:
    """The forward passes of `capture` through the decoder alone, with nothing read."""
    decoder = loaded.model.get_decoder()
    prefix = shared_prefix(loaded, sequences, "last_prompt", None, len(loaded.blocks) - 1)
    rest = [ids[prefix.length :] for ids in sequences.ids]
    order = sorted(range(len(rest)), key=lambda row: len(rest[row]))
    for rows in batches(order, rest, BATCH_TOKENS.get(loaded.device.type, BATCH_TOKENS["other"])):
        longest = max(len(rest[row]) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(rest[row])] = torch.tensor(rest[row])
        decoder(input_ids=ids.to(loaded.device), **prefix.inputs(len(rows), longest, loaded))


@torch.inference_mode()
def _plain_loop(loaded: LoadedModel, ids: Ids) -> torch.Tensor:
    sums = torch.zeros(2, len(loaded.blocks), loaded.width, dtype=torch.float64)
    for place, prompt in enumerate(ids[: 2 * PAIRS]):
        states = loaded.model(
            torch.tensor([prompt], device=loaded.device), output_hidden_states=True, use_cache=False
        ).hidden_states
        sums[place // PAIRS] += torch.stack([state[0, -1] for state in states[1:]]).double().cpu()
    return (sums[0] - sums[1]) / PAIRS


def _repeng() -> Any:
    """repeng's module, or why it cannot be had. It names a NumPy type that NumPy 2 no longer has: that is lent."""
    try:
        if not hasattr(np, "float_"):
            np.float_ = np.float64  # type: ignore[attr-defined]
        import repeng

        return repeng
    except Exception as error:  # whatever a peer raises is what the table says
        return f"{type(error).__name__}: {error}"


def _theirs(repeng: Any, loaded: LoadedModel, texts: Sequence[str]) -> Any:
    pairs = zip(texts[:PAIRS], texts[PAIRS : 2 * PAIRS], strict=True)
    dataset = [repeng.DatasetEntry(positive=positive, negative=negative) for positive, negative in pairs]
    tokenizer = loaded.tokenizer
    tokenizer.pad_token_id = tokenizer.pad_token_id or 0
    return repeng.ControlVector.train(loaded.model, tokenizer, dataset)
