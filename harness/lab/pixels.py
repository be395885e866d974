"""From pictures to a batch that a network takes, in training: to the last bit as in inference, in less time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.nets.preprocess import MEAN, STD


def collated(items: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """uint8 (n, 3, side, side), channels last in memory as the pictures mostly are, and int64 (n,)."""
    pixels = torch.stack([picture.permute(1, 2, 0) for picture, _ in items]).permute(0, 3, 1, 2)
    return pixels, torch.tensor([label for _, label in items])


def ready(pixels: Tensor, device: str) -> Tensor:
    """What harness.nets.preprocess.normalised gives, for a batch; float32 (n, 3, side, side), channels last.

    In place, by rows of side * 3 numbers, which vector units take: a third of the time. Inference keeps its own way,
    for its time is on published boards.
    """
    maps = pixels.to(device).to(torch.float32, memory_format=torch.channels_last, copy=True)
    side = maps.shape[3]
    mean, std = (torch.tensor(values, device=device).repeat(side) * 255 for values in (MEAN, STD))
    maps.permute(0, 2, 3, 1).view(len(maps), maps.shape[2], side * 3).sub_(mean).div_(std)
    return maps
