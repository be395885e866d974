"""A network as a table in a YAML file, one row a block. Pure: bytes in, rows out; harness.nets.build makes a module.

width: 0.5   # of all channels, each rounded to a multiple of 8; 1 where it is left out
depth: 2     # of all repeats, rounded up; 1 where it is left out
blocks:
  - {kind: conv, kernel: 3, out: 16, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 5, expand: 3, out: 40, squeeze: 24, activation: relu, repeat: 2}
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from harness.errors import SubmissionError
from harness.nets.reading import decoded

Activation = Literal["relu", "relu6", "hardswish", "silu", "none"]
_MULTIPLE = 8  # of channels, as in torchvision's MobileNets
_MOST_BLOCKS = 1000
_MOST = 1_000_000  # of any number in a table
_MOST_WEIGHTS = 10**9  # 4 GB


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    repeat: int = 1  # this many in a row, the stride in the first alone


class Conv(_Row, frozen=True, tag="conv"):
    """Convolution without bias, batch norm, activation."""

    kernel: int  # odd; padded so that stride 1 keeps the side
    out: int  # channels
    activation: Activation
    stride: int = 1


class DepthwiseConv(_Row, frozen=True, tag="depthwise_conv"):
    """As Conv, each channel for itself: as many come out as go in."""

    kernel: int
    activation: Activation
    stride: int = 1


class InvertedResidual(_Row, frozen=True, tag="inverted_residual"):
    """1x1 expansion (none where `expand` is 1), depthwise, squeeze-and-excitation (none where 0), 1x1 projection.

    The input is added where its shape is the output's, and `skip`. MobileNetV3, arXiv:1905.02244, figure 4.
    """

    kernel: int
    out: int
    activation: Activation
    expand: float = 1  # hidden channels / channels in, rounded to a whole channel
    hidden: int = 0  # hidden channels, where they are given instead of `expand`
    squeeze: float = 0  # channels between the two 1x1 convolutions, or, below 1, their share of the hidden ones
    stride: int = 1
    skip: bool = True  # False: the input is never added


class InvertedResidualV2(_Row, frozen=True, tag="inverted_residual_v2"):
    """MobileNetV2's, arXiv:1801.04381: an InvertedResidual with ReLU6 and without squeeze-and-excitation."""

    out: int
    expand: float = 6
    kernel: int = 3
    stride: int = 1


class Pooling(_Row, frozen=True, tag="pooling"):
    """The largest or the mean over windows; `global` is the mean over the whole map.

    An odd kernel is padded as a convolution's is; windows of an even one are cut at the map's end.
    """

    type: Literal["max", "average", "global"]
    kernel: int = 2
    stride: int = 2  # at most the kernel


class Linear(_Row, frozen=True, tag="linear"):
    """Behind the last map: global average pooling where there is none yet, a biased linear layer, activation."""

    out: int
    activation: Activation


