"""Crops of a declared package are prepared as in training, to one grey level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.formats import IMAGENET_MEAN, IMAGENET_STD, Input
from harness.nets.preprocess import MEAN, STD, batch, square
from harness.worker.pixels import preparing, with_torch
from tests.worker.making import SHAPES, Crop

GREY = 1 / (255 * min(STD))  # one grey level behind the normalisation, of the channel in which it is most


def noise(shapes: list[tuple[int, int]]) -> list[Crop]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


MORE = [(2, 1), (7, 9), (31, 33), (156, 156), (157, 155), (300, 300), (640, 480), (1, 2000), (1024, 1023)]


@pytest.mark.parametrize("size", [32, 96, 156, 157, 224])
def test_pixels_are_those_of_training_to_one_grey_level(size: int) -> None:
    crops = noise([*SHAPES, *MORE])
    ours, theirs = preparing(Input(size))(crops), batch(crops, size, "cpu").numpy()
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= GREY * 1.001
    bytes_apart = np.abs(
        preparing(Input(size, type="uint8"))(crops).astype(int)
        - np.stack([square(crop, size).numpy() for crop in crops]).astype(int)
    )
    assert bytes_apart.max() <= 1
    assert (bytes_apart > 0).mean() < 0.01


@pytest.mark.parametrize("size", [32, 96, 156, 157, 224])
def test_a_network_that_torch_runs_sees_the_pixels_of_training_to_the_last_bit(size: int) -> None:
    crops = noise([*SHAPES, *MORE])
    ours = preparing(Input(size, type="uint8"), with_torch)(crops)
    assert np.array_equal(ours, np.stack([square(crop, size).numpy() for crop in crops]))
    floats = preparing(Input(size), with_torch)(crops)
    assert np.abs(floats - batch(crops, size, "cpu").numpy()).max() < 1e-5


@pytest.mark.parametrize("resize", ["bilinear", "bicubic", "lanczos", "box", "nearest"])
def test_torch_and_pillow_resize_alike(resize: str) -> None:
    its = Input((40, 56), pad=False, resize=resize, type="uint8")  # type: ignore[arg-type]
    crops = noise([*SHAPES, *MORE])
    apart = np.abs(preparing(its)(crops).astype(int) - preparing(its, with_torch)(crops).astype(int))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.02


def test_the_normalisation_is_that_of_training() -> None:
    assert (IMAGENET_MEAN, IMAGENET_STD) == (MEAN, STD)
    crop = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)  # not resized
    assert np.abs(preparing(Input(16))([crop]) - batch([crop], 16, "cpu").numpy()).max() < 1e-6


@given(st.integers(1, 999), st.integers(1, 999), st.sampled_from([32, 96, 156, 157, 224]))
@settings(max_examples=100, deadline=None)
def test_the_padding_is_that_of_training_to_the_pixel(height: int, width: int, size: int) -> None:
    crop = np.full((height, width, 3), 255, np.uint8)
    ours = preparing(Input(size, type="uint8"))([crop])[0]
    assert np.array_equal(ours == 0, square(crop, size).numpy() == 0)


def test_what_an_earlier_crop_left_is_not_seen() -> None:
    wide, tall = noise([(20, 60), (60, 20)])
    prepare = preparing(Input(32))
    first = prepare([wide]).copy()
    prepare([tall])
    assert np.array_equal(prepare([wide]), first)


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_both_layouts_have_the_same_numbers(kind: str) -> None:
    crops = noise(list(SHAPES))
    first = preparing(Input((40, 56), type=kind))(crops)  # type: ignore[arg-type]
    last = preparing(Input((40, 56), type=kind, layout="NHWC"))(crops)  # type: ignore[arg-type]
    assert first.shape == (4, 3, 40, 56)
    assert last.shape == (4, 40, 56, 3)
    assert np.array_equal(first, last.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("resize", ["bilinear", "bicubic", "lanczos", "box", "nearest"])
def test_without_padding_a_crop_is_stretched_over_all_of_the_input(resize: str) -> None:
    crops = noise(list(SHAPES))
    ours = preparing(Input((40, 56), pad=False, resize=resize, type="uint8", layout="NHWC"))(crops)  # type: ignore[arg-type]
    for crop, mine in zip(crops, ours, strict=True):
        theirs = Image.fromarray(crop).resize((56, 40), getattr(Image.Resampling, resize.upper()))
        assert np.array_equal(mine, np.asarray(theirs))


def test_a_side_of_its_own_for_height_and_width_keeps_the_crops_shape_and_centre() -> None:
    white = np.full((10, 10, 3), 255, np.uint8)
    filled = preparing(Input((40, 57), type="uint8", layout="NHWC"))([white])[0, :, :, 0]
    assert (filled[:, 8:48] == 255).all()
    assert filled.sum() == 255 * 40 * 40


def test_other_means_and_deviations_are_those_of_the_package() -> None:
    grey = np.full((8, 8, 3), 51, np.uint8)
    its = Input(8, mean=(0.0, 0.1, 0.2), std=(1.0, 0.5, 0.1))
    assert preparing(its)([grey])[0, :, 0, 0] == pytest.approx([0.2, 0.2, 0.0], abs=1e-6)
