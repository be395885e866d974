"""The practice set: each photo from its own seed, colours alike for all classes."""

import numpy as np
import pytest

from harness.data.store import open_store
from harness.data.synthetic import MATERIALS, TEXTURES, prepare_synthetic, render_folder, render_photo
from tests.data.conftest import silent


@pytest.mark.parametrize("material", range(len(MATERIALS)))
def test_a_photo_is_the_same_for_a_seed_and_another_for_another(material):
    photo = render_photo(material, 3)
    assert photo.dtype == np.uint8
    assert photo.shape[2] == 3
    assert 96 <= min(photo.shape[:2]) <= max(photo.shape[:2]) <= 200
    assert np.array_equal(photo, render_photo(material, 3))
    other = render_photo(material, 4)
    assert other.shape != photo.shape or not np.array_equal(other, photo)


def test_mean_colours_do_not_tell_the_classes_apart():
    means = [[render_photo(material, seed).mean() for seed in range(30)] for material in range(len(MATERIALS))]
    between, within = np.std(np.mean(means, axis=1)), np.mean(np.std(means, axis=1))
    assert between < within


def test_the_folder_holds_one_folder_a_material(tmp_path):
    render_folder(tmp_path / "photos", 2, seed=1)
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == sorted(TEXTURES) == sorted(MATERIALS)
    assert len(list((tmp_path / "photos").glob("*/*.jpg"))) == 12


def test_the_practice_set_becomes_a_store_without_false_near_duplicates(tmp_path):
    manifest = prepare_synthetic(tmp_path / "practice", "practice", 20, 0, silent)
    assert manifest.classes == MATERIALS
    assert manifest.source == "synthetic"
    assert manifest.near_duplicates == 0
    assert open_store(tmp_path / "practice").manifest.crops["train"] == 72
