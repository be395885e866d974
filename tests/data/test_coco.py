"""`prepare_coco`: crops of the right pixels, whole photos in one split, one line for each broken file."""

import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image

from harness.data.annotations import TACO_CLASSES, read_annotations, read_classes
from harness.data.answers import open_test_labels
from harness.data.coco import prepare_coco
from harness.data.preparation import PrepareSettings
from harness.data.store import SPLITS, open_store
from tests.data.conftest import blocks, silent
from tests.data.making import AB, BOXES, Coco

TESTS = PrepareSettings(digest_splits=("val", "test-public", "test-private"))


def everything(store):
    """split -> its labels."""
    return {split: store.training_labels(split) for split in ("train", "val")} | open_test_labels(store)


def crops_of(store, photo):
    """(label, pixels) of each crop of a photo, left one first where they differ in size."""
    found = [
        (int(label), np.asarray(crop))
        for split, labels in everything(store).items()
        for label, its, crop in zip(labels.labels, labels.photos, store.crops(split), strict=True)
        if its == photo
    ]
    return sorted(found, key=lambda its: its[0])


def places(store):
    """photo -> the splits that it is in."""
    found = {}
    for split, labels in everything(store).items():
        for photo in labels.photos:
            found.setdefault(photo, set()).add(split)
    return found


def left_out(store):
    return {entry.reason.split(" (")[0].split(":")[0]: entry.photos for entry in store.manifest.left_out}


def test_crops_are_the_pixels_of_their_boxes_and_a_photo_lies_in_one_split(coco):
    store = coco.several(12).prepare()
    assert store.manifest.classes == ("A", "B")
    assert store.manifest.source == "coco"
    assert store.manifest.crops == {split: 2 * number for split, number in store.manifest.photos.items()}
    assert sum(store.manifest.photos.values()) == 12
    assert all(len(splits) == 1 for splits in places(store).values())
    (one, first), (two, second) = crops_of(store, "004.png")
    assert (one, two) == (0, 1)
    assert np.array_equal(first, blocks(4)[5:25, 5:35])
    assert np.array_equal(second, blocks(4)[30:55, 45:70])


def test_progress_counts_every_photo(coco, tmp_path):
    seen = []
    path = coco.several(6).write()
    settings = PrepareSettings()
    prepare_coco(path, coco.images, tmp_path / "s", "s", AB, settings, lambda *numbers: seen.append(numbers))
    assert seen == [(number, 6) for number in range(1, 7)]


def test_an_interrupt_leaves_nothing(coco):
    def stop(done, total):
        raise KeyboardInterrupt

    path = coco.several(6).write()
    with pytest.raises(KeyboardInterrupt):
        prepare_coco(path, coco.images, coco.folder / "data" / "s", "s", AB, PrepareSettings(), stop)
    assert not list((coco.folder / "data").iterdir())


def test_without_a_mapping_the_files_own_categories_are_the_classes_by_id(coco):
    coco.content["categories"].pop()
    assert coco.several(8).prepare(mapping=None).manifest.classes == ("b", "a")