Row = Conv | DepthwiseConv | InvertedResidual | Pooling | Linear  # what a module is made of
_Written = Row | InvertedResidualV2


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows up to the last map; behind them come global average pooling and a linear layer to the classes."""

    blocks: tuple[_Written, ...]
    width: float = 1.0
    depth: float = 1.0


class Shape(NamedTuple):
    """Of what a row gives, for one picture."""

    channels: int
    side: int  # pixels


def parse(text: bytes, source: str) -> tuple[Row, ...]:
    """The rows of a table: one a block, repeats and multiples worked in.

    Raises SubmissionError (kind "architecture") naming the file and the wrong row.

    >>> parse(b"blocks: [{kind: conv, kernel: 3, out: 16, activation: relu}]", "net.yaml")[0].stride
    1
    >>> rows = parse(b"{width: 0.5, blocks: [{kind: inverted_residual_v2, out: 24, stride: 2, repeat: 2}]}", "net.yaml")
    >>> [(row.out, row.stride, row.activation) for row in rows]
    [(16, 2, 'relu6'), (16, 1, 'relu6')]
    """
    table = read_table(text, source)
    for name in ("width", "depth"):
        if not 0 < (multiple := getattr(table, name)) <= _MOST:
            raise _wrong(source, f"{name}: expected more than 0 and at most {_MOST:,}, got {multiple}")
    rows: list[Row] = []
    for number, row in enumerate(table.blocks):
        if wrong := _out_of_range(row):
            raise _wrong(source, f"block {number}: {wrong}")
        if rows and isinstance(rows[-1], Linear) and not isinstance(row, Linear):
            raise _wrong(source, f"block {number}: expected nothing but linear behind linear, got {_kind(row)}")
        times = math.ceil(row.repeat * table.depth)
        if len(rows) + times > _MOST_BLOCKS:
            raise _wrong(source, f"block {number}: expected at most {_MOST_BLOCKS} blocks in all, got more")
        rows += repeated(widened(_v3(row), table.width), times)
    if not rows:
        raise _wrong(source, "expected one block or more, got none")
    _refuse_huge(rows, source)
    return tuple(rows)


def read_table(text: bytes, source: str) -> Table:
    """A table as it is written, its numbers unchecked. Raises SubmissionError (kind "architecture")."""
    try:
        return decoded(text, Table, "a table of blocks")
    except ValueError as error:
        raise SubmissionError(f"{source}: {error}", kind="architecture") from error


def repeated(row: Row, times: int) -> list[Row]:
    """The row, then the same without its stride."""
    others = msgspec.structs.replace(row, repeat=1, **({"stride": 1} if _changes_side(row) else {}))
    return [msgspec.structs.replace(row, repeat=1), *[others] * (times - 1)]


def widened(row: Row, width: float) -> Row:
    """The row with its channels times `width`.

    >>> widened(Conv(kernel=3, out=40, activation="relu"), 0.35).out
    16
    """
    if width == 1:
        return row
    channels = {name: getattr(row, name, 0) for name in ("out", "hidden", "squeeze")}
    return msgspec.structs.replace(row, **{name: divisible(n * width) for name, n in channels.items() if n >= 1})


def divisible(channels: float) -> int:
    """The nearest multiple of 8, from 8 up and no less than nine tenths: arXiv:1801.04381's.

    >>> [divisible(n) for n in (3, 11, 12, 14, 60)]
    [8, 16, 16, 16, 64]
    """
    nearest = max(_MULTIPLE, int(channels + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return nearest + _MULTIPLE if nearest < 0.9 * channels else nearest


def hidden_channels(row: InvertedResidual, channels: int) -> int:
    """Between expansion and projection, where so many channels come in.

    >>> hidden_channels(InvertedResidual(kernel=3, out=80, activation="relu", expand=2.3), 80)
    184
    """
    return row.hidden or max(1, round(channels * row.expand))


def adds_input(row: InvertedResidual, channels: int) -> bool:
    """Whether the block is a residual one, where so many channels come in."""
    return row.skip and row.stride == 1 and row.out == channels


def squeezed_channels(row: InvertedResidual, hidden: int) -> int:
    """Inside squeeze-and-excitation, 0 where there is none; a share is rounded as torchvision does."""
    return int(row.squeeze) if row.squeeze >= 1 or not row.squeeze else divisible(hidden * row.squeeze)


def shapes(rows: Sequence[Row], size: int, source: str) -> list[Shape]:
    """What each row gives of a picture of size x size pixels.

    Raises SubmissionError (kind "architecture") where a stride is longer than the map it walks on.

    >>> shapes(parse(b"blocks: [{kind: conv, kernel: 3, out: 8, stride: 2, activation: relu}]", "a"), 31, "a")
    [Shape(channels=8, side=16)]
    """
    found, shape = [], Shape(3, size)
    for number, row in enumerate(rows):
        if (least := _least_side(row)) > shape.side:
            raise _wrong(
                source,
                f"row {number} ({_kind(row)}): expected a map of {least} pixels a side or more, got {shape.side} of a "
                f"picture of {size}; take a stride out or a larger size",
            )
        shape = Shape(getattr(row, "out", shape.channels), _side(row, shape.side))
        found.append(shape)
    return found


def _least_side(row: Row) -> int:
    """A longer stride than the map leaves no pixels to walk to."""
    if not _changes_side(row):
        return 1
    return max(row.kernel, row.stride) if _even(row) else row.stride  # type: ignore[union-attr]


def _side(row: Row, side: int) -> int:
    if not _changes_side(row):
        return 1 if isinstance(row, Linear | Pooling) else side
    if _even(row):
        return -(-(side - row.kernel) // row.stride) + 1  # type: ignore[union-attr]
    return -(-side // row.stride)  # type: ignore[union-attr]


def _even(row: Row) -> bool:
    return isinstance(row, Pooling) and row.kernel % 2 == 0


def text(rows: Sequence[Row], comment: str) -> str:
    """A table as a file that `parse` reads back, one line a row behind a comment of one line or more.

    >>> print(text(parse(b"blocks: [{kind: depthwise_conv, kernel: 3, activation: relu}]", "a"), "one"))
    # one
    blocks:
      - {kind: depthwise_conv, kernel: 3, activation: relu}
    <BLANKLINE>
    """
    lines = [f"# {line}" for line in comment.splitlines()] + ["blocks:"]
    for row in rows:
        defaults = {one.name: one.default for one in msgspec.structs.fields(row)}
        values = {"kind": _kind(row)} | {name: getattr(row, name) for name in defaults}
        kept = {name: value for name, value in values.items() if name == "kind" or value != defaults[name]}
        lines.append("  - {" + ", ".join(f"{name}: {_number(value)}" for name, value in kept.items()) + "}")
    return "\n".join(lines) + "\n"


def _number(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return value
    return int(value) if value == int(value) else f"{value:.12f}".rstrip("0")  # 5e-05 would be text in YAML


def _v3(row: _Written) -> Row:
    if not isinstance(row, InvertedResidualV2):
        return row
    return InvertedResidual(
        kernel=row.kernel, out=row.out, activation="relu6", expand=row.expand, stride=row.stride, repeat=row.repeat
    )


def _changes_side(row: Row) -> bool:
    return hasattr(row, "stride") and not (isinstance(row, Pooling) and row.type == "global")


def _kind(row: _Written) -> str:
    return str(type(row).__struct_config__.tag)


def _refuse_huge(rows: Sequence[Row], source: str) -> None:
    """No computer has room for such a network. Raises SubmissionError naming the row that is too many."""
    channels, total = 3, 0
    for number, row in enumerate(rows):
        if (total := total + _weights(row, channels)) > _MOST_WEIGHTS:
            said = f"expected at most {_MOST_WEIGHTS:,} weights in all, got more"
            raise _wrong(source, f"row {number} ({_kind(row)}): {said}")
        channels = getattr(row, "out", channels)


def _weights(row: Row, channels: int) -> int:
    """Of its convolutions or its linear layer, where so many channels come in."""
    if isinstance(row, Pooling):
        return 0
    if isinstance(row, DepthwiseConv):
        return channels * row.kernel**2
    if not isinstance(row, InvertedResidual):
        return channels * row.out * (row.kernel**2 if isinstance(row, Conv) else 1)
    hidden = hidden_channels(row, channels)
    return hidden * (channels + row.kernel**2 + 2 * squeezed_channels(row, hidden) + row.out)


def _out_of_range(row: _Written) -> str:
    """What is wrong with a row's numbers, "" where nothing is."""
    sizes: dict[str, int] = {name: getattr(row, name, 1) for name in ("kernel", "out", "stride")}
    sizes["repeat"] = min(row.repeat, _MOST)  # of too many the number of blocks says more
    shares: dict[str, float] = {name: getattr(row, name, 1) for name in ("expand", "hidden", "squeeze")}
    wrong = [f"{name} {size}" for name, size in sizes.items() if not 1 <= size <= _MOST]
    wrong += [f"{name} {share}" for name, share in shares.items() if _odd(name, share)]
    if not isinstance(row, Pooling) and sizes["kernel"] % 2 == 0:
        wrong = wrong or [f"kernel {sizes['kernel']}"]
    if wrong:
        return f"expected sizes of 1 to {_MOST:,} and an odd kernel, got {', '.join(wrong)}"
    if isinstance(row, InvertedResidual) and row.hidden and row.expand != 1:
        return f"expected expand or hidden, got both: {row.expand} and {row.hidden}"
    if isinstance(row, Pooling) and row.stride > row.kernel:
        return f"expected a stride of the kernel, {row.kernel}, at most, got {row.stride}"
    return ""


def _odd(name: str, value: float) -> bool:
    """Whether it is no such number: below the least, above the most, or a part of a channel."""
    if name == "expand":
        return not 1 <= value <= _MOST
    return not 0 <= value <= _MOST or (value > 1 and value != int(value))


def _wrong(source: str, what: str) -> SubmissionError:
    return SubmissionError(f"{source}: {what}", kind="architecture")
