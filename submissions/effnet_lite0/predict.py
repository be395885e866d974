"""What harness runs: load once, off the clock, then predict, on the clock."""

from model import build

from harness.nets.serve import Predict, classifier


def load(device: str) -> Predict:
    """The trained network on "cpu" or "cuda", at the size of its recipe."""
    return classifier(build, device)
