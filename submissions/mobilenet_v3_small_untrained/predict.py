"""MobileNetV3-Small as torchvision builds it, never trained: a real network's time without its weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models import mobilenet_v3_small

from harness.nets.preprocess import batch

Crop = NDArray[np.uint8]

SIZE = 224  # pixels a side, the network's own
SEED = 0  # the same weights, so the same answers, in each process


def load(device: str) -> Callable[[Sequence[Crop]], list[int]]:
    """Build the network on "cpu" or "cuda", with as many outputs as the data set has classes."""
    classes = json.loads(Path("classes.json").read_bytes())
    torch.manual_seed(SEED)
    net = mobilenet_v3_small(weights=None, num_classes=len(classes)).eval().to(device)

    @torch.inference_mode()
    def predict(crops: Sequence[Crop]) -> list[int]:
        labels: list[int] = net(batch(crops, SIZE, device)).argmax(dim=1).tolist()
        return labels

    return predict
