"""The embedded data set: committed scenes to judge on, rendered ones to train on, one digest."""

import io
import shutil

import msgspec
import numpy as np
import pytest
from PIL import Image

from harness.data import synthetic
from harness.data.answers import open_test_labels
from harness.data.scenes import CLASSES, render_scene
from harness.data.store import open_store
from tests.data.conftest import silent


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    target = tmp_path_factory.mktemp("judged") / "embedded"
    synthetic.prepare_embedded(target, "embedded", False, silent)
    return open_store(target)


def test_the_committed_scenes_are_enough_to_judge_on(judged):
    manifest = judged.manifest
    assert manifest.classes == CLASSES
    assert manifest.crops["val"] >= 300
    assert manifest.crops["test-public"] + manifest.crops["test-private"] >= 700
    assert manifest.crops["train"] == 0
    assert manifest.near_duplicates == 0
    answers = open_test_labels(judged)
    for split in ("test-public", "test-private"):
        assert np.bincount(answers[split].labels, minlength=len(CLASSES)).min() >= 25
    assert not set(answers["test-public"].photos) & set(answers["test-private"].photos)
    size = sum(path.stat().st_size for path in synthetic.EMBEDDED.rglob("*") if path.is_file())
    assert size <= 12e6


def test_training_scenes_change_no_digest_and_no_judged_crop(judged, tmp_path, monkeypatch):
    monkeypatch.setitem(synthetic.SCENES, "train", 6)
    manifest = synthetic.prepare_embedded(tmp_path / "all", "embedded", True, silent)
    store = open_store(tmp_path / "all")
    assert manifest.digest == judged.manifest.digest
    assert manifest.photos["train"] == 6
    assert len(store.training_labels("train").labels) == manifest.crops["train"] > 6
    for split in ("val", "test-public", "test-private"):
        assert (store.path / f"{split}.pixels").read_bytes() == (judged.path / f"{split}.pixels").read_bytes()


def test_training_scenes_are_added_to_what_is_there(judged, tmp_path, monkeypatch):
    shutil.copytree(judged.path, tmp_path / "embedded")
    (tmp_path / ".embedded.old").mkdir()  # what a killed one left
    monkeypatch.setitem(synthetic.SCENES, "train", 3)
    manifest = synthetic.add_training_scenes(tmp_path / "embedded", silent)
    assert open_store(tmp_path / "embedded").manifest == manifest
    assert manifest.photos["train"] == 3
    assert manifest.digest == judged.manifest.digest
    assert [path.name for path in tmp_path.iterdir()] == ["embedded"]


def test_a_committed_scene_is_what_the_renderer_draws():
    content = msgspec.json.decode((synthetic.EMBEDDED / "annotations.json").read_bytes())
    first = next(image for image in content["images"] if image["split"] == "val")
    scene = render_scene(synthetic.FIRST_SEED["val"])
    photo = np.asarray(Image.open(io.BytesIO((synthetic.EMBEDDED / first["file_name"]).read_bytes())))
    assert photo.shape == scene.pixels.shape
    assert np.abs(photo.astype(int) - scene.pixels).mean() < 8  # JPEG's loss
    boxes = [box["bbox"] for box in content["annotations"] if box["image_id"] == first["id"]]
    assert boxes == [list(one.box) for one in scene.objects]


def test_a_rendered_set_is_split_by_scene(tmp_path):
    manifest = synthetic.prepare_rendered(tmp_path / "mine", "mine", 24, 3, 0.8, silent)
    assert sum(manifest.photos.values()) == 24
    assert all(manifest.crops.values())
    store = open_store(tmp_path / "mine")
    photos = [set(store.training_labels(split).photos) for split in ("train", "val")]
    photos += [set(labels.photos) for labels in open_test_labels(store).values()]
    assert sum(len(each) for each in photos) == len(set.union(*photos)) == 24
