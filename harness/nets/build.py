"""From a table's rows to a torch module."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.nets.table import Activation, Conv, InvertedResidual, Row

ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "hardswish": nn.Hardswish}


def network(rows: Sequence[Row], classes: int) -> nn.Module:
    """float32 (n, 3, side, side) -> logits (n, classes). Random weights, channels_last."""
    layers: list[nn.Module] = []
    channels = 3
    for row in rows:
        layers.append(_block(row, channels))
        channels = row.out
    features, head = nn.Sequential(*layers), nn.Linear(channels, classes)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (n, channels, side, side) -> (n, channels)
    net = nn.Sequential(OrderedDict(features=features, pool=pool, head=head))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # torchvision's start for this family
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(head.weight, 0, 0.01)
    nn.init.zeros_(head.bias)
    return net.to(memory_format=torch.channels_last)


def _block(row: Row, channels: int) -> nn.Module:
    if isinstance(row, Conv):
        return nn.Sequential(*_conv(channels, row.out, row.kernel, row.stride, ACTIVATIONS[row.activation]))
    return Residual(row, channels)


def _conv(
    channels: int, out: int, kernel: int, stride: int, activation: type[nn.Module] | None, groups: int = 1
) -> list[nn.Module]:
    """Convolution without bias, batch norm, activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return layers if activation is None else [*layers, activation()]


class SqueezeExcitation(nn.Module):
    """Scales each channel by what the whole map says. arXiv:1709.01507, with the hard sigmoid of MobileNetV3."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeeze, 1),
            nn.ReLU(),
            nn.Conv2d(squeeze, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels, side, side) -> the same shape."""
        return maps * self.scale(maps)  # type: ignore[no-any-return]


class Residual(nn.Module):
    """MobileNetV3's block, of an InvertedResidual row."""

    def __init__(self, row: InvertedResidual, channels: int) -> None:
        super().__init__()
        hidden, activation = channels * row.expand, ACTIVATIONS[row.activation]
        layers = _conv(channels, hidden, 1, 1, activation) if row.expand > 1 else []
        layers += _conv(hidden, hidden, row.kernel, row.stride, None, groups=hidden)
        layers += [SqueezeExcitation(hidden, row.squeeze)] if row.squeeze else []
        layers += [activation(), *_conv(hidden, row.out, 1, 1, None)]
        self.layers = nn.Sequential(*layers)
        self.skip = row.stride == 1 and channels == row.out

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels, side, side) -> (n, out, side / stride, side / stride)."""
        return maps + self.layers(maps) if self.skip else self.layers(maps)  # type: ignore[no-any-return]
