"""Removal and narrowing: exactly what is named goes, and what is left is a table's network."""

from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import UsageError
from harness.lab.counts import counts
from harness.lab.narrowing import channels, fewest, narrowed, read_back
from harness.lab.removal import explicit, obstacle, rows_without, without
from harness.nets.build import network
from harness.nets.table import Row, parse, text
from tests.conftest import ROOT

CUT = (ROOT / "submissions" / "mbv3_cut" / "mobilenetv3_cut.yaml").read_bytes()
MIXED = b"""
blocks:
  - {kind: conv, kernel: 3, out: 16, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 16, squeeze: 0.5, activation: relu}
  - {kind: depthwise_conv, kernel: 3, activation: relu}
  - {kind: inverted_residual, kernel: 5, expand: 3, out: 24, squeeze: 16, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 24, activation: silu}
  - {kind: pooling, type: max}
  - {kind: conv, kernel: 1, out: 48, activation: relu6}
  - {kind: linear, out: 32, activation: relu}
"""


def trained(rows: tuple[Row, ...], classes: int = 6) -> nn.Module:
    """A network of these rows whose batch norms do something, in evaluation mode."""
    torch.manual_seed(0)
    net = network(rows, classes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_var, module.weight, module.running_mean, module.bias):
                assert values is not None
                nn.init.uniform_(values, 0.5, 1.5)
    return net.eval()


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def rows_of(table: bytes) -> tuple[Row, ...]:
    return explicit(parse(table, "table"))


def conv(out: int, activation: str, stride: int = 1, kernel: int = 1) -> str:
    return f"{{kind: conv, kernel: {kernel}, out: {out}, stride: {stride}, activation: {activation}}}"


def test_parameters_and_multiply_adds_are_the_published_ones_and_the_mode_stays() -> None:
    net = network(parse(CUT, "table"), 6)
    found = counts(net, 156)
    assert found.parameters == 294_854
    assert found.macs == pytest.approx(342.8e6, abs=0.05e6)
    assert net.training
    assert counts(net.eval(), 156) == found
    assert not net.training


@pytest.mark.parametrize(
    ("number", "fewer"),
    [
        (1, 464),
        (2, 2_592 + 8 * 72),  # the expansion behind it takes 16 channels instead of 24
        (3, 10_328 + 16 * 240),
        (5, 206_680),
        (6, 39_360 + 400 * 6),  # the last layer takes 80 channels instead of 480
    ],
)
def test_a_network_without_a_block_has_exactly_the_others_parameters(number: int, fewer: int) -> None:
    rows = rows_of(CUT)
    assert obstacle(rows, number) is None
    net = without(network(rows, 6).eval(), rows, number, pictures(2, 64))
    assert counts(net, 64).parameters == 294_854 - fewer
    assert counts(net, 64) == counts(network(rows_without(rows, number), 6), 64)


def test_what_cannot_be_taken_out_says_why() -> None:
    rows = rows_of(CUT)
    assert obstacle(rows, 0) == "the first takes the picture"
    assert obstacle(rows, 4) == "the block behind has its shape and can be taken out"
    assert obstacle(rows_without(rows, 5), 4) is None
    mixed = rows_of(MIXED)
    found = [obstacle(mixed, number) for number in range(len(mixed))]
    assert [number for number, why in enumerate(found) if why is None] == [1, 2, 4, 6]
    assert found[3] == "the block behind has its shape and can be taken out"
    assert found[5] == found[7] == "no block"


def test_a_stride_goes_to_the_block_behind() -> None:
    rows = rows_without(rows_of(CUT), 5)
    left = rows_without(rows, 4)
    assert [getattr(row, "stride", 1) for row in left] == [2, 1, 1, 1, 2]
    net = without(network(rows, 6).eval(), rows, 4, pictures(2, 64))
    assert net(pictures(2, 64)).shape == (2, 6)


