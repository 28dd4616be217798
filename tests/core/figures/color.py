"""Colours as the eye has them: contrast after WCAG 2, dichromats after Viénot 1999, difference in CIELAB."""

from __future__ import annotations

import numpy as np

TO_LMS = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
SEEN_BY = {
    "protanope": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    "deuteranope": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
    "tritanope": np.array([[1, 0, 0], [0, 1, 0], [-0.395913, 0.801109, 0]]),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color: str) -> np.ndarray:
    value = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    high, low = sorted((float(TO_XYZ[1] @ linear(color)) for color in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def seen_by(kind: str, color: str) -> np.ndarray:
    """Linear RGB as a dichromat has it."""
    seen = np.linalg.inv(TO_LMS) @ SEEN_BY[kind] @ TO_LMS @ linear(color)
    return np.clip(seen, 0, 1)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """CIE 1976 distance of two linear RGB colours; about 2.3 can just be told apart."""
    return float(np.linalg.norm(_lab(one) - _lab(other)))


def _lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ rgb / np.array([0.9505, 1.0, 1.089]), 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
