"""MobileNetV3-Small as torchvision builds it, never trained: a real network's time without its weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.models import mobilenet_v3_small

Crop = NDArray[np.uint8]

SIZE = 224  # pixels a side, the network's own
SEED = 0  # the same weights, so the same answers, in each process


def square(crop: Crop) -> Tensor:
    """uint8 (3, SIZE, SIZE) from uint8 (H, W, 3): resized by the longest side, centred, the rest black."""
    pixels = torch.tensor(crop).permute(2, 0, 1)[None]  # a copy: torch.from_numpy warns of read-only crops
    height, width = pixels.shape[2:]
    longest = max(height, width)
    height, width = max(1, round(height * SIZE / longest)), max(1, round(width * SIZE / longest))
    pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    left, top = (SIZE - width) // 2, (SIZE - height) // 2
    return functional.pad(pixels, (left, SIZE - width - left, top, SIZE - height - top))[0]


def load(device: str) -> Callable[[Sequence[Crop]], list[int]]:
    """Build the network on "cpu" or "cuda", with as many outputs as the data set has classes."""
    classes = json.loads(Path("classes.json").read_bytes())
    torch.manual_seed(SEED)
    net = mobilenet_v3_small(weights=None, num_classes=len(classes)).eval().to(device)
    mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(3, 1, 1) * 255
    std = torch.tensor([0.229, 0.224, 0.225], device=device).view(3, 1, 1) * 255

    @torch.inference_mode()
    def predict(crops: Sequence[Crop]) -> list[int]:
        pixels = torch.stack([square(crop) for crop in crops]).to(device)  # uint8 (n, 3, SIZE, SIZE)
        labels: list[int] = net((pixels - mean) / std).argmax(dim=1).tolist()
        return labels

    return predict
