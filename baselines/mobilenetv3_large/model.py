"""torchvision's MobileNetV3-Large: 4.21 M parameters with six classes."""

from torch import nn
from torchvision.models import mobilenet_v3_large


def build(classes: int) -> nn.Module:
    """float32 (n, 3, 224, 224) -> logits (n, classes), with random weights."""
    return mobilenet_v3_large(weights=None, num_classes=classes, dropout=0.0)
