"""How large a network is: numbers that were learnt, and multiply-adds of one picture.

Multiply-adds are those of fvcore's operators "conv" and "linear", one for each multiplication with its addition; batch
norms, pooling, activations and sums are not among them. torch's own counter (FlopCounterMode, by another road) checks.
"""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

COUNTED = "convolutions and linear layers, one for each multiplication with its addition (fvcore)"
_OPERATORS = ("conv", "linear")  # fvcore's names
_MULTIPLYING = ("aten.convolution", "aten.addmm", "aten.mm")  # what they become in torch; the rest is attention's


class Counts(NamedTuple):
    """The size of a network."""

    parameters: int
    macs: int  # of one picture


class Counted(NamedTuple):
    """The size of a network with where it lies and what is left out."""

    parameters: int
    macs: int
    by_module: dict[str, int]  # multiply-adds of each named module with all that is in it; "" is the network
    not_counted: tuple[str, ...]  # operators without multiply-adds here, sorted


def counts(net: nn.Module, size: int) -> Counts:
    """Of float32 pictures of this side in pixels. The network is left in the mode that it was in."""
    training = net.training
    found = counted(net, torch.zeros(1, 3, size, size))
    net.train(training)
    return Counts(found.parameters, found.macs)


def counted(net: nn.Module, pixels: Tensor) -> Counted:
    """Of one picture, as the network takes it. The network is left in evaluation mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit, by which fvcore traces
        from fvcore.nn import FlopCountAnalysis  # noqa: PLC0415

        analysis = FlopCountAnalysis(net.eval(), pixels)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        by_operator = analysis.by_module_and_operator()
    by_module = {name: sum(int(its[one]) for one in _OPERATORS) for name, its in by_operator.items()}
    left = {name for name in analysis.by_operator() if name not in _OPERATORS}
    left |= {name.removeprefix("aten::").rstrip("_") for name in analysis.unsupported_ops()}
    return Counted(parameters(net), by_module[""], by_module, tuple(sorted(left)))


def parameters(net: nn.Module) -> int:
    """Numbers that were learnt: a batch norm's weights, not its running statistics; what is shared counts once."""
    return sum(parameter.numel() for parameter in net.parameters())


def checked_macs(net: nn.Module, pixels: Tensor) -> int:
    """The same multiply-adds by torch's FlopCounterMode, which calls each two operations."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(pixels)
    return counted_by_torch(counter)


def counted_by_torch(counter: FlopCounterMode) -> int:
    """Multiply-adds of convolutions and linear layers that a counter has seen."""
    by_operator = counter.get_flop_counts().get("Global", {})
    return sum(int(flops) for operator, flops in by_operator.items() if str(operator) in _MULTIPLYING) // 2
