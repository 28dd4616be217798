"""A dose-response against the same number of unsteered rows: what steering, controls and coherence cost in a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.pairs import Measurement, interleaved
from core.data import prompts as suites
from core.directions import library
from core.generation.batch import gather
from core.generation.comparison import Settings, comparison_rows, complete
from core.generation.decode import collect_batches
from core.models.loading import LoadedModel
from core.steering.interventions import Intervention
from core.studies.cells import ROWS_A_BATCH, Cell, Cells
from core.studies.spillover import COEFFICIENTS, CONTROLS

TOKENS, PROMPTS = 64, 100


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """One cell after the other, each of another direction and dose, as in a study; end tokens are switched off."""
    loaded = replace(loaded, end_ids=())
    plan = complete(Settings(max_tokens=TOKENS))
    rows = comparison_rows(plan)
    references = [library.control_reference(plan.card, control) for control in (None, *CONTROLS)]
    adapters, directions = gather(loaded, rows)
    directions = {**directions, **library.resolve(references)}
    organism = adapters[rows[1].adapter]
    chats = suites.suite("everyday")[:PROMPTS]
    batch = ROWS_A_BATCH.get(loaded.device.type, ROWS_A_BATCH["other"])
    doses = iter([(reference, dose) for dose in COEFFICIENTS for reference in references] * 1000)

    def steered(score: bool):
        def run() -> None:
            reference, dose = next(doses)
            cell = Cell(organism, (Intervention("add", reference, (plan.block,), dose, "all"),))
            cells = Cells(loaded, chats, rows[1].sampling, directions, batch)
            cells.generate(cell) if score else cells.write(cell)

        return run

    def unsteered() -> None:
        groups = [[replace(rows[1], chat=chat, reading=None)] for chat in chats]
        for _ in collect_batches(loaded, groups, adapters, directions, batch):
            pass

    shape = f"{PROMPTS} prompts, {TOKENS} tokens, {batch} rows a batch, doses and directions of a study in turn"
    pairs = max(3, n // 3)
    yield interleaved("dose-response / unsteered rows", steered(False), unsteered, "≤ 1.15", pairs, note=shape)
    yield interleaved(
        "dose-response with coherence / unsteered rows", steered(True), unsteered, "≤ 1.5", pairs,
        note=f"{shape}; each answer is also read by the base model",
    )  # fmt: skip
