"""Tables of blocks: every kind of row, repeats and multiples, what a row leaves of a picture, and back to text."""

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

from harness.errors import SubmissionError
from harness.formats import Model
from harness.lab.networks import build, trainable
from harness.nets.architectures import table_rows
from harness.nets.build import network
from harness.nets.table import Conv, InvertedResidual, Pooling, Row, parse, shapes, text
from tests.conftest import ROOT
from tests.nets.test_networks import macs, parameters

FULL = ROOT / "submissions" / "mobilenetv3"
V2 = """
blocks:
  - {kind: conv, kernel: 3, out: 32, stride: 2, activation: relu6}
  - {kind: inverted_residual_v2, expand: 1, out: 16}
  - {kind: inverted_residual_v2, out: 24, stride: 2, repeat: 2}
  - {kind: inverted_residual_v2, out: 32, stride: 2, repeat: 3}
  - {kind: inverted_residual_v2, out: 64, stride: 2, repeat: 4}
  - {kind: inverted_residual_v2, out: 96, repeat: 3}
  - {kind: inverted_residual_v2, out: 160, stride: 2, repeat: 3}
  - {kind: inverted_residual_v2, out: 320}
  - {kind: conv, kernel: 1, out: 1280, activation: relu6}
"""
EVERY_KIND = """
blocks:
  - {kind: conv, kernel: 3, out: 8, activation: silu, stride: 2}
  - {kind: depthwise_conv, kernel: 5, activation: relu, stride: 2, repeat: 2}
  - {kind: inverted_residual, kernel: 3, out: 12, activation: hardswish, hidden: 17, squeeze: 5}
  - {kind: inverted_residual, kernel: 3, out: 12, activation: relu, expand: 2.5, squeeze: 0.25}
  - {kind: inverted_residual_v2, out: 16}
  - {kind: pooling, type: max}
  - {kind: pooling, type: average, kernel: 3, stride: 1}
  - {kind: pooling, type: global}
  - {kind: conv, kernel: 1, out: 20, activation: none}
  - {kind: linear, out: 10, activation: relu, repeat: 2}
"""


def rows_of(written: str) -> tuple[Row, ...]:
    return parse(written.encode(), "net.yaml")


def test_the_full_network_has_the_published_parameters_and_macs() -> None:
    net = build(FULL, 6)
    assert parameters(net) == 4_210_998
    assert macs(net, 3, 224, 224) == pytest.approx(215.3, abs=0.1)
    rows = table_rows(Model("table", architecture="mobilenetv3.yaml"), FULL)
    assert len([row for row in rows if isinstance(row, InvertedResidual)]) == 15
    assert shapes(rows, 224, "full")[-3:] == [(960, 7), (960, 1), (1280, 1)]


def test_the_start_of_a_table_says_how_large_it_is() -> None:
    text = (ROOT / "harness" / "starts" / "network.yaml").read_text()
    net = network(rows_of(text), 6)
    assert f"{parameters(net):,} parameters with six classes, {macs(net, 3, 128, 128):.1f} M MACs at 3x128x128" in text


@pytest.mark.parametrize("width", [1.0, 0.5, 1.4])
def test_mobilenet_v2_as_a_table_is_torchvisions(width: float) -> None:
    theirs = mobilenet_v2(num_classes=6, width_mult=width)
    last = "1280" if width <= 1 else str(int(1280 * width))  # torchvision never narrows its last layer
    rows = rows_of(f"width: {width}\n{V2}")
    ours = network([*rows[:-1], Conv(kernel=1, out=int(last), activation="relu6")], 6)
    assert parameters(ours) == parameters(theirs)
    assert macs(ours, 3, 96, 96) == pytest.approx(macs(theirs, 3, 96, 96), rel=1e-9)


def test_repeats_stride_once_and_depth_multiplies_them() -> None:
    rows = rows_of("{depth: 1.5, blocks: [{kind: conv, kernel: 3, out: 8, stride: 2, activation: relu, repeat: 3}]}")
    assert [row.stride for row in rows if isinstance(row, Conv)] == [2, 1, 1, 1, 1]
    assert len(rows_of("{depth: 0.1, blocks: [{kind: conv, kernel: 3, out: 8, activation: relu, repeat: 3}]}")) == 1


