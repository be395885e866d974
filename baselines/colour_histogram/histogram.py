"""The features, shared by fit.py and predict.py so that both see the same numbers."""

import numpy as np
from numpy.typing import NDArray

BITS = 3  # a channel: 8 levels each, 512 joint bins
GRID = 64  # samples along a side; more change no answer worth their time


def histogram(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Root of the share of each joint RGB bin: shape (512,), unit length, from (H, W, 3) of any size.

    The root (Hellinger's map) keeps one large plain surface from drowning the rest.
    """
    height, width = crop.shape[:2]
    samples = crop[:: -(-height // GRID), :: -(-width // GRID)].reshape(-1, 3) >> (8 - BITS)  # (n, 3)
    red, green, blue = samples.T.astype(np.intp)
    bins = (red << 2 * BITS) | (green << BITS) | blue
    counts = np.bincount(bins, minlength=1 << 3 * BITS)
    return np.sqrt(counts / len(bins)).astype(np.float32)
