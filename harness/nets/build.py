"""From a table's rows to a torch module."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.nets.table import (
    Activation,
    Conv,
    DepthwiseConv,
    InvertedResidual,
    Linear,
    Pooling,
    Row,
    adds_input,
    hidden_channels,
    squeezed_channels,
)

ACTIVATIONS: dict[Activation, type[nn.Module] | None] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
    "none": None,
}


def network(rows: Sequence[Row], classes: int) -> nn.Module:
    """float32 (n, 3, side, side) -> logits (n, classes). Random weights, channels_last."""
    layers: list[nn.Module] = []
    behind: list[nn.Module] = []  # linear layers before the last
    channels = 3
    for row in rows:
        if isinstance(row, Linear):
            behind += [nn.Linear(channels, row.out), *_activation(row.activation)]
        else:
            layers.append(_block(row, channels))
        channels = getattr(row, "out", channels)
    features, last = nn.Sequential(*layers), nn.Linear(channels, classes)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (n, channels, side, side) -> (n, channels)
    head = nn.Sequential(*behind, last) if behind else last
    net = nn.Sequential(OrderedDict(features=features, pool=pool, head=head))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # torchvision's start for this family
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
    return net.to(memory_format=torch.channels_last)


def _block(row: Conv | DepthwiseConv | InvertedResidual | Pooling, channels: int) -> nn.Module:
    if isinstance(row, InvertedResidual):
        return Residual(row, channels)
    if isinstance(row, Pooling):
        return _pooling(row)
    out, groups = (channels, channels) if isinstance(row, DepthwiseConv) else (row.out, 1)
    return nn.Sequential(*_conv(channels, out, row.kernel, row.stride, row.activation, groups))


def _pooling(row: Pooling) -> nn.Module:
    if row.type == "global":
        return nn.AdaptiveAvgPool2d(1)
    even = row.kernel % 2 == 0
    padding = 0 if even else row.kernel // 2
    if row.type == "max":
        return nn.MaxPool2d(row.kernel, row.stride, padding, ceil_mode=even)
    return nn.AvgPool2d(row.kernel, row.stride, padding, ceil_mode=even, count_include_pad=False)


def _activation(name: Activation) -> list[nn.Module]:
    return [] if (made := ACTIVATIONS[name]) is None else [made()]


def _conv(
    channels: int, out: int, kernel: int, stride: int, activation: Activation, groups: int = 1
) -> list[nn.Module]:
    """Convolution without bias, batch norm, activation."""
    return [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        *_activation(activation),
    ]


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
        hidden = hidden_channels(row, channels)
        squeeze = squeezed_channels(row, hidden)
        expands = row.hidden or row.expand > 1
        layers = _conv(channels, hidden, 1, 1, row.activation) if expands else []
        layers += _conv(hidden, hidden, row.kernel, row.stride, "none", groups=hidden)
        layers += [SqueezeExcitation(hidden, squeeze)] if squeeze else []
        layers += [*_activation(row.activation), *_conv(hidden, row.out, 1, 1, "none")]
        self.layers = nn.Sequential(*layers)
        self.skip = adds_input(row, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels, side, side) -> (n, out, side / stride, side / stride)."""
        return maps + self.layers(maps) if self.skip else self.layers(maps)  # type: ignore[no-any-return]
