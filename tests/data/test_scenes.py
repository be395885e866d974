"""The embedded data set: the same from a seed, boxes that hold, and no class told by its colours."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.scenes import CLASSES, SHARES, Scene, encode_jpeg, render_scene, write_scenes
from harness.data.scenes.camera import QUALITIES
from harness.data.scenes.place import iou

SCENES = 32


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(seed) for seed in range(SCENES)]


def test_a_seed_gives_the_same_scene_and_the_same_bytes() -> None:
    one, two = render_scene(7), render_scene(7)
    assert np.array_equal(one.pixels, two.pixels)
    assert one.objects == two.objects
    assert encode_jpeg(one, 7) == encode_jpeg(two, 7)


def test_another_seed_gives_another_scene(scenes: list[Scene]) -> None:
    assert len({scene.pixels.tobytes() for scene in scenes}) == SCENES


def test_difficulty_changes_the_photo_but_not_what_lies_in_it() -> None:
    easy, hard = (render_scene(3, difficulty) for difficulty in (0.0, 1.0))
    assert not np.array_equal(easy.pixels, hard.pixels)
    assert easy.pixels.shape == hard.pixels.shape
    assert easy.objects[0].label == hard.objects[0].label


def test_a_photo_is_rgb_of_a_known_size_and_neither_black_nor_white(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.pixels.dtype == np.uint8
        assert scene.pixels.shape[2] == 3
        assert {285, 300, 340, 380} >= set(scene.pixels.shape[:2])
        assert 25 < scene.pixels.mean() < 230
        assert scene.pixels.std() > 8


def test_boxes_lie_inside_the_photo_and_are_neither_small_nor_slim(scenes: list[Scene]) -> None:
    for scene in scenes:
        height, width = scene.pixels.shape[:2]
        for _, (x, y, wide, high) in scene.objects:
            assert x >= 0
            assert y >= 0
            assert x + wide <= width
            assert y + high <= height
            assert min(wide, high) >= 16
            assert max(wide, high) <= 4 * min(wide, high)


def test_no_two_boxes_of_a_scene_nearly_coincide(scenes: list[Scene]) -> None:
    for scene in scenes:
        boxes = [one.box for one in scene.objects]
        assert all(iou(one, two) < 0.4 for number, one in enumerate(boxes) for two in boxes[:number])


def test_every_class_appears_and_most_scenes_have_an_object(scenes: list[Scene]) -> None:
    assert len(CLASSES) == len(SHARES) == 6
    assert sum(SHARES) == pytest.approx(1)
    counts = Counter(one.label for scene in scenes for one in scene.objects)
    assert set(counts) == set(range(6))
    assert sum(bool(scene.objects) for scene in scenes) > 0.9 * SCENES


def test_the_quality_of_the_jpeg_is_drawn_from_the_seed(scenes: list[Scene]) -> None:
    tables = set()
    for seed in range(12):
        with Image.open(io.BytesIO(encode_jpeg(scenes[0], seed))) as image:
            assert image.size == scenes[0].pixels.shape[1::-1]
            tables.add(tuple(image.quantization[0]))  # type: ignore[attr-defined]
    assert 3 <= len(tables) <= QUALITIES[1] - QUALITIES[0] + 1


def test_mean_colours_do_not_tell_the_classes(scenes: list[Scene]) -> None:
    colours, labels = [], []
    for scene in scenes:
        for label, (x, y, wide, high) in scene.objects:
            crop = scene.pixels[int(y) : int(y + high), int(x) : int(x + wide)]
            colours.append(crop.reshape(-1, 3).mean(axis=0))
            labels.append(label)
    points, known = np.array(colours), np.array(labels)
    # of each object the others' mean colours of the classes, so that no object helps to judge itself
    right = 0
    for number, (point, label) in enumerate(zip(points, known, strict=True)):
        others = np.arange(len(known)) != number
        means = np.array([points[others & (known == one)].mean(axis=0) for one in range(6)])
        right += int(np.linalg.norm(means - point, axis=1).argmin()) == label
    assert right / len(known) < 0.4


def test_the_written_coco_file_is_whole_and_fits_the_images(tmp_path: Path) -> None:
    seeds = {"train": [1, 2], "val": [3], "test-public": [4], "test-private": [5]}
    told: list[tuple[int, int]] = []
    write_scenes(tmp_path, seeds, 0.3, lambda done, total: told.append((done, total)))
    content = json.loads((tmp_path / "annotations.json").read_bytes())
    assert told == [(number, 5) for number in range(1, 6)]
    assert [one["file_name"] for one in content["images"]] == [
        "images/train-0000.jpg",
        "images/train-0001.jpg",
        "images/val-0000.jpg",
        "images/test-public-0000.jpg",
        "images/test-private-0000.jpg",
    ]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg")) == sorted(
        one["file_name"] for one in content["images"]
    )
    assert [one["name"] for one in content["categories"]] == list(CLASSES)
    assert [one["id"] for one in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
    for image, seed in zip(content["images"], [1, 2, 3, 4, 5], strict=True):
        scene = render_scene(seed, 0.3)
        path = tmp_path / image["file_name"]
        assert path.read_bytes() == encode_jpeg(scene, seed)
        assert (image["height"], image["width"]) == scene.pixels.shape[:2]
        assert image["split"] == path.stem.rsplit("-", 1)[0]
        boxes = [one for one in content["annotations"] if one["image_id"] == image["id"]]
        assert [(one["category_id"] - 1, tuple(one["bbox"])) for one in boxes] == list(scene.objects)
        assert all(one["area"] == one["bbox"][2] * one["bbox"][3] and one["iscrowd"] == 0 for one in boxes)
