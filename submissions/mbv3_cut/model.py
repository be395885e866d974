"""The network, from its table."""

from pathlib import Path

from torch import nn

from harness.nets.build import network
from harness.nets.table import parse

TABLE = Path(__file__).with_name("mobilenetv3_cut.yaml")


def build(classes: int) -> nn.Module:
    """float32 (n, 3, side, side) -> logits (n, classes), with random weights."""
    return network(parse(TABLE.read_bytes(), TABLE.name), classes)
