"""What harness runs: load once, off the clock, then predict, on the clock."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from model import build
from numpy.typing import NDArray
from preprocess import square
from safetensors.torch import load_file

Crop = NDArray[np.uint8]


def load(device: str) -> Callable[[Sequence[Crop]], list[int]]:
    """Build the network on "cpu" or "cuda". The current folder is this package, staged for one data set."""
    classes = json.loads(Path("classes.json").read_bytes())  # put here by harness, as the weights are
    net = build(len(classes))
    net.load_state_dict(load_file("weights.safetensors"))
    net.eval().to(device)

    @torch.inference_mode()
    def predict(crops: Sequence[Crop]) -> list[int]:
        """One label a crop. The crops are read-only and each has a size of its own."""
        pixels = torch.stack([square(crop) for crop in crops]).to(device)  # uint8 (n, 3, SIZE, SIZE)
        labels: list[int] = net(pixels).argmax(dim=1).tolist()  # tolist also waits for the GPU
        return labels

    return predict