def test_a_residual_block_that_is_out_is_one_that_adds_nothing() -> None:
    rows = rows_of(CUT)
    net = trained(rows)
    cut = without(net, rows, 5, pictures(2, 32))
    silent: Any = net.features[5].layers[-1]  # type: ignore[index, union-attr]
    nn.init.zeros_(silent.weight)
    nn.init.zeros_(silent.bias)
    with torch.no_grad():
        assert torch.allclose(cut(pictures(4, 32)), net(pictures(4, 32)), atol=1e-5)


@pytest.mark.parametrize(
    "behind",
    [
        conv(8, "relu"),
        conv(8, "relu", 2),
        "{kind: inverted_residual, kernel: 3, expand: 2, out: 8, activation: relu}",
        "{kind: linear, out: 8, activation: relu}",
        None,
    ],
)
def test_a_linear_block_is_multiplied_into_what_follows_and_nothing_changes(behind: str | None) -> None:
    lines = [conv(12, "relu", 2, 3), conv(10, "none"), *([behind] if behind else [])]
    rows = rows_of(f"blocks: [{', '.join(lines)}]".encode())
    net = trained(rows)
    cut = without(net, rows, 1, pictures(8, 24))
    with torch.no_grad():
        assert torch.allclose(cut(pictures(3, 24)), net(pictures(3, 24)), atol=1e-3, rtol=1e-3)
    assert counts(cut, 24).macs < counts(net, 24).macs


def test_a_block_does_not_begin_to_add_its_input() -> None:
    table = f"blocks: [{conv(8, 'relu', 2, 3)}, {conv(12, 'none')}, {{kind: inverted_residual, kernel: 3, expand: 2, "
    rows = rows_of(f"{table} out: 8, activation: relu}}]".encode())
    left = rows_without(rows, 1)
    assert left[1].out == left[0].out == 8  # type: ignore[union-attr]
    assert not left[1].skip  # type: ignore[union-attr]
    assert parse(text(left, "as written").encode(), "again") == left
    net = trained(rows)
    with torch.no_grad():
        same = without(net, rows, 1, pictures(8, 24))(pictures(3, 24))
        assert torch.allclose(same, net(pictures(3, 24)), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("table", "share"), [(MIXED, 0.4), (CUT, 0.7)])
def test_a_network_of_fewer_channels_is_the_one_of_its_table(table: bytes, share: float) -> None:
    rows, size = rows_of(table), 64
    net = trained(rows)
    budget = int(counts(net, size).macs * share)
    small, left = narrowed(net, rows, size, budget)
    assert counts(small, size).macs <= budget
    assert channels(left) < channels(rows)
    again = network(parse(text(left, "written").encode(), "read"), 6).eval()
    again.load_state_dict(small.state_dict())
    with torch.no_grad():
        assert torch.allclose(again(pictures(3, size)), small(pictures(3, size)), atol=1e-5)
    assert counts(again, size) == counts(small, size)
    widths = [getattr(row, name, 0) for row in left for name in ("out", "hidden", "squeeze")]
    assert all(width % 8 == 0 for width in widths)
    assert counts(net, size).macs > budget  # the one that was given is as it was


def test_a_pruned_block_that_never_added_its_input_still_does_not() -> None:
    block = "{{kind: inverted_residual, kernel: 3, hidden: 16, out: {}, activation: relu{}}}"
    before, after = (
        rows_of(f"blocks: [{conv(16, 'relu')}, {block.format(out, skip)}]".encode())
        for out, skip in ((24, ""), (16, ", skip: false"))
    )
    assert read_back(network(after, 3), before) == after


def test_fewer_channels_than_can_be_left_are_one_line() -> None:
    rows = rows_of(f"blocks: [{conv(16, 'relu', 2, 3)}, {conv(16, 'relu')}]".encode())
    with pytest.raises(UsageError, match=r"by fewer channels, got .* at least"):
        narrowed(trained(rows), rows, 32, counts(network(fewest(rows), 6), 32).macs // 2)
