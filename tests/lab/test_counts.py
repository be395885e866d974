"""Parameters and multiply-adds against what their publishers say, and fvcore's count against torch's own."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from harness.lab.counts import checked_macs, counted, counts, parameters
from harness.lab.networks import build
from tests.conftest import ROOT

# torchvision's names; their meta says parameters and 10^9 multiply-adds at 224 pixels for 1000 classes
TORCHVISION = (
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "resnet18",
    "mnasnet0_5",
)
# timm's results-imagenet.csv: param_count in millions
TIMM = {"mobilenetv3_small_050": 1.59, "efficientnet_lite0": 4.65, "resnet10t": 5.44, "lcnet_050": 1.88}


def torchvision_network(name: str, classes: int = 1000) -> nn.Module:
    import torchvision

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that are not asked for
        net: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
    return net


def timm_network(name: str, classes: int = 1000) -> nn.Module:
    import timm

    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return net


@pytest.mark.parametrize("name", TORCHVISION)
def test_counts_are_those_that_torchvision_publishes(name: str) -> None:
    import torchvision

    said = torchvision.models.get_model_weights(name).DEFAULT.meta
    found = counts(torchvision_network(name), 224)
    assert found.parameters == said["num_params"]
    assert found.macs / 1e9 == pytest.approx(said["_ops"], abs=0.0006, rel=0.001)


@pytest.mark.parametrize("name", TIMM)
def test_parameters_are_those_that_timm_publishes(name: str) -> None:
    assert parameters(timm_network(name)) / 1e6 == pytest.approx(TIMM[name], abs=0.005)


def test_the_cut_network_has_its_published_size() -> None:
    found = counts(build(ROOT / "submissions" / "mbv3_cut", 6), 156)
    assert found.parameters == 294_854
    assert found.macs / 1e6 == pytest.approx(342.8, abs=0.05)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mbv3_cut": lambda: build(ROOT / "submissions" / "mbv3_cut", 6),
    "mobilenet_v3_large": lambda: torchvision_network("mobilenet_v3_large", 6),
    "shufflenet": lambda: torchvision_network("shufflenet_v2_x0_5", 6),
    "squeezenet": lambda: torchvision_network("squeezenet1_1", 6),
    "effnet_lite0": lambda: timm_network("efficientnet_lite0", 6),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_counts_as_many_multiply_adds_by_its_own_road(name: str) -> None:
    net, pixels = NETWORKS[name](), torch.zeros(1, 3, 96, 96)
    found = counted(net, pixels)
    assert found.macs == checked_macs(net, pixels) > 1e6
    assert found.by_module[""] == found.macs


def test_what_is_not_counted_is_named() -> None:
    class Attending(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            flat = maps.flatten(2)
            return (flat @ flat.transpose(1, 2)).sum((1, 2), keepdim=True).sqrt()

    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.SiLU(), Attending())
    found = counted(net, torch.zeros(1, 3, 8, 8))
    assert found.macs == 3 * 4 * 64
    assert set(found.not_counted) >= {"batch_norm", "silu", "matmul", "sqrt"}
    assert checked_macs(net, torch.zeros(1, 3, 8, 8)) == found.macs  # attention is in neither


def test_shared_weights_count_once_and_running_statistics_never() -> None:
    linear = nn.Linear(3, 3)
    assert parameters(nn.Sequential(linear, nn.ReLU(), linear)) == 12
    assert parameters(nn.BatchNorm2d(5)) == 10
