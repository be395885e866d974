"""What a profile says: floors that nothing is faster than, one sentence that names what takes the time."""

import msgspec
import pytest

from harness.errors import DataError
from harness.profile import (
    BETWEEN,
    PREPARING,
    Layer,
    Profile,
    Published,
    Roof,
    advice,
    decode,
    floored,
    parts,
    published,
    raised,
)
from harness.report.page.layers import profile_svg
from harness.report.profile import profile_text

ROOF = Roof(gflops=100.0, cache_gbs=50.0, memory_gbs=10.0)
LAYERS = (
    Layer("stem", "conv 3x3 16", 2.0, macs=2_000_000, parameters=432, bytes_moved=700_000),
    Layer("deep", "conv 5x5 dw 480", 6.0, macs=18_000_000, parameters=12_000, bytes_moved=6_000_000),
    Layer("wide", "conv 1x1 480", 1.5, macs=58_000_000, parameters=38_400, bytes_moved=3_500_000),
    Layer("norm", "BatchNorm2d", 0.5, bytes_moved=11_000_000),
)


def make_profile(**changes: object) -> Profile:
    """Of 12 ms: 1 preparing, 10 in four layers, 1 between them."""
    profile = Profile(
        package="mine",
        digest="d" * 64,
        data="trash",
        format="python",
        runtime="torch 2.9.0",
        size=(96, 128),
        threads=2,
        crops=20,
        parameters=294_854,
        macs=78_000_000,
        counted="convolutions",
        not_counted=("add", "mul"),
        cross_check=78_000_000,
        weight_bytes=1_200_000,
        activation_bytes=9_000_000,
        file_bytes=600_000,
        prepare_ms=1.0,
        network_ms=11.0,
        between_ms=1.0,
        roof=ROOF,
        layers=floored(LAYERS, ROOF),
    )
    return msgspec.structs.replace(profile, **changes)


def test_all_parts_make_the_time_of_a_crop() -> None:
    profile = make_profile()
    assert sum(ms for _, ms in parts(profile)) == profile.total_ms == 12.0
    assert [name for name, _ in parts(profile)][::5] == [PREPARING, BETWEEN]


def test_a_floor_is_that_of_arithmetic_or_of_bytes() -> None:
    stem, deep, wide, norm = make_profile().layers
    assert wide.floor_ms == pytest.approx(2 * 58 / 100)  # arithmetic
    assert stem.floor_ms == pytest.approx(2 * 2 / 100)
    assert deep.floor_ms == pytest.approx(2 * 18 / 100)
    assert norm.floor_ms == pytest.approx(11 / 10)  # bytes, more than a cache holds


def test_no_layer_is_faster_than_its_floor() -> None:
    quick = (Layer("quick", "conv 1x1 8", 0.1, macs=50_000_000, bytes_moved=8_000_000), LAYERS[3])
    roof = raised(ROOF, quick)
    assert roof.gflops == pytest.approx(1000.0)
    assert all(layer.floor_ms is not None and layer.floor_ms <= layer.ms * (1 + 1e-9) for layer in floored(quick, roof))
    assert raised(ROOF, LAYERS[:1]) == ROOF


def test_the_sentence_names_where_the_time_goes() -> None:
    said = advice(make_profile())
    assert said.startswith("50% of the time is deep (conv 5x5 dw 480); preparing the crop takes 8%: ")
    many = tuple(msgspec.structs.replace(LAYERS[2], name=f"wide{number}", ms=2.5) for number in range(4))
    said = advice(make_profile(layers=many, network_ms=11.0))
    assert said.startswith("83% of the time is the 4 1x1 convolutions, most of all wide0 (conv 1x1 480, 21%)")


def test_preparing_or_python_are_named_where_they_take_most() -> None:
    assert advice(make_profile(prepare_ms=11.0)).startswith("50% of the time is preparing the crop")
    said = advice(make_profile(between_ms=12.0, network_ms=22.0))
    assert said.startswith("52% of the time passes between the layers")
    assert "harness export" in said
    assert "export" not in advice(make_profile(between_ms=12.0, network_ms=22.0, runtime="ONNX Runtime 1.20"))


def test_what_pays_follows_from_the_distance_to_the_floor() -> None:
    assert "times its floor, so fewer and plainer layers or another runtime" in advice(make_profile())
    near = tuple(msgspec.structs.replace(layer, ms=layer.floor_ms or 0.0) for layer in make_profile().layers[:3])
    assert "near it, so fewer multiply-adds there pay most" in advice(make_profile(layers=near, network_ms=1.7))
    waiting = (msgspec.structs.replace(LAYERS[1], bytes_moved=90_000_000),)
    said = advice(make_profile(layers=floored(waiting, ROOF), network_ms=10.0))
    assert "wait for memory" in said
    norms = floored((msgspec.structs.replace(LAYERS[3], ms=6.0),), ROOF)
    assert "an export folds them" in advice(make_profile(layers=norms, network_ms=7.0))


def test_without_layers_the_whole_is_said() -> None:
    alone = make_profile(layers=(), prepare_ms=None, network_ms=None, answer_ms=3.0, between_ms=0.0)
    assert advice(alone) == "A crop takes 3 ms; no layers can be told apart here."
    assert [ms for _, ms in parts(alone)] == [3.0]
    assert advice(make_profile(layers=(), prepare_ms=None, network_ms=None)) == "No time was measured."


def test_the_text_fits_a_terminal_whatever_names_are_like() -> None:
    layers = tuple(
        Layer(f"features.\x1b[31mblock{number}.inner.deeply.nested.conv", "conv 3x3 dw 2048 and more", 0.1 * number)
        for number in range(1, 60)
    )
    profile = make_profile(package="\u202en" * 50, layers=floored(layers, ROOF), network_ms=1234.5)
    lines = profile_text(profile).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    assert "45 other layers" in profile_text(profile)


def test_the_text_says_what_is_counted_and_what_is_not() -> None:
    text = profile_text(make_profile())
    assert "parameters  294,854" in text
    assert "78,000,000: convolutions; by torch's FlopCounterMode / 2 as many" in text
    assert "not counted add, mul" in text
    assert "at 128x96" in text
    assert "FlopCounterMode / 2 77" in profile_text(make_profile(cross_check=77))
    nothing = profile_text(make_profile(macs=None, parameters=None, counted="an operator is not known"))
    assert "MACs        not counted: an operator is not known" in nothing
    assert "parameters  not counted" in nothing


def test_the_picture_has_a_bar_for_each_part() -> None:
    drawn = profile_svg(make_profile()).decode()
    assert drawn.startswith("<svg")
    for name in ("deep conv 5x5 dw 480", PREPARING, BETWEEN, "the floors"):
        assert name in drawn.replace("  ", " ")
    many = tuple(Layer(f"layer{number}", "ReLU", 0.1) for number in range(60))
    assert "20 layers of less time are one bar" in profile_svg(make_profile(layers=many)).decode()


def test_what_is_kept_is_read_again_and_a_damaged_one_is_named() -> None:
    kept = published(make_profile())
    text = msgspec.json.encode(kept)
    assert decode(text, "p.json") == kept
    assert (kept.parameters, kept.macs, kept.size) == (294_854, 78_000_000, (96, 128))
    for damaged in (text[:-9], text.replace(b'"macs":78000000', b'"macs":-1'), b'{"digest": 1}', b"\xff", b"{}"):
        with pytest.raises(DataError, match=r"^p\.json: "):
            decode(damaged, "p.json")
    assert isinstance(kept, Published)
