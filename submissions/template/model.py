"""The network: a table of depthwise-separable blocks, about 81,000 parameters."""

import torch
from torch import Tensor, nn

STEM = 24  # channels after the first convolution
BLOCKS = (  # channels out, stride; the map's side for an input of 96 pixels
    (48, 2),  # 24
    (48, 1),  # 24
    (96, 2),  # 12
    (96, 1),  # 12
    (192, 2),  # 6
    (192, 1),  # 6
)


class Block(nn.Module):
    """3x3 depthwise, then 1x1 convolution: a ninth of a full 3x3's work. Adds its input where it can."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False),
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )
        self.skip = stride == 1 and channels_in == channels_out

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels_in, side, side) -> (n, channels_out, side / stride, side / stride)."""
        return maps + self.layers(maps) if self.skip else self.layers(maps)


class Net(nn.Module):
    """uint8 (n, 3, side, side) -> logits (n, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, STEM, 3, 2, 1, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(inplace=True),
        ]
        channels = STEM
        for channels_out, stride in BLOCKS:
            layers.append(Block(channels, channels_out, stride))
            channels = channels_out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalises too, so that training and test cannot differ in it, and bytes are what a GPU is sent."""
        maps = pixels.to(torch.float32, memory_format=torch.channels_last)  # what depthwise convolutions like
        maps = self.features((maps - 127.5) / 64)  # (n, 192, side / 16, side / 16)
        return self.head(maps.mean((2, 3)))


def build(classes: int) -> nn.Module:
    """The network with random weights, for a data set of so many classes."""
    return Net(classes).to(memory_format=torch.channels_last)
