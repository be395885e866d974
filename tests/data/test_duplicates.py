"""Near-duplicates are found however they were turned, and a white board alone is none."""

import numpy as np
import pytest
from PIL import Image

from harness.data.duplicates import (
    LOW,
    _low_frequencies,
    duplicate_groups,
    near_duplicates,
    turn_frequencies,
    turn_pictures,
)
from harness.data.photos import THUMBNAIL
from tests.data.conftest import blocks
from tests.pictures import render_photo


def thumbnail(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


PHOTO = render_photo(2, 5)
OTHERS = [thumbnail(render_photo(material, seed)) for material in range(6) for seed in range(4)]


def recompressed(picture: np.ndarray) -> np.ndarray:
    small = Image.fromarray(picture).resize((70, 70))
    return np.asarray(small.quantize(64).convert("RGB"))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        lambda p: p[:, ::-1],
        lambda p: p[::-1],
        np.rot90,
        lambda p: np.rot90(p, 2),
        lambda p: p.swapaxes(0, 1),
        lambda p: p[: -p.shape[0] // 20, p.shape[1] // 25 :],
        lambda p: (p * 0.8).astype(np.uint8),
        recompressed,
    ],
    ids=["same", "mirrored", "flipped", "quarter", "half", "transposed", "cropped", "darker", "smaller"],
)
def test_a_changed_copy_is_the_only_near_duplicate(change):
    copy = np.ascontiguousarray(change(PHOTO))
    thumbnails = np.stack([thumbnail(PHOTO), *OTHERS, thumbnail(copy)])
    pairs = [(i, j) for i, j in near_duplicates(thumbnails).tolist() if len(thumbnails) - 1 in (i, j)]
    assert (0, len(thumbnails) - 1) in pairs


def test_different_photos_are_no_duplicates():
    assert len(near_duplicates(np.stack([thumbnail(blocks(seed)) for seed in range(300)]))) == 0


def test_different_things_on_one_white_board_are_no_duplicates():
    boards = np.full((60, THUMBNAIL, THUMBNAIL, 3), 230, np.uint8)
    for seed, board in enumerate(boards):
        rng = np.random.default_rng(seed)
        top, left, height, width = rng.integers((12, 12, 8, 8), (20, 20, 22, 22))
        board[top : top + height, left : left + width] = blocks(seed, height, width)
        board[:] = np.clip(board + rng.normal(0, 3, board.shape), 0, 255)
    assert np.bincount(duplicate_groups(boards)).max() <= 3


def test_flat_photos_are_no_duplicates_of_each_other():
    assert len(near_duplicates(np.full((5, THUMBNAIL, THUMBNAIL, 3), 128, np.uint8))) == 0


def test_a_chain_of_near_duplicates_is_one_group():
    wide = np.asarray(Image.fromarray(blocks(8)[::10, ::10]).resize((500, 240), Image.Resampling.BICUBIC))
    steps = [thumbnail(wide[:, start : start + 240]) for start in (0, 12, 24)]
    groups = duplicate_groups(np.stack([*steps, *OTHERS]))
    assert len(set(groups[:3].tolist())) == 1
    assert groups[0] not in groups[3:]


@pytest.mark.parametrize("turn", range(8))
def test_turned_frequencies_are_those_of_the_turned_picture(turn):
    picture = np.stack(OTHERS[:2])
    expected = _low_frequencies(turn_pictures(picture, turn))
    assert expected.shape == (2, LOW, LOW)
    np.testing.assert_allclose(turn_frequencies(_low_frequencies(picture), turn), expected, atol=0.05)
