"""Which boxes are worth a crop, and whose pixels they count in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.boxes import EXTREME, OVERLAP, SMALLEST, Box, Dropped, Frame, Rectangle, clean_boxes, find_frame

SIZE = (200, 100)  # width, height
ONE = (1.0, 1.0)


def cleaned(*boxes, scale=ONE, size=SIZE):
    return [
        its.reason.split(" (")[0] if isinstance(its, Dropped) else tuple(its)
        for its in clean_boxes([Box(*box) for box in boxes], scale, size)
    ]


def test_a_box_beyond_the_photo_is_clipped_to_it():
    assert cleaned((-10, -20, 50, 60)) == [(0, 0, 40, 40)]
    assert cleaned((180, 90, 500, 500)) == [(180, 90, 200, 100)]
    assert cleaned((150, 0, 1e308, 1e308), (-1e308, 0, 1e308, 20)) == [(150, 0, 200, 100), "outside the photo"]


def test_a_side_under_eight_pixels_after_clipping_drops_a_box():
    assert cleaned((0, 0, 8, 8), (20, 0, 7.9, 20), (193, 0, 50, 20)) == [(0, 0, 8, 8), *["a side under 8 pixels"] * 2]


def test_sides_are_measured_in_the_photo_that_is_there_not_in_the_one_that_was_annotated():
    assert cleaned((0, 0, 10, 10), (100, 100, 40, 40), scale=(0.5, 0.5)) == ["a side under 8 pixels", (50, 50, 70, 70)]


def test_a_box_longer_than_one_to_six_is_dropped():
    assert cleaned((0, 0, 60, 10), (0, 20, 61, 10), (100, 0, 10, 61)) == [(0, 0, 60, 10), *["longer than 1:6"] * 2]


@pytest.mark.parametrize(("height", "kept"), [(20, False), (24, False), (26, True)])
def test_of_two_boxes_that_overlap_much_the_larger_is_dropped(height, kept):
    large, small = (0, 0, 10, height), (0, 0, 10, 10)  # IoU 10 / height
    assert cleaned(large, small) == [large if kept else "overlaps a smaller box", small]


def test_an_overlap_of_exactly_the_limit_drops():
    assert OVERLAP == 0.4
    assert cleaned((0, 0, 10, 25), (0, 0, 10, 10)) == ["overlaps a smaller box", (0, 0, 10, 10)]


def test_of_equal_areas_the_later_goes_and_identical_boxes_are_left_for_the_search_for_copies():
    assert cleaned((0, 0, 20, 20), (1, 0, 20, 20)) == [(0, 0, 20, 20), "overlaps a smaller box"]
    assert cleaned((0, 0, 20, 20), (0, 0, 20, 20)) == [(0, 0, 20, 20)] * 2


def test_a_dropped_box_still_drops_a_larger_one_for_its_object_is_in_the_picture():
    assert cleaned((0, 0, 20, 20), (0, 0, 20, 40), (0, 0, 20, 80))[1:] == ["overlaps a smaller box"] * 2


def test_a_box_too_small_for_a_crop_drops_no_other():
    assert cleaned((0, 0, 7, 10), (0, 0, 10, 10)) == ["a side under 8 pixels", (0, 0, 10, 10)]


def test_no_boxes_give_none():
    assert cleaned() == []


boxes = st.tuples(*[st.floats(-300, 300)] * 2, *[st.floats(0.001, 400)] * 2)


@given(st.lists(boxes, max_size=8), st.sampled_from([ONE, (0.5, 0.5), (2.0, 1.9)]))
def test_what_is_kept_lies_in_the_photo_and_overlaps_little(given_boxes, scale):
    kept = [its for its in clean_boxes([Box(*b) for b in given_boxes], scale, SIZE) if isinstance(its, Rectangle)]
    for its in kept:
        assert 0 <= its.left < its.right <= SIZE[0]
        assert 0 <= its.top < its.bottom <= SIZE[1]
        width, height = its.right - its.left, its.bottom - its.top
        assert min(width, height) >= SMALLEST - 1
        assert max(width, height) <= EXTREME * (min(width, height) + 1) + 1
    assert kept == [
        its for its in clean_boxes([Box(*b) for b in given_boxes], scale, SIZE) if not isinstance(its, Dropped)
    ]


@pytest.mark.parametrize(
    "values", [(0, 0, 0, 5), (0, 0, 5, -1), (np.inf, 0, 1, 1), (0, np.nan, 1, 1), (0, 0, np.inf, 1)]
)
def test_a_box_without_an_area_or_with_no_number_is_not_proper(values):
    assert not Box(*values).is_proper()


@pytest.mark.parametrize(
    ("annotated", "displayed", "stored", "frame"),
    [
        ((40, 30), (40, 30), (40, 30), Frame(True, ONE)),
        ((30, 40), (30, 40), (40, 30), Frame(True, ONE)),
        ((40, 30), (30, 40), (40, 30), Frame(False, ONE)),
        ((30, 30), (30, 30), (30, 30), Frame(True, ONE)),
        ((80, 60), (40, 30), (40, 30), Frame(True, (0.5, 0.5))),
        ((60, 80), (30, 40), (40, 30), Frame(True, (0.5, 0.5))),
        ((4000, 3000), (1024, 768), (768, 1024), Frame(True, (0.256, 0.256))),
        ((1537, 2049), (768, 1024), (768, 1024), Frame(True, (768 / 1537, 1024 / 2049))),
        ((50, 30), (40, 30), (30, 40), None),
        ((0, 0), (40, 30), (30, 40), None),
        ((-40, -30), (40, 30), (30, 40), None),
        ((1000, 1010), (500, 500), (500, 500), None),
    ],
)
def test_the_frame_is_told_from_the_sizes(annotated, displayed, stored, frame):
    assert find_frame(annotated, displayed, stored) == frame
