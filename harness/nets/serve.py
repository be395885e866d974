"""The predict of a package whose network `harness train` fitted: weights, preprocessing, labels."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from harness.nets.memory import keep_pages
from harness.nets.preprocess import batch

Predict = Callable[[Sequence[NDArray[np.uint8]]], list[int]]


def classifier(build: Callable[[int], nn.Module], device: str) -> Predict:
    """A predict on "cpu" or "cuda" for the package that is staged in the current folder.

    Reads classes.json, weights.json (whose recipe holds the input's side) and weights.safetensors. Freed memory stays
    with the process, which halves the time of a crop.
    """
    keep_pages()
    classes = json.loads(Path("classes.json").read_bytes())
    size = int(json.loads(Path("weights.json").read_bytes())["recipe"]["size"])
    net = build(len(classes))
    net.load_state_dict(load_file("weights.safetensors"))  # float16 on disk, float32 here
    net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def predict(crops: Sequence[NDArray[np.uint8]]) -> list[int]:
        """One label a crop."""
        labels: list[int] = net(batch(crops, size, device)).argmax(dim=1).tolist()  # tolist also waits for the GPU
        return labels

    return predict
