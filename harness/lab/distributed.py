"""Several processes that train one network: torch's DistributedDataParallel, gloo on CPUs, NCCL on GPUs."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from harness.errors import MachineError
from harness.lab.ranks import Ranks

Value = TypeVar("Value")


@contextlib.contextmanager
def joined(ranks: Ranks) -> Iterator[None]:
    """Meets the other processes and leaves them at the end; nothing where this one is alone.

    Raises MachineError where there are fewer GPUs than processes.
    """
    if ranks.world == 1:
        yield
        return
    gpus = torch.cuda.device_count()
    if 0 < gpus < ranks.world:
        raise MachineError(f"torchrun: expected at most {gpus} processes, one a GPU, got {ranks.world}", kind="device")
    if gpus:
        torch.cuda.set_device(ranks.rank)
    distributed.init_process_group("nccl" if gpus else "gloo", rank=ranks.rank, world_size=ranks.world)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def parallel(net: nn.Module, ranks: Ranks) -> nn.Module:
    """The network whose gradients are the mean of all processes'; the network itself where this one is alone."""
    if ranks.world == 1:
        return net
    gpu = next(net.parameters()).device.type == "cuda"
    return DistributedDataParallel(net, device_ids=[ranks.rank] if gpu else None)


def mean(value: Tensor, ranks: Ranks) -> float:
    """The mean of a number over all processes; `value`: a tensor of shape ()."""
    if ranks.world > 1:
        distributed.all_reduce(value)
    return value.item() / ranks.world


def gathered(value: Value, ranks: Ranks) -> list[Value]:
    """Each process's value, by rank."""
    if ranks.world == 1:
        return [value]
    values: list[Value | None] = [None] * ranks.world
    distributed.all_gather_object(values, value)
    return [one for one in values if one is not None]
