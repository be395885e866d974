"""How large a network is: its parameters and its multiply-adds."""

import warnings
from typing import NamedTuple

import torch
from torch import nn

_OPERATORS = ("conv", "linear", "addmm", "matmul")  # what multiplies and adds; not batch norm and pooling


class Counts(NamedTuple):
    """Of a network."""

    parameters: int
    macs: int  # multiply-adds of convolutions and linear layers for one picture


@torch.no_grad()
def counts(net: nn.Module, size: int) -> Counts:
    """Of a network of float32 (n, 3, size, size), which is left in the mode that it was in.

    fvcore counts one multiply-add as one; batch norm and pooling, which it counts too, are left out.
    """
    training, parameters = net.training, list(net.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it scripts and traces, which torch advises against
        from fvcore.nn import FlopCountAnalysis  # noqa: PLC0415 (it warns as it is imported)

        counted = FlopCountAnalysis(net.eval(), torch.zeros(1, 3, size, size, device=parameters[0].device))
        counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by = counted.by_operator()
    net.train(training)
    return Counts(sum(one.numel() for one in parameters), round(sum(by[name] for name in _OPERATORS)))
