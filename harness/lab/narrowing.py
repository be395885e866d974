"""Channels taken out of a trained network of a table, by torch-pruning, and the result read back as a table."""

import copy
import warnings
from collections.abc import Sequence

import msgspec
import torch
from torch import nn

from harness.errors import UsageError
from harness.lab.counts import counts
from harness.lab.removal import Rows, channels_in
from harness.nets.build import Residual, SqueezeExcitation, network
from harness.nets.table import Conv, InvertedResidual, Linear, Row

MULTIPLE = 8  # of channels that stay, as runtimes lay them out
_STRIDES = 80  # in which all channels would be taken out; small ones, to stop close to the budget


def narrowed(net: nn.Module, rows: Rows, size: int, macs: int) -> tuple[nn.Module, Rows]:
    """A network of at most so many multiply-adds without the channels of the least weight, and its rows.

    Weight is the norm of all that goes with a channel (torch-pruning's group magnitude, over all layers at once);
    `net` is that of the explicit `rows`. Raises UsageError where the channels cannot be made that few.
    """
    import torch_pruning  # noqa: PLC0415 (an extra)

    pruned = copy.deepcopy(net).eval()
    last = [module for module in pruned.modules() if isinstance(module, nn.Linear)][-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about itself
        pruner = torch_pruning.pruner.BasePruner(
            pruned,
            torch.zeros(1, 3, size, size),
            torch_pruning.importance.GroupMagnitudeImportance(p=2),
            global_pruning=True,
            pruning_ratio=1.0,
            iterative_steps=_STRIDES,
            ignored_layers=[last],
            round_to=MULTIPLE,
        )
        for _ in range(_STRIDES):
            if (now := counts(pruned, size).macs) <= macs:
                break
            pruner.step()
        else:
            raise UsageError(f"expected {macs:,} multiply-adds by fewer channels, got {now:,} at least")
    found = read_back(pruned, rows)
    made = network(found, last.out_features).eval()
    made.load_state_dict(pruned.state_dict())
    return made, found


def read_back(net: nn.Module, rows: Sequence[Row]) -> Rows:
    """The rows of a network whose channels have become fewer since it was made of `rows`."""
    features = iter(net.features)  # type: ignore[arg-type]
    linears = (module for module in net.head.modules() if isinstance(module, nn.Linear))  # type: ignore[union-attr]
    found: list[Row] = []
    for row in rows:
        if isinstance(row, Linear):
            found.append(msgspec.structs.replace(row, out=next(linears).out_features))
            continue
        block = next(features)
        if isinstance(row, Conv):
            found.append(msgspec.structs.replace(row, out=block[0].out_channels))
        elif isinstance(row, InvertedResidual):
            found.append(_read_residual(block, row))
        else:
            found.append(row)
    return tuple(_not_added(row, channels) for row, channels in zip(found, channels_in(found), strict=True))


def fewest(rows: Rows) -> Rows:
    """The rows with as few channels as can be left."""
    return tuple(
        msgspec.structs.replace(row, **{name: min(int(getattr(row, name)), MULTIPLE) for name in _widths(row)})
        for row in rows
    )


def channels(rows: Rows) -> int:
    """All channels that can become fewer."""
    return sum(int(getattr(row, name)) for row in rows for name in _widths(row))


def _widths(row: Row) -> list[str]:
    return [name for name in ("out", "hidden", "squeeze") if hasattr(row, name)]


def _read_residual(block: Residual, row: InvertedResidual) -> InvertedResidual:
    layers = list(block.layers)
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]  # expansion, depthwise, projection
    squeezed = [layer.scale[1].out_channels for layer in layers if isinstance(layer, SqueezeExcitation)]
    return msgspec.structs.replace(
        row,
        out=convolutions[-1].out_channels,
        hidden=convolutions[-2].out_channels if row.hidden else 0,
        squeeze=squeezed[0] if squeezed else 0,
        skip=block.skip,
    )


def _not_added(row: Row, channels: int) -> Row:
    """A block that adds nothing says so only where its shapes would have it add."""
    if not isinstance(row, InvertedResidual):
        return row
    return msgspec.structs.replace(row, skip=row.skip or not (row.stride == 1 and row.out == channels))
