"""`prepare_folder` on real folders: what is kept, what is left out and why, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from harness.data.answers import open_test_labels
from harness.data.folder import PrepareSettings, prepare_folder
from harness.data.store import SPLITS, open_store
from harness.errors import DataError, UsageError
from tests.data.conftest import blocks, silent


def left_out(manifest):
    return {entry.reason: entry.photos for entry in manifest.left_out}


def where(path):
    store = open_store(path)
    labels = {split: store.training_labels(split) for split in ("train", "val")} | open_test_labels(store)
    return {photo: split for split, (_, photos) in labels.items() for photo in photos}


def test_classes_are_sorted_without_regard_to_case_and_all_photos_are_split(photos, prepare):
    path, manifest = prepare(photos(metal=10, Paper=10, box=20))
    assert manifest.classes == ("box", "metal", "Paper")
    assert manifest.photos == manifest.crops == {"train": 24, "val": 4, "test-public": 6, "test-private": 6}
    assert manifest == open_store(path).manifest
    assert manifest.left_out == ()
    assert sorted(path.name for path in path.parent.iterdir()) == ["set"]
    assert {file.name for file in path.iterdir()} == {"labels", "manifest.json"} | {
        f"{split}.{kind}" for split in SPLITS for kind in ("pixels", "index.json")
    }


def test_progress_counts_every_photo(photos, tmp_path):
    seen = []
    prepare_folder(
        photos(a=4, b=4),
        tmp_path / "s",
        "s",
        PrepareSettings(),
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(n, 8) for n in range(1, 9)]


def test_the_same_folder_elsewhere_gives_the_same_bytes_and_digest(photos, prepare, tmp_path):
    source = photos(a=6, b=6)
    first, one = prepare(source, "one")
    second, two = prepare(shutil.copytree(source, tmp_path / "copy"), "two")
    assert one.digest == two.digest
    for file in ("train.pixels", "test-public.index.json", "labels/test-private.json"):
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_one_changed_byte_or_another_seed_gives_another_digest(photos, prepare):
    source = photos(a=6, b=6)
    digests = {prepare(source, "one")[1].digest, prepare(source, "two", seed=1)[1].digest}
    with (source / "a" / "000.png").open("ab") as file:
        file.write(b"\0")  # after the end of the picture: the pixels stay
    assert len(digests | {prepare(source, "three")[1].digest}) == 3


def test_near_duplicates_stay_in_one_split(photos, prepare):
    source = photos(a=12, b=12)
    for number in range(12):
        picture = Image.open(source / "a" / f"{number:03}.png")
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source / "a" / f"mirror{number:03}.png")
    path, manifest = prepare(source)
    split = where(path)
    assert manifest.near_duplicates == 24
    assert all(split[f"a/{number:03}.png"] == split[f"a/mirror{number:03}.png"] for number in range(12))


def test_copies_in_a_class_count_once_and_copies_in_two_classes_not_at_all(photos, prepare):
    source = photos(a=6, b=6)
    shutil.copy(source / "a" / "000.png", source / "a" / "copy.png")
    shutil.copy(source / "a" / "001.png", source / "b" / "copy.png")
    path, manifest = prepare(source)
    assert left_out(manifest) == {
        "a copy of another file of its class": ("a/copy.png",),
        "the same file lies in two classes": ("a/001.png", "b/copy.png"),
    }
    assert len(where(path)) == 11


def test_a_class_of_few_photos_is_marked_and_has_one_test_split(photos, prepare):
    path, manifest = prepare(photos(a=7, b=20))
    assert manifest.few_photos == {"a": 7}
    tests = open_test_labels(open_store(path))
    assert [int((tests[split].labels == 0).sum()) for split in ("test-public", "test-private")] == [2, 0]
    assert (tests["test-private"].labels == 1).sum() == 3


def test_hidden_and_other_files_are_left_out_with_their_reason(photos, prepare):
    source = photos(a=6, b=6)
    (source / "LICENSE").write_text("MIT")
    (source / "a" / "notes.txt").write_text("a note")
    (source / "a" / ".DS_Store").write_text("")
    (source / ".git").mkdir()
    (source / ".git" / "x.png").write_text("")
    (source / "b" / "more").mkdir()
    Image.fromarray(blocks(77)).save(source / "b" / "more" / "DEEP.JPG")
    path, manifest = prepare(source)
    reasons = left_out(manifest)
    assert reasons.pop("hidden") == (".git/x.png", "a/.DS_Store")
    assert reasons.pop("outside the class folders") == ("LICENSE",)
    assert list(reasons.values()) == [("a/notes.txt",)]
    assert "b/more/DEEP.JPG" in where(path)


def test_all_bad_photos_are_named_in_one_message_and_nothing_is_left(photos, prepare, tmp_path):
    source = photos(a=6, b=6)
    for number in range(25):
        (source / "b" / f"bad{number:02}.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        prepare(source)
    message = caught.value.message
    assert "got 25 bad: b/bad00.jpg (empty file)" in message
    assert "b/bad19.jpg (empty file) and 5 more" in message
    assert message.endswith("--skip-bad")
    assert not list((tmp_path / "data").iterdir())


def test_skip_bad_goes_on_and_writes_down_what_it_skipped(photos, prepare):
    source = photos(a=6, b=6)
    good = (source / "a" / "000.png").read_bytes()
    (source / "a" / "cut.png").write_bytes(good[: len(good) // 2])
    (source / "b" / "none.jpg").write_bytes(b"")
    _, manifest = prepare(source, skip_bad=True)
    assert left_out(manifest)["bad photo: empty file"] == ("b/none.jpg",)
    assert sum(manifest.photos.values()) == 12
    assert sum(len(entry.photos) for entry in manifest.left_out) == 2


def test_an_existing_target_is_refused_and_untouched(photos, prepare):
    source = photos(a=4, b=4)
    path, _ = prepare(source)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(DataError, match="choose another name or remove the folder"):
        prepare(source)
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "got no folder"),
        ({"a": 5}, "two or more folders, one a class, got 1"),
        ({"a": 5, "b": 0, "c": 0}, "got none in b, c"),
        ({"a": 5, "b": 1}, "expected b in train and in a test split, got 1 in 1 groups"),
    ],
)
def test_a_folder_without_enough_is_refused(photos, prepare, classes, message, tmp_path):
    with pytest.raises(DataError, match=message):
        prepare(photos(**classes))
    assert not list((tmp_path / "data").iterdir())


def test_photos_of_a_fixed_camera_can_be_divided(photos, prepare):
    source = photos(a=5, b=1)
    belt = np.asarray(Image.open(source / "b" / "000.png").convert("RGB")).copy()
    for number in range(6):
        belt[number, number] ^= 255
        Image.fromarray(belt).save(source / "b" / f"belt{number}.png")
    with pytest.raises(DataError, match=r"got 7 in 1 groups .*--exact-duplicates"):
        prepare(source)
    _, manifest = prepare(source, exact_duplicates=True)
    assert manifest.near_duplicates == 0
    assert sum(manifest.photos.values()) == 12


def test_a_class_of_near_duplicates_only_is_refused(photos, prepare):
    source = photos(a=5, b=1)
    Image.open(source / "b" / "000.png").transpose(Image.Transpose.ROTATE_180).save(source / "b" / "turned.png")
    with pytest.raises(DataError, match=r"got 2 in 1 groups of near-duplicates \(.*\); add photos of b"):
        prepare(source)


@pytest.mark.parametrize(
    "settings",
    [
        {"shares": (0.6, 0.1, 0.1, 0.1)},
        {"shares": (0.0, 0.4, 0.3, 0.3)},
        {"shares": (0.9, 0.1, 0, 0)},
        {"longest_side": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(photos, prepare, settings):
    with pytest.raises(UsageError, match="expected"):
        prepare(photos(a=4, b=4), **settings)


@pytest.mark.photos
def test_trashnet_is_prepared_whole_with_its_near_duplicates_together(trashnet, tmp_path):
    manifest = prepare_folder(trashnet, tmp_path / "t", "t", PrepareSettings(), silent)
    assert manifest.classes == ("cardboard", "glass", "metal", "paper", "plastic", "trash")
    assert sum(manifest.photos.values()) == 2521
    assert left_out(manifest) == {
        "outside the class folders": ("LICENSE",),
        "the same file lies in two classes": (
            *("glass/glass115.jpg", "glass/glass176.jpg", "glass/glass389.jpg"),
            *("metal/metal91.jpg", "plastic/plastic152.jpg", "plastic/plastic332.jpg"),
        ),
    }
    assert 70 <= manifest.near_duplicates <= 100  # its README counts 88, those six among them
    split = where(tmp_path / "t")
    for one, other in [("paper185", "paper390"), ("metal141", "metal390"), ("paper68", "paper74")]:
        folder = one.rstrip("0123456789")
        assert split[f"{folder}/{one}.jpg"] == split[f"{folder}/{other}.jpg"]
