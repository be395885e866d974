"""A block taken out of a trained network of a table, the others' weights kept.

A residual block is dropped: what it added is gone. For a block that changes the shape stands the linear map of its
input that comes closest to it on some pictures, by least squares; that map is multiplied into the block behind, whose
first layer must mix all channels for it, so that nothing is left of the block but other weights there. Its stride
goes there too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor, nn

from harness.nets.build import network
from harness.nets.table import (
    Conv,
    DepthwiseConv,
    InvertedResidual,
    Linear,
    Pooling,
    Row,
    adds_input,
    hidden_channels,
    squeezed_channels,
)

Rows = tuple[Row, ...]
_PLACES = 20_000  # of maps that a linear map is fitted to; some hundred channels need a few thousand
_SEED = 0  # of their choice


class _Map(NamedTuple):
    """y = weight @ x + bias at each place."""

    weight: Tensor  # (channels out, channels in)
    bias: Tensor  # (channels out,)


def explicit(rows: Sequence[Row]) -> Rows:
    """The same network with hidden and squeezed channels as numbers, which hold whatever comes before.

    >>> explicit([InvertedResidual(kernel=3, expand=4, squeeze=0.25, out=8, activation="relu")])[0].hidden
    12
    """
    return tuple(
        row if not isinstance(row, InvertedResidual) else _explicit(row, channels)
        for row, channels in zip(rows, channels_in(rows), strict=True)
    )


def _explicit(row: InvertedResidual, channels: int) -> InvertedResidual:
    hidden = hidden_channels(row, channels)
    kept = hidden if _expands(row) else 0
    return msgspec.structs.replace(row, expand=1, hidden=kept, squeeze=squeezed_channels(row, hidden))


def channels_in(rows: Sequence[Row]) -> list[int]:
    """Of each row.

    >>> channels_in([Conv(kernel=3, out=16, activation="relu"), Conv(kernel=1, out=8, activation="relu")])
    [3, 16]
    """
    found = [3]
    for row in rows:
        found.append(getattr(row, "out", found[-1]))
    return found[:-1]


def obstacle(rows: Sequence[Row], number: int) -> str | None:
    """Why a row stays, None where it can be taken out."""
    row, behind = rows[number], rows[number + 1] if number + 1 < len(rows) else None
    if isinstance(row, Linear | Pooling):
        return "no block"
    if number == 0:
        return "the first takes the picture"
    if _residual(rows, number):
        return None
    return None if behind is None else _obstacle_behind(row, behind, _residual(rows, number + 1))


def _obstacle_behind(row: Conv | DepthwiseConv | InvertedResidual, behind: Row, residual: bool) -> str | None:
    if residual:
        return "the block behind has its shape and can be taken out"
    if not _mixes(behind):
        return "the block behind does not begin with a layer that mixes all channels"
    if row.stride > 1 and getattr(behind, "stride", 1) > 1:
        return "the block behind has a stride already"
    return None


def rows_without(rows: Rows, number: int) -> Rows:
    """Explicit rows without one that has no obstacle; its stride and its input's channels go to the row behind."""
    row, behind = rows[number], rows[number + 1 :]
    if behind and not _residual(rows, number):
        behind = (_behind(behind[0], getattr(row, "stride", 1), channels_in(rows)[number]), *behind[1:])
    return rows[:number] + behind


@torch.no_grad()
def without(net: nn.Module, rows: Rows, number: int, pictures: Tensor) -> nn.Module:
    """The network of `rows_without`, its weights those of `net`, in evaluation mode.

    `net` is that of the explicit `rows`, in evaluation mode; `pictures`, float32 (n, 3, side, side), are what a linear
    map is fitted to.
    """
    last = [module for module in net.head.modules() if isinstance(module, nn.Linear)][-1]  # type: ignore[union-attr]
    made = network(rows_without(rows, number), last.out_features).eval()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    if not _residual(rows, number):
        _multiply_in(state, _first_layer(net, rows, number + 1), _closest(net, rows, number, pictures))
    made.load_state_dict({new: state[old] for new, old in _renamed(state, number).items()})
    return made


def _renamed(state: dict[str, Tensor], number: int) -> dict[str, str]:
    """New name -> old name; the modules behind the one that is out move up."""
    names = {}
    for name in state:
        part, _, rest = name.partition(".")
        index, _, inner = rest.partition(".")
        if part != "features" or int(index) < number:
            names[name] = name
        elif int(index) > number:
            names[f"features.{int(index) - 1}.{inner}"] = name
    return names


def _closest(net: nn.Module, rows: Rows, number: int, pictures: Tensor) -> _Map:
    """The linear map of a row's input, where its stride stops, to its output."""
    features: nn.Sequential = net.features  # type: ignore[assignment]
    maps = features[:number](pictures)
    out = features[number](maps)
    stride = getattr(rows[number], "stride", 1)
    x, y = (_places(one) for one in (maps[:, :, ::stride, ::stride], out))
    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(_SEED))[:_PLACES]
    ones = torch.ones(len(chosen), 1, dtype=x.dtype)
    found = torch.linalg.lstsq(torch.cat([x[chosen], ones], dim=1), y[chosen], driver="gelsd").solution.float()
    return _Map(found[:-1].T, found[-1])


def _places(maps: Tensor) -> Tensor:
    """(n, channels, height, width) -> float64 (n * height * width, channels)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2).double()


def _multiply_in(state: dict[str, Tensor], layer: str, its: _Map) -> None:
    """Feeds a layer with the map's input instead of its output: exact, but at the padding of a convolution of 3x3."""
    weight = state[f"{layer}.weight"]  # (out, channels) or (out, channels, kernel, kernel)
    state[f"{layer}.weight"] = torch.einsum("om...,mi->oi...", weight, its.weight)
    shift = weight.flatten(2).sum(2) @ its.bias if weight.dim() == 4 else weight @ its.bias
    if f"{layer}.bias" in state:
        state[f"{layer}.bias"] += shift
    else:  # the batch norm behind a convolution without bias takes the mean off
        home, _, index = layer.rpartition(".")
        state[f"{home}.{int(index) + 1}.running_mean"] -= shift


def _first_layer(net: nn.Module, rows: Rows, number: int) -> str:
    """The name of the layer that a row's input meets first; of the head's where there is no such row."""
    if number < len(rows) and not isinstance(rows[number], Linear):
        return f"features.{number}.layers.0" if isinstance(rows[number], InvertedResidual) else f"features.{number}.0"
    return "head.0" if isinstance(net.head, nn.Sequential) else "head"


def _behind(row: Row, stride: int, channels: int) -> Row:
    """The row that follows the one that is out."""
    if isinstance(row, Conv):
        return msgspec.structs.replace(row, stride=stride * row.stride)
    if isinstance(row, InvertedResidual):
        moved = msgspec.structs.replace(row, stride=stride * row.stride)
        return msgspec.structs.replace(moved, skip=moved.skip and not adds_input(moved, channels))
    return row


def _residual(rows: Sequence[Row], number: int) -> bool:
    row = rows[number]
    return isinstance(row, InvertedResidual) and adds_input(row, channels_in(rows)[number])


def _mixes(row: Row) -> bool:
    if isinstance(row, InvertedResidual):
        return _expands(row)
    return not isinstance(row, DepthwiseConv | Pooling)


def _expands(row: InvertedResidual) -> bool:
    return bool(row.hidden) or row.expand > 1
