"""Load a model once, ready to be switched, read and steered."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import logging as hf_logging

from core.data import probing, templates
from core.errors import BadInput, ModelUnavailable, UnsupportedModel
from core.models import inspection, sources
from core.models.attention import group_heads
from core.models.blocks import decoder_blocks, text_config
from core.models.catalog import ModelSpec, WheelSource, resolve
from core.models.packing import multiplies_bfloat16, pack, packable

AGAIN = "Save it again with save_pretrained, or choose another folder."
log = logging.getLogger(__name__)


@dataclass(eq=False)
class LoadedModel:
    """A model in memory. Equality is identity: two loads of one spec are two models.

    Attributes:
        id: catalog id of the exact weights.
        fingerprint: hash of the weights, for provenance and mismatch checks.
        blocks: decoder blocks in order.
        width: size of the residual stream.
        end_ids: token ids that end an answer.
        accepts: names of the keyword arguments that `model.forward` takes.
        vocabulary: rows of its embedding; None where it has none of its own.
    """

    id: str
    fingerprint: str
    model: nn.Module
    tokenizer: Any
    blocks: nn.ModuleList
    width: int
    end_ids: tuple[int, ...]
    accepts: frozenset[str] = field(repr=False)
    vocabulary: int | None = None

    @property
    def pad_id(self) -> int:
        """What fills up short rows; nothing attends to it, but the model must know it."""
        pad = self.tokenizer.pad_token_id or 0
        return pad if self.vocabulary is None or pad < self.vocabulary else 0

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype


def default_device() -> str:
    """`cuda`, else `mps`, else `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(device: str) -> None:
    """Raise `BadInput` unless this machine has the device."""
    try:
        asked = torch.device(device)
    except RuntimeError:
        asked = None
    if asked is None or asked.type not in ("cpu", "cuda", "mps"):
        raise BadInput(f"{device!r} is not a device that models run on here. Use cpu, cuda, cuda:N or mps.")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }[asked.type]
    if (asked.index or 0) >= there:
        raise BadInput(f"This machine has no device {device!r}. Use {default_device()}.")


def default_dtype(device: str) -> torch.dtype:
    """bfloat16, half the memory traffic of float32, wherever it is not emulated.

    Elsewhere float16 on MPS and old GPUs, and float32 on processors: without instructions for it they take some six
    times as long for bfloat16 as for float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if kind == "cpu":
        return torch.bfloat16 if multiplies_bfloat16() else torch.float32
    return torch.float16 if kind == "mps" else torch.bfloat16


def load(
    spec: ModelSpec | str, device: str | None = None, dtype: torch.dtype | None = None, fast: bool = True
) -> LoadedModel:
    """Load the weights that `sources.fetch` made ready (fetching them first where needed).

    Args:
        spec: a catalog entry, or a text that `catalog.resolve` understands.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; by default the best one there is.
        dtype: by default `default_dtype(device)`.
        fast: rearrange its layers for use alone, the same numbers up to rounding; False leaves them plain, and
            gradients pass.

    Raises:
        ModelUnavailable, UnsupportedModel, BadInput: with a sentence and an action.
    """
    spec = resolve(spec) if isinstance(spec, str) else spec
    folder = sources.fetch(spec)
    loaded = load_folder(
        folder, spec.id, sources.fingerprint(spec), device, dtype, spec.chat_template, sources.mend(spec)
    )
    if isinstance(spec.source, WheelSource) and isinstance(loaded.tokenizer.chat_template, str):
        templates.trust(loaded.tokenizer.chat_template)
    heed_template(loaded)
    if fast:
        hasten(loaded)
    return loaded


def heed_template(loaded: LoadedModel) -> None:
    """Try the chat template: what ends a turn ends an answer too.

    Raises:
        UnsupportedModel, BadInput: it cannot be used, or loses what the user says.
    """
    if not getattr(loaded.tokenizer, "chat_template", None):
        log.warning("%s has no chat template: prompts are written as User: and Assistant: lines", loaded.id)
        return
    end = probing.probed(loaded.tokenizer).end
    if end is not None:
        loaded.end_ids = tuple(sorted({*loaded.end_ids, loaded.tokenizer.convert_tokens_to_ids(end)}))


def hasten(loaded: LoadedModel) -> None:
    """Rearrange a model on a CPU for use alone: the same numbers up to rounding, and no gradients."""
    if loaded.device.type == "cpu":
        group_heads(loaded.model)
    if packable(loaded.model):
        pack(loaded.model)


def load_folder(
    folder: Path,
    model_id: str,
    fingerprint: str,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    chat_template: str | None = None,
    action: str = AGAIN,
) -> LoadedModel:
    """`load` for a folder in Hugging Face layout (safetensors only: nothing pickled is opened).

    Args:
        action: what to do where the files are not as they should be, in a sentence.
    """
    device = device or default_device()
    check_device(device)
    dtype = dtype or default_dtype(device)
    try:
        config = read_config(folder)
        with _without_adapter(folder) as files, _quietly():
            model, info = auto_class(config).from_pretrained(
                files,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, json.JSONDecodeError) as error:
        if "trust_remote_code" in str(error):
            raise ModelUnavailable(
                f"{model_id} needs program code that is not part of transformers, and Tiller runs no code out of a "
                "model's files. Choose a model whose class transformers has."
            ) from error
        raise ModelUnavailable(f"{model_id} could not be read ({_first_line(error)}). {action}") from error
    unused = inspection.check_loaded(info, model_id, action)
    if unused:
        log.warning("%s: %d tensors that are no part of the decoder were left aside", model_id, len(unused))
    try:
        tokenizer = read_tokenizer(folder)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise ModelUnavailable(
            f"{model_id} has no tokenizer that can be read ({_first_line(error)}). {action}"
        ) from error
    if not tokenizer.chat_template and (text := inspection.template_beside(folder)):
        tokenizer.chat_template = text
    if isinstance(tokenizer.chat_template, str):
        templates.prepare(tokenizer.chat_template)
    rows = model.get_input_embeddings().weight.shape[0]
    if tokenizer.vocab_size > rows:
        raise ModelUnavailable(
            f"The tokenizer of {model_id} knows {tokenizer.vocab_size:,} tokens and its embedding {rows:,}, so they do "
            f"not belong together. {action}"
        )
    try:
        model.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(
            f"{model_id} does not fit into the memory of {device}. Choose a smaller model, or device cpu."
        ) from error
    return wrap(model, tokenizer, model_id, fingerprint, chat_template)


@contextlib.contextmanager
def _without_adapter(folder: Path) -> Iterator[Path]:
    """The folder as it is without an adapter that lies beside the weights: nobody asked for it."""
    beside = inspection.adapter_beside(folder)
    if not beside:
        yield folder
        return
    log.warning("%s holds an adapter beside its weights, which is left aside", folder.name)
    with tempfile.TemporaryDirectory() as made:
        for file in folder.iterdir():
            if file.is_file() and file.name not in beside:
                (Path(made) / file.name).symlink_to(file.resolve())
        yield Path(made)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' bar, which would fill a terminal and a notebook for a second's work."""
    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def read_config(folder: Path) -> Any:
    """The model's configuration. Code that lies beside it is never run, and nobody is asked whether it may."""
    return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def read_tokenizer(folder: Path) -> Any:
    """The model's tokenizer; as with `read_config`, no code of the folder is run."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def auto_class(config: Any) -> Any:
    """What to load a model with: whole where it has a vision tower, so that its layers have the same names always."""
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        from transformers import AutoModelForImageTextToText

        return AutoModelForImageTextToText
    return AutoModelForCausalLM


def release() -> None:
    """Give back the memory of models that nothing refers to any more.

    A model is part of reference cycles, which only the collector breaks; and the C library keeps what it freed.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def wrap(
    model: nn.Module, tokenizer: Any, model_id: str, fingerprint: str = "unknown", chat_template: str | None = None
) -> LoadedModel:
    """Make a `LoadedModel` of a model and tokenizer that are already in memory.

    Raises:
        UnsupportedModel: no decoder blocks, or no cache to decode with.
    """
    model.eval().requires_grad_(False)
    if tokenizer is not None:
        if chat_template and not tokenizer.chat_template:
            tokenizer.chat_template = chat_template
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
    blocks = decoder_blocks(model)
    width = getattr(text_config(model), "hidden_size", None)
    if width is None:
        raise UnsupportedModel(f"{type(model).__name__} does not state the width of its residual stream.")
    accepts = frozenset(inspect.signature(model.forward).parameters)
    if "past_key_values" not in accepts:
        raise UnsupportedModel(
            f"{type(model).__name__} keeps no key-value cache, and Tiller decodes with one. Choose a model with "
            "attention."
        )
    _spare_the_vocabulary(model)
    return LoadedModel(
        id=model_id,
        fingerprint=fingerprint,
        model=model,
        tokenizer=tokenizer,
        blocks=blocks,
        width=width,
        end_ids=_end_ids(model, tokenizer),
        accepts=accepts,
        vocabulary=getattr(getattr(model.get_input_embeddings(), "weight", None), "shape", (None,))[0],
    )


def _spare_the_vocabulary(model: nn.Module) -> None:
    """Hand the vocabulary projection contiguous states.

    Of a prompt only the last states are projected, a slice whose rows lie apart. For such a slice torch multiplies
    row by row with a copy of the whole projection for each: for three rows of a small model that is 0.2 s and 170 MB.
    """
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if head is not None:
        head.register_forward_pre_hook(_contiguous)


def _contiguous(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (inputs[0].contiguous(), *inputs[1:]) if inputs else inputs


def _end_ids(model: nn.Module, tokenizer: Any) -> tuple[int, ...]:
    generation = getattr(model, "generation_config", None)
    stated = getattr(generation, "eos_token_id", None)
    found = set(stated if isinstance(stated, (list, tuple)) else [stated])
    if tokenizer is not None:
        found.add(tokenizer.eos_token_id)
    return tuple(sorted(token for token in found if token is not None))
