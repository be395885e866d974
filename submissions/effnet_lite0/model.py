"""EfficientNet-Lite0 up to the block where effnet_lite0.yaml ends."""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.nets.build import network
from harness.nets.preprocess import MEAN, STD
from harness.nets.table import parse

TABLE = Path(__file__).with_name("effnet_lite0.yaml")
EPSILON = 1e-3  # of its batch norms


class Renormalised(nn.Module):
    """From the mean 0 and deviation 1 of `harness train` to (pixel - 127) / 128, which the ImageNet weights take.

    A layer, for the first convolution could take over the factors but not the shift: its padding is of zeros.
    """

    def __init__(self) -> None:
        super().__init__()
        factor = torch.tensor(STD).view(3, 1, 1) * 255 / 128
        shift = (torch.tensor(MEAN).view(3, 1, 1) * 255 - 127) / 128
        self.register_buffer("factor", factor, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, side, side) -> the same shape."""
        return pixels * self.factor + self.shift


def build(classes: int) -> nn.Module:
    """float32 (n, 3, side, side) -> logits (n, classes), with random weights."""
    net = network(parse(TABLE.read_bytes(), TABLE.name), classes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPSILON
    return nn.Sequential(OrderedDict(renormalised=Renormalised(), **dict(net.named_children())))