def test_every_box_is_a_crop_or_is_left_out_with_its_reason(coco):
    coco.several(8)
    coco.photo((5, BOXES[0]), (5, BOXES[1]))
    coco.photo((7, BOXES[0], {"iscrowd": 1}), (7, [0, 0, 0, 5]), (7, [0, 0, math.nan, 5]), (7, [1, 2, 3]))
    coco.photo((7, [0, 0, 5, 20]), (7, [0, 30, 80, 10]), (7, [90, 0, 20, 20]), (3, [0, 0, None, 4]))
    coco.photo((7, [0, 0, 20, 20]), (3, [0, 0, 20, 30]), (7, [40, 0, 20, 20]), (7, [40, 0, 20, 20]))
    coco.photo((7, [0, 0, 20, 20]), (3, [0, 0, 20, 20]), (7, [40, 0, math.inf, 20]))
    store = coco.prepare()
    assert store.manifest.unmapped == {"other": 2}
    assert left_out(store) == {
        "a crowd": ("009.png#18",),
        "malformed": ("009.png#19", "009.png#20", "009.png#21", "010.png#25", "012.png#32"),
        "a side under 8 pixels": ("010.png#22",),
        "longer than 1": ("010.png#23",),
        "outside the photo": ("010.png#24",),
        "overlaps a smaller box": ("011.png#27",),
        "a copy of another box of its class": ("011.png#29",),
        "the same box lies in two classes": ("012.png#30", "012.png#31"),
        "no box in a class is left": ("008.png", "009.png", "010.png"),
    }
    boxes = sum(len(names) for reason, names in left_out(store).items() if reason != "no box in a class is left")
    assert sum(store.manifest.crops.values()) + boxes + 2 == len(coco.content["annotations"])


def test_a_photo_that_no_size_fits_is_bad(coco):
    coco.several(8).photo((7, BOXES[0]), image={"width": 80, "height": 70})
    assert "008.png (the annotations say 80x70 pixels, it has 80x60)" in coco.error()
    reasons = left_out(coco.prepare("skipped", skip_bad=True))
    assert reasons == {"bad photo": ("008.png",)}


def test_a_crop_keeps_its_natural_size_up_to_the_cap_whatever_the_photo_is(coco):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8))
    boxes = [(7, [0, 0, 400, 300]), (3, [900, 400, 1000, 800])]
    coco.several(8).photo(*boxes, name="big.jpg", picture=picture, quality=95)
    (_, small), (_, large) = crops_of(coco.prepare(), "big.jpg")
    assert small.shape == (300, 400, 3)
    assert large.shape == (410, 512, 3)
    whole = np.asarray(Image.open(coco.images / "big.jpg"))
    assert np.array_equal(small, whole[:300, :400])


def test_missing_and_broken_photos_are_named_together_and_can_be_skipped(coco):
    coco.several(8).photo((7, BOXES[0]), picture=False).photo((7, BOXES[0]))
    (coco.images / "009.png").write_bytes(b"no")
    message = coco.error()
    assert "got 2 bad: 008.png (no such file), 009.png (not a picture" in message
    assert message.endswith("--skip-bad")
    store = coco.prepare("skipped", skip_bad=True)
    assert sum(store.manifest.photos.values()) == 8
    assert {name for entry in store.manifest.left_out for name in entry.photos} == {"008.png", "009.png"}


def test_a_folder_with_none_of_the_photos_is_probably_another_one(coco):
    message = coco.several(8, picture=False).error(skip_bad=True)
    assert "got none of 8 (the first is 000.png); name the folder that they are below with --images" in message


def test_near_duplicates_and_equal_bytes_lie_in_one_split(coco):
    flat = Image.new("RGB", (80, 60), (9, 99, 200))
    coco.several(20)
    for number in range(6):
        mirrored = Image.fromarray(blocks(number)[:, ::-1].copy())
        coco.photo((7, BOXES[0]), picture=mirrored, name=f"mirror{number}.png")
    coco.photo((7, BOXES[0]), picture=flat, name="flat1.png").photo((3, BOXES[1]), picture=flat, name="flat2.png")
    store = coco.prepare()
    split = places(store)
    assert all(len(its) == 1 for its in split.values())
    assert all(split[f"{number:03}.png"] == split[f"mirror{number}.png"] for number in range(6))
    assert split["flat1.png"] == split["flat2.png"]
    assert store.manifest.near_duplicates == 14


def test_one_file_under_two_ids_is_one_photo(coco):
    coco.several(8).photo((7, BOXES[0]), name="twice.png")
    coco.photo((3, BOXES[1]), (7, BOXES[0]), name="./twice.png", picture=Image.open(coco.images / "twice.png"))
    store = coco.prepare()
    assert [label for label, _ in crops_of(store, "twice.png")] == [0, 1]
    assert len(places(store)["twice.png"]) == 1
    assert left_out(store) == {"a copy of another box of its class": ("twice.png#18",)}


