"""What ours and the peers steer with. Nothing here needs more than NumPy, so that a peer's environment has it."""

from __future__ import annotations

import numpy as np

SCALE = 0.5


def random_vectors(blocks: int, width: int) -> np.ndarray:
    """`[blocks, width]`, float32: the same on every machine."""
    return (SCALE * np.random.default_rng(0).standard_normal((blocks, width))).astype(np.float32)
