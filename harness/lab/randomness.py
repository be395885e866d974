"""Every generator that a network may draw from: torch's, the GPU's, Python's and numpy's."""

import random
from typing import Any

import numpy as np
import torch

States = dict[str, Any]  # of tensors, tuples and numbers: what a checkpoint may hold


def seed_all(seed: int) -> None:
    """Seeds them all. `seed`: 0 or more."""
    torch.manual_seed(seed)  # the GPUs' too
    random.seed(seed)
    np.random.seed(seed % 2**32)


def states(device: str) -> States:
    """Where each of them is; the GPU's where the device is "cuda"."""
    numpy: Any = np.random.get_state(legacy=False)
    key, position = numpy["state"]["key"].tolist(), numpy["state"]["pos"]
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if device == "cuda" else None,
        "python": random.getstate(),
        "numpy": (numpy["bit_generator"], key, position, numpy["has_gauss"], numpy["gauss"]),
    }


def restore(states: States) -> None:
    """Sets each of them to where it was."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(states["numpy"]))