def test_given_splits_are_kept_and_near_duplicates_across_them_are_counted(coco):
    order = [*["train"] * 3, "val", "test-public", "test-private"] * 2
    for split in order:
        coco.several(1, image={"split": split})
    alike = blocks(0).copy()
    alike[0, 0] ^= 1
    coco.photo((7, BOXES[0]), picture=Image.fromarray(alike), name="copy.png", image={"split": "val"})
    store = coco.prepare()
    assert store.manifest.photos == {"train": 6, "val": 3, "test-public": 2, "test-private": 2}
    assert {photo: its for photo, [its] in places(store).items()} == {
        **{f"{number:03}.png": split for number, split in enumerate(order)},
        "copy.png": "val",
    }
    assert (store.manifest.near_duplicates, store.manifest.across_splits) == (2, 2)
    assert store.manifest.shares is None


def test_a_split_for_some_images_alone_is_refused(coco):
    coco.several(5, image={"split": "train"}).several(3)
    assert "a split for all images or for none, got 5 of 8" in coco.error()


def test_classes_of_few_photos_are_marked_and_have_one_test_split(coco):
    coco.several(20)
    mapping = {"A": ("a",), "B": ("b",), "C": ("c",)}
    coco.content["categories"].append({"id": 9, "name": "c"})
    for number in range(7):
        coco.content["annotations"].append(
            {"id": 1000 + number, "image_id": 100 + number, "category_id": 9, "bbox": [45, 2, 20, 20]}
        )
    store = coco.prepare(mapping=mapping)
    assert store.manifest.few_photos == {"C": 7}
    labels = everything(store)
    assert [int((labels[split].labels == 2).sum()) for split in SPLITS] == [4, 1, 2, 0]
    assert all((labels[split].labels == label).any() for split in SPLITS for label in (0, 1))


@pytest.mark.parametrize("number", [2, 3])
def test_a_class_of_two_photos_is_in_train_and_in_test_and_of_three_in_val_too(coco, number):
    coco.several(10)
    coco.content["categories"].append({"id": 9, "name": "c"})
    for _ in range(number):
        coco.photo((9, BOXES[0]))
    for seed in range(3):
        store = coco.prepare(f"s{seed}", {**AB, "C": ("c",)}, seed=seed)
        got = [int((labels.labels == 2).sum()) for labels in everything(store).values()]
        assert got == ([1, 0, 1, 0] if number == 2 else [1, 1, 1, 0])


def test_a_class_in_one_photo_is_refused_by_name(coco):
    coco.content["categories"].append({"id": 9, "name": "c"})
    coco.several(10).photo((9, BOXES[0]), (9, BOXES[1]))
    assert "expected C in train and in a test split, got 2 in 1 groups" in coco.error(mapping={**AB, "C": ("c",)})


@pytest.mark.parametrize("how", ["not listed", "listed, not there"])
def test_a_digest_of_some_splits_is_the_same_without_the_others(coco, how):
    for split in ("train", "train", "val", "test-public", "test-private"):
        coco.several(2, image={"split": split})
    coco.content["categories"].pop()  # has no box
    whole = coco.prepare("whole", None, TESTS)
    if how == "not listed":
        gone = {its["id"] for its in coco.content["images"] if its["split"] == "train"}
        coco.content["images"] = [its for its in coco.content["images"] if its["id"] not in gone]
        coco.content["annotations"] = [its for its in coco.content["annotations"] if its["image_id"] not in gone]
    else:
        for its in coco.content["images"]:
            if its["split"] == "train":
                (coco.images / its["file_name"]).unlink()
    part = coco.prepare("part", None, TESTS)
    assert part.manifest.digest == whole.manifest.digest
    assert (whole.manifest.crops["train"], part.manifest.crops["train"]) == (8, 0)
    assert part.crops("train").sizes.shape == (0, 2)
    for split in ("val", "test-public", "test-private"):
        assert [crop.tobytes() for crop in part.crops(split)] == [crop.tobytes() for crop in whole.crops(split)]
    assert (
        "expected b in train and in a test split, got 6 in the given splits test-private, test-public, val"
        if how == "not listed"
        else "bad: 000.png"
    ) in coco.error(mapping=None)


