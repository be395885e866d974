"""A network as a table in a YAML file, one row a block. Pure: bytes in, rows out; harness.nets.build makes a module.

blocks:
  - {kind: conv, kernel: 3, out: 16, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 5, expand: 3, out: 40, squeeze: 24, activation: relu}
"""

from typing import Literal

import msgspec

from harness.errors import SubmissionError, misread

Activation = Literal["relu", "hardswish"]


class Conv(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="conv"):
    """Convolution without bias, batch norm, activation."""

    kernel: int  # odd; padded so that stride 1 keeps the side
    out: int  # channels
    activation: Activation
    stride: int = 1


class InvertedResidual(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="inverted_residual"
):
    """1x1 expansion (none where `expand` is 1), depthwise, squeeze-and-excitation (none where 0), 1x1 projection.

    The input is added where its shape is the output's. MobileNetV3, arXiv:1905.02244, figure 4.
    """

    kernel: int
    expand: int  # hidden channels / channels in
    out: int
    activation: Activation
    squeeze: int = 0  # channels between the two 1x1 convolutions of squeeze-and-excitation
    stride: int = 1


Row = Conv | InvertedResidual


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows up to the last map; behind them come global average pooling and a linear layer."""

    blocks: tuple[Row, ...]


def parse(text: bytes, source: str) -> tuple[Row, ...]:
    """The rows of a table. Raises SubmissionError (kind "architecture") naming the file and the wrong row.

    >>> parse(b"blocks: [{kind: conv, kernel: 3, out: 16, activation: relu}]", "net.yaml")[0].stride
    1
    """
    try:
        blocks = msgspec.yaml.decode(text, type=Table).blocks
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{source}: {misread(error, 'a table of blocks')}", kind="architecture") from error
    for number, row in enumerate(blocks):
        sizes = {"kernel": row.kernel, "out": row.out, "stride": row.stride}
        if isinstance(row, InvertedResidual):
            sizes |= {"expand": row.expand, "squeeze + 1": row.squeeze + 1}
        wrong = [f"{name} {size}" for name, size in sizes.items() if size < 1]
        wrong += [f"kernel {row.kernel}"] if row.kernel % 2 == 0 else []
        if wrong:
            raise SubmissionError(
                f"{source}: block {number}: expected sizes of 1 and up and an odd kernel, got {', '.join(wrong)}",
                kind="architecture",
            )
    if not blocks:
        raise SubmissionError(f"{source}: expected one block or more, got none", kind="architecture")
    return blocks
