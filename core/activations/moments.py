"""Mean and variance of activations as they stream by, in float64."""

from __future__ import annotations

import torch


class Moments:
    """Streaming mean and variance of vectors `[rows, blocks, width]`, and the mean of their norms.

    Batches are merged with the parallel formula of Chan, Golub and LeVeque (1979), so the result does not
    depend on the batching beyond float64 rounding, and memory is two `[blocks, width]` tensors.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self._squares = torch.zeros(0, dtype=torch.float64)
        self._norms = torch.zeros(0, dtype=torch.float64)

    def update(self, batch: torch.Tensor) -> None:
        """Add the rows of `batch` (`[rows, blocks, width]`)."""
        batch = batch.to(torch.float64)
        rows = batch.shape[0]
        if rows == 0:
            return
        mean = batch.mean(0)
        squares = ((batch - mean) ** 2).sum(0)
        norms = batch.norm(dim=-1).sum(0)
        if self.n == 0:
            self.n, self.mean, self._squares, self._norms = rows, mean, squares, norms
            return
        total = self.n + rows
        gap = mean - self.mean
        self._squares = self._squares + squares + gap**2 * (self.n * rows / total)
        self.mean = self.mean + gap * (rows / total)
        self._norms = self._norms + norms
        self.n = total

    @property
    def variance(self) -> torch.Tensor:
        """Unbiased variance per coordinate, `[blocks, width]`; NaN below two rows."""
        return self._squares / (self.n - 1) if self.n > 1 else torch.full_like(self.mean, float("nan"))

    @property
    def mean_norm(self) -> torch.Tensor:
        """Mean over rows of the vectors' lengths, `[blocks]`."""
        return self._norms / self.n
