"""Cutting a photo's boxes out: upright or as stored, in any mode."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from harness.data.annotations import BoxedPhoto, LabelledBox
from harness.data.boxes import Box
from harness.data.cuts import CutPhoto, cut_photo


def cut_out(path, size, *boxes):
    """The crops of a photo whose annotations say `size`."""
    labelled = tuple(LabelledBox("", 0, Box(*box)) for box in boxes)
    result = cut_photo(BoxedPhoto(path.name, *size, None, labelled), path.parent, 512)
    assert isinstance(result, CutPhoto), result
    return [np.frombuffer(cut.pixels, np.uint8).reshape(cut.height, cut.width, 3) for cut in result.cuts]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_are_of_the_photo_as_displayed_or_as_stored_as_its_size_says(tmp_path, turn, suffix, scale):
    stored = np.zeros((60, 90, 3), np.uint8)
    stored[:16, :24], stored[:8, :8] = 100, 255  # in the upper left; the corner tells how the crop is turned
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"t.{suffix}"
    Image.fromarray(stored).save(path, exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    rows, columns = np.nonzero(shown.max(axis=2) > 50)
    top, left, height, width = rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1
    expected = shown[top : top + height, left : left + width]
    size = np.array(shown.shape[1::-1]) * scale
    [crop] = cut_out(path, size.tolist(), np.array([left, top, width, height]) * scale)
    assert np.array_equal(crop, expected)
    if turn >= 5:  # a size that swaps the sides means the file's own pixels; the crop is shown upright all the same
        [crop] = cut_out(path, size[::-1].tolist(), np.array([0, 0, 24, 16]) * scale)
        assert np.array_equal(crop, expected)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "RGBA"])
def test_other_modes_are_cut_as_rgb(tmp_path, mode):
    grey = np.full((60, 80), 100, np.uint8)
    grey[30:, 40:] = 200
    picture = Image.fromarray(grey)
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        picture = picture.quantize() if mode == "P" else picture.convert("RGB").convert(mode)
    picture.save(tmp_path / "m.tif")
    [crop] = cut_out(tmp_path / "m.tif", (80, 60), (40, 30, 40, 30))
    assert crop.shape == (30, 40, 3)
    assert np.abs(crop.astype(int) - 200).max() <= 1