def test_a_photo_whose_copy_is_tested_is_not_trained_on(coco):
    for split in ("train", "train", "val", "test-public", "test-private"):
        coco.several(2, image={"split": split})
    for split in ("test-public", "train"):  # other boxes of one photo: the bytes count
        picture = Image.fromarray(blocks(77))
        coco.photo((7, BOXES[split == "train"]), (3, BOXES[split != "train"]), picture=picture, image={"split": split})
    store = coco.prepare()
    assert left_out(store)["its photo lies in another given split too"] == ("011.png#22", "011.png#23")
    assert store.manifest.crops == {"train": 8, "val": 4, "test-public": 6, "test-private": 4}


def test_a_photo_of_a_covered_split_must_be_there(coco):
    for split in ("val", "test-public", "test-private"):
        coco.several(2, image={"split": split})
    (coco.images / "000.png").unlink()
    assert "000.png (no such file)" in coco.error(settings=TESTS)


def test_the_digest_follows_photos_boxes_labels_and_splits_alone(coco, tmp_path):
    coco.several(10)
    digests = {coco.prepare("one").manifest.digest}
    moved = Coco(tmp_path / "moved")
    moved.content = json.loads(json.dumps(coco.content)) | {"info": "other", "licenses": []}
    shutil.copytree(coco.images, moved.images, dirs_exist_ok=True)
    for its in (*moved.content["annotations"], *moved.content["images"]):
        its["more"] = 1
    digests.add(moved.prepare("two").manifest.digest)
    assert len(digests) == 1
    changes = (("bbox", [5, 5, 30, 21]), ("category_id", 3))
    for key, value in changes:
        old, moved.content["annotations"][0][key] = moved.content["annotations"][0][key], value
        digests.add(moved.prepare(key).manifest.digest)
        moved.content["annotations"][0][key] = old
    with (moved.images / "000.png").open("ab") as file:
        file.write(b"\0")
    digests.add(moved.prepare("byte").manifest.digest)
    assert len(digests) == 4


@pytest.mark.photos
def test_taco_is_cut_whole_with_each_photo_in_one_split(taco, tmp_path):
    classes = read_classes(TACO_CLASSES)
    boxes = [its.label for photo in read_annotations(taco / "annotations.json", classes).photos for its in photo.boxes]
    assert np.bincount(boxes).tolist() == [121, 55, 10, 116, 59, 11]  # its README's numbers
    settings = PrepareSettings()
    manifest = prepare_coco(taco / "annotations.json", taco, tmp_path / "t", "t", classes, settings, silent)
    store = open_store(tmp_path / "t")
    out = {reason: names for reason, names in left_out(store).items() if reason != "no box in a class is left"}
    assert sum(manifest.crops.values()) + sum(len(names) for names in out.values()) == 372
    assert sum(manifest.unmapped.values()) == 478 - 372
    assert all(len(splits) == 1 for splits in places(store).values())
    counts = np.array([np.bincount(labels.labels, minlength=6) for labels in everything(store).values()])
    assert counts.min() >= 1
    shares = counts / counts.sum(axis=0)
    assert np.abs(shares[:, [0, 1, 3, 4]].T - settings.shares).max() < 0.04  # the classes of more than 50 crops
    crowd = np.array([manifest.crops[split] / manifest.photos[split] for split in SPLITS])
    assert crowd.max() < 1.6 * crowd.min()  # without a share of photos, train had 3.0 crops a photo and test 1.4
