"""Networks made ready to be written: batch norms folded, or kept apart so that weights stay what they were."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from harness.lab.programs import folded, unfolded


def test_batch_norms_are_folded_or_it_is_said_why_not() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(net)[0].modules())

    class Winding(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return maps if maps.sum() > 0 else -maps

    winding = Winding()
    same, why = folded(winding)
    assert same is winding
    assert why


@pytest.mark.parametrize("activation", [nn.Hardswish, nn.PReLU])
@pytest.mark.parametrize("made", [lambda net: folded(net)[0], unfolded])
@torch.no_grad()
def test_a_batch_norm_of_timm_keeps_its_activation(made: object, activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    norm = BatchNormAct2d(4, eps=1e-2, act_layer=activation, inplace=False)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.2, 2)
    nn.init.normal_(norm.weight)
    net, pixels = nn.Sequential(nn.Conv2d(3, 4, 3), norm).eval(), torch.randn(2, 3, 8, 8)
    other = made(net)  # type: ignore[operator]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in other.modules())
    torch.testing.assert_close(other(pixels), net(pixels))
    names = dict(other.named_modules())
    assert any(isinstance(module, activation) for module in names.values()), "traced into, it would not be folded"