@pytest.mark.parametrize("size", [16, 17, 30, 61])
def test_shapes_are_those_of_the_network(size: int) -> None:
    rows = rows_of(EVERY_KIND)
    net = network(rows, 4).eval()
    maps, seen = torch.zeros(1, 3, size, size), []
    assert isinstance(net.features, nn.Sequential)
    for block in net.features:
        maps = block(maps)
        seen.append((maps.shape[1], maps.shape[2]))
    assert seen == [tuple(shape) for shape in shapes(rows, size, "net.yaml")][: len(seen)]
    assert net(torch.zeros(2, 3, size, size)).shape == (2, 4)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (2, 1), (5, 3), (4, 4), (4, 3), (1, 1)])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_any_pooling_gives_the_side_that_shapes_says(kind: str, kernel: int, stride: int) -> None:
    rows = [Pooling(type="max" if kind == "max" else "average", kernel=kernel, stride=stride)]
    for size in range(max(kernel, stride), 20):
        made = network(rows, 2).features(torch.ones(1, 3, size, size))
        assert made.shape[2] == shapes(rows, size, "a")[0].side
        assert made.min().item() == made.max().item() == 1  # no padding is averaged in


def test_a_table_as_text_is_read_back_as_it_was() -> None:
    rows = rows_of(EVERY_KIND)
    assert parse(text(rows, "two\nlines").encode(), "again") == rows


def test_the_cut_networks_weights_keep_their_names() -> None:
    names = set(build(ROOT / "submissions" / "mbv3_cut", 6).state_dict())
    assert {"features.0.0.weight", "features.3.layers.5.scale.1.bias", "head.weight"} <= names


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{width: 0, blocks: [{kind: linear, out: 3, activation: relu}]}", "width: expected more than 0 .*, got 0"),
        ("{width: 2000000, blocks: [{kind: linear, out: 3, activation: relu}]}", "width: .*at most 1,000,000"),
        ("blocks: [{kind: conv, kernel: 3, out: 99999999999, activation: relu}]", "block 0: .*out 99999999999"),
        ("blocks: [{kind: conv, kernel: 99999, out: 8, activation: relu}]", r"row 0 \(conv\): .*1,000,000,000 weights"),
        ("blocks: [{kind: inverted_residual_v2, expand: 1000000, out: 1000}]", r"row 0 \(inverted_residual\): "),
        ("{depth: .inf, blocks: [{kind: linear, out: 3, activation: relu}]}", "depth: expected .*, got inf"),
        ("blocks: [{kind: linear, out: 3, activation: relu}, {kind: pooling, type: max}]", "block 1: .*got pooling"),
        ("blocks: [{kind: pooling, type: max, kernel: 2, stride: 3}]", "block 0: expected a stride of the kernel"),
        ("blocks: [{kind: conv, kernel: 3, out: 8, activation: relu, repeat: 999999999}]", "at most 1000 blocks"),
        ("blocks: [{kind: conv, kernel: 3, out: 8, activation: relu, repeat: 0}]", "block 0: .*repeat 0"),
        ("blocks: [{kind: inverted_residual_v2, expand: .nan, out: 8}]", "block 0: .*expand nan"),
        (
            "blocks: [{kind: inverted_residual, kernel: 3, expand: 2, hidden: 9, out: 8, activation: relu}]",
            "block 0: expected expand or hidden, got both",
        ),
        (
            "blocks: [{kind: inverted_residual, kernel: 3, squeeze: 2.5, out: 8, activation: relu}]",
            "block 0: .*squeeze 2.5",
        ),
    ],
)
def test_a_row_that_cannot_be_is_one_line(written: str, said: str) -> None:
    with pytest.raises(SubmissionError, match=rf"^net\.yaml: (?s:.*){said}"):
        rows_of(written)


@pytest.mark.parametrize(
    ("written", "size", "said"),
    [
        (V2, 32, ""),
        ("blocks: [{kind: conv, kernel: 3, out: 8, stride: 4, activation: relu, repeat: 1}]", 3, r"row 0 \(conv\)"),
        ("blocks: [{kind: pooling, type: max, kernel: 4, stride: 2}]", 3, r"row 0 \(pooling\): .* of 4 pixels .*got 3"),
    ],
)
def test_a_stride_that_leaves_no_pixels_is_named_before_a_training(
    written: str, size: int, said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = tmp_path_factory.mktemp("packages") / "mine"
    package.mkdir()
    (package / "net.yaml").write_text(written)
    (package / "submission.toml").write_text(
        f'name = "mine"\n[model]\nformat = "table"\narchitecture = "net.yaml"\n[input]\nsize = {size}\n'
    )
    if not said:
        trainable(package, 6, size)
        return
    with pytest.raises(SubmissionError, match=f"^net.yaml: {said}"):
        trainable(package, 6, size)
