"""From a crop of any size to a network's input: one road for training and inference."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

MEAN = (0.485, 0.456, 0.406)  # ImageNet's, as shares of 255
STD = (0.229, 0.224, 0.225)


def square(crop: NDArray[np.uint8], size: int) -> Tensor:
    """uint8 (3, size, size) from uint8 (H, W, 3) RGB, 1x1 and up: shape kept, centred, the rest zeros.

    Resized before it is padded, so that 3000x2 is never made 3000x3000; bilinear, antialiased (without it most
    pixels of a large crop go unread), as bytes on the CPU, so that a GPU is sent few and sees the same.
    """
    pixels = torch.tensor(crop).permute(2, 0, 1)[None]  # a copy: torch.from_numpy warns of read-only crops
    height, width = pixels.shape[2:]
    longest = max(height, width)
    height, width = max(1, round(height * size / longest)), max(1, round(width * size / longest))
    pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    left, top = (size - width) // 2, (size - height) // 2
    return functional.pad(pixels, (left, size - width - left, top, size - height - top))[0]


def normalised(pixels: Tensor, device: str | torch.device) -> Tensor:
    """float32 (n, 3, side, side), channels_last, on the device, of uint8 (n, 3, side, side): mean 0, deviation 1."""
    mean = torch.tensor(MEAN, device=device).view(3, 1, 1) * 255
    std = torch.tensor(STD, device=device).view(3, 1, 1) * 255
    maps = pixels.to(device).to(torch.float32, memory_format=torch.channels_last)
    return (maps - mean) / std


def batch(crops: Sequence[NDArray[np.uint8]], size: int, device: str | torch.device) -> Tensor:
    """What a network takes, float32 (n, 3, size, size), of crops of any sizes."""
    return normalised(torch.stack([square(crop, size) for crop in crops]), device)
