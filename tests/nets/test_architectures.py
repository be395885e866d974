"""Weights of networks by name."""

from pathlib import Path

import torch
from safetensors.torch import load, save

from harness.formats import Model
from harness.nets.architectures import declared_network, load_state


def test_weights_of_a_network_whose_modules_have_versions_are_loaded(tmp_path: Path) -> None:
    model = Model("torchvision", architecture="mnasnet0_5")
    one, other = declared_network(model, 6, tmp_path), declared_network(model, 6, tmp_path)
    load_state(other, load(save(dict(one.state_dict()))))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
