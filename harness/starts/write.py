"""Writes a network as the file that submission.toml asks for, with one output a class of a data set.

python submissions/$name/write.py --data DATA [--weights FILE.safetensors]
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn
from torchvision.models import mobilenet_v3_small

from harness.data.store import open_store
from harness.errors import HarnessError
from harness.lab.finished import write_model
from harness.paths import project_root, resolve


def network(classes: int) -> nn.Module:
    """(n, 3, height, width), or as [input] of submission.toml has it, -> scores (n, classes)."""
    # YOUR NETWORK goes here, in place of this one. --weights brings its weights; or load them here.
    net: nn.Module = mobilenet_v3_small(num_classes=classes)
    return net


def main(data: str, weights: Path | None) -> None:
    """Writes weights/DATA.* beside this file and says what they are."""
    store = open_store(resolve(project_root(), data, "data"))
    torch.manual_seed(0)  # for random weights
    net = network(len(store.manifest.classes))
    done = write_model(net, Path(__file__).resolve().parent, store, weights)
    of = f"weights of {weights.name}" if weights else "without --weights: UNTRAINED, unless network() loads some"
    print(f"wrote {done.path}: {done.size_bytes:,} bytes, {of}")
    print(f"scores within {done.largest_difference:.2g} of the network's on {done.crops} validation crops")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="a data set's name in data/, or its path")
    parser.add_argument("--weights", type=Path, help="a safetensors file; without it the weights are random")
    args = parser.parse_args()
    try:
        main(args.data, args.weights)
    except HarnessError as error:
        sys.exit(error.message)
