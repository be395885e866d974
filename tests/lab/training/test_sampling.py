"""Which crops an epoch has: by seed and epoch alone, in equal parts of the classes where the recipe says so."""

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.data.store import Store
from harness.lab.augment import Key, Squares, TrainingPictures
from harness.lab.pixels import collated, ready
from harness.lab.recipe import Recipe
from harness.lab.sampling import balanced, batches
from harness.nets.preprocess import batch, square
from tests.lab.training.networks import RECIPE

LABELS = np.array([0] * 60 + [1] * 10 + [3] * 2)  # nothing of class 2
BALANCED = Recipe(batch=8, sampling="balanced")


@given(count=st.integers(1, 200), seed=st.integers(0, 9))
def test_balanced_classes_have_equal_parts_and_a_crop_comes_again_only_when_all_have_come(
    count: int, seed: int
) -> None:
    order = balanced(LABELS, count, np.random.default_rng(seed))
    assert len(order) == count
    crops = np.bincount(LABELS[order], minlength=4)[[0, 1, 3]]
    assert crops.max() - crops.min() <= 1
    for one in (0, 1, 3):
        times = np.bincount(order, minlength=len(LABELS))[one == LABELS]
        assert times.max() - times.min() <= 1


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_an_epoch_is_drawn_by_seed_and_epoch_alone(sampling: str) -> None:
    recipe = msgspec.structs.replace(BALANCED, sampling=sampling)
    first = batches(LABELS, recipe, 3, 9)
    np.random.seed(5)
    assert first == batches(LABELS, recipe, 3, 9)
    assert [len(batch) for batch in first] == [8] * 9
    assert first != batches(LABELS, recipe, 4, 9)
    assert first != batches(LABELS, msgspec.structs.replace(recipe, seed=1), 3, 9)


def test_shuffled_epochs_hold_each_crop_once_as_they_always_did() -> None:
    keys = [key for batch in batches(LABELS, Recipe(batch=8), 2, 9) for key in batch]
    assert [key.number for key in keys] == np.random.default_rng([0, 2]).permutation(72).tolist()
    assert {key.turn for key in keys} == {0}


def test_a_crop_that_comes_again_in_an_epoch_is_augmented_otherwise(tinted: Store) -> None:
    keys = [key for batch in batches(LABELS, BALANCED, 0, 9) for key in batch]
    assert len(set(keys)) == len(keys), "each has its turn"
    assert max(key.turn for key in keys) == 11
    pictures = TrainingPictures(tinted.crops("train"), tinted.training_labels("train").labels, RECIPE)
    again = [pictures[Key(0, 3, turn)][0] for turn in range(5)]
    assert any(not torch.equal(again[0], other) for other in again[1:])


def test_pictures_that_stay_as_they_are_draw_nothing(tinted: Store) -> None:
    still = msgspec.structs.replace(RECIPE, flip=0.0, randaugment_ops=(0, 0), cutout=0.0)
    labels = tinted.training_labels("train").labels
    plain = TrainingPictures(tinted.crops("train"), labels, still)
    drawn = TrainingPictures(tinted.crops("train"), labels, msgspec.structs.replace(still, flip_vertical=1e-9))
    assert torch.equal(plain[Key(0, 3)][0], plain[Key(7, 3)][0])
    assert torch.equal(plain[Key(0, 3)][0], drawn[Key(0, 3)][0]), "the long way gives the same"


def test_a_batch_is_to_the_last_bit_what_inference_sees(tinted: Store) -> None:
    crops = tinted.crops("train")
    items = [(square(crops[number], 31), number % 3) for number in range(5)]
    pixels, labels = collated(items)
    before = pixels.clone()
    assert labels.tolist() == [0, 1, 2, 0, 1]
    assert torch.equal(ready(pixels, "cpu"), batch([crops[number] for number in range(5)], 31, "cpu"))
    assert ready(pixels, "cpu").is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before)


def test_a_picture_that_was_kept_is_the_one_that_is_made_anew(tinted: Store) -> None:
    labels = tinted.training_labels("train").labels
    for recipe in (RECIPE, msgspec.structs.replace(RECIPE, crop_area=0.5)):
        kept, made = (TrainingPictures(tinted.crops("train"), labels, recipe, keep=keep) for keep in (True, False))
        for key in (Key(0, 3), Key(0, 3), Key(1, 3), Key(0, 4)):
            assert torch.equal(kept[key][0], made[key][0])
            assert kept[key][1] == made[key][1]


def test_pictures_are_kept_only_where_there_is_memory(tinted: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = tinted.crops("train")
    size_gb = len(crops) * 16 * 16 * 3 / 1e9
    for available, kept in ((size_gb * 5, True), (size_gb * 3, False), (None, False)):
        monkeypatch.setattr("harness.lab.augment.available_gb", lambda gb=available: gb)
        squares = Squares(crops, 16, keep=True)
        first, second = squares[0], squares[0]
        assert (first.data_ptr() == second.data_ptr()) is kept
