"""A store gives pixels read-only and never the labels of its test splits; damage is named in one line."""

import json
import stat

import numpy as np
import pytest
from PIL import Image

from harness.data.answers import open_test_labels
from harness.data.store import SPLITS, open_store
from harness.data.writer import Crop, Origin, Spool, half_made, open_spool, source_digest, write_store
from harness.errors import DataError, MachineError


@pytest.fixture
def prepared(photos, prepare):
    path, _ = prepare(photos(Box=9, can=10))
    return path


def all_labels(store):
    return {split: store.training_labels(split) for split in ("train", "val")} | open_test_labels(store)


def test_each_crop_has_the_pixels_and_the_class_of_its_photo(prepared, tmp_path):
    store = open_store(prepared)
    seen = []
    for split, (labels, photos) in all_labels(store).items():
        crops = store.crops(split)
        assert len(crops) == len(labels) == len(photos) == store.manifest.crops[split]
        for crop, label, photo, size in zip(crops, labels, photos, crops.sizes, strict=True):
            assert np.array_equal(crop, np.asarray(Image.open(tmp_path / "source" / photo)))
            assert crop.shape[:2] == tuple(size)
            assert photo.startswith(store.manifest.classes[label] + "/")
        seen += photos
    assert len(seen) == len(set(seen)) == 19


def test_crops_are_mapped_read_only_and_end_where_the_split_ends(prepared):
    crops = open_store(prepared).crops("train")
    assert crops[0].base is not None
    with pytest.raises(ValueError, match="read-only"):
        crops[0][0, 0] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        crops[0].setflags(write=True)
    with pytest.raises(IndexError):
        crops[len(crops)]
    assert np.array_equal(crops[-1], crops[len(crops) - 1])


@pytest.mark.parametrize("split", ["test-public", "test-private", "nothing"])
def test_training_labels_never_opens_a_test_split(prepared, split):
    with pytest.raises(DataError, match="opened by evaluate alone"):
        open_store(prepared).training_labels(split)


def test_another_split_than_the_four_is_refused(prepared):
    with pytest.raises(DataError, match="expected a split of train, val"):
        open_store(prepared).crops("test")


def test_labels_and_photo_names_lie_in_a_folder_of_the_owner_alone(prepared):
    assert stat.S_IMODE((prepared / "labels").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (prepared / "labels").iterdir()} == {0o600}
    apart = b"".join(file.read_bytes() for split in SPLITS for file in [prepared / f"{split}.index.json"])
    apart += (prepared / "manifest.json").read_bytes()
    assert b".png" not in apart
    assert set(json.loads((prepared / "test-public.index.json").read_text())) == {"offset", "height", "width"}


def test_the_order_of_crops_says_nothing_of_the_class(photos, prepare):
    path, _ = prepare(photos(a=60, b=60))
    labels, names = open_store(path).training_labels("train")
    assert list(names) != sorted(names)
    changes = int((np.diff(labels) != 0).sum())
    assert 24 < changes < 48  # of 71 steps half, give or take three deviations; sorted by class it is 1


def test_a_missing_data_set_names_the_command_and_those_beside_it(prepared):
    with pytest.raises(DataError) as caught:
        open_store(prepared.parent / "other")
    assert "no data set other" in caught.value.message
    assert "`harness prepare folder DIR --name other`; beside it: set" in caught.value.message


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("train.pixels", cut, "expected .* bytes, got"),
        ("val.pixels", lambda p: p.unlink(), "No such file"),
        ("test-public.index.json", lambda p: p.unlink(), "No such file"),
        ("test-private.index.json", cut, "expected offset, height and width"),
        ("train.index.json", lambda p: p.write_text('{"offset":[],"height":[],"width":[]}'), "got 0"),
        ("val.index.json", lambda p: p.write_text('{"offset":[0],"height":[-1],"width":[1]}'), "got 1"),
        ("manifest.json", cut, "expected a manifest"),
        ("manifest.json", lambda p: p.write_text('{"schema":9,"new":1}'), "expected schema 1, got 9; update"),
        ("manifest.json", lambda p: p.write_text(p.read_text().replace('"val"', '"dev"')), "expected splits"),
        ("manifest.json", lambda p: p.write_text(p.read_text().replace('"seed"', '"sead"')), "sead"),
    ],
)
def test_a_damaged_data_set_is_refused_in_one_line(prepared, file, damage, message):
    damage(prepared / file)
    with pytest.raises(DataError, match=message) as caught:
        open_store(prepared)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", ['{"labels":[],"photos":[]}', "{", '{"labels":[7],"photos":["a"]}', None])
def test_damaged_labels_are_refused(prepared, content):
    path = prepared / "labels" / "train.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match="train"):
        open_store(prepared).training_labels("train")


ORIGIN = Origin(name="n", source="folder", classes=("a", "b"), seed=0, shares=(0.6, 0.1, 0.15, 0.15), longest_side=9)


def test_the_digest_is_that_of_the_bytes_and_not_of_what_a_decoder_made_of_them(tmp_path):
    manifests = []
    for value in (10, 11):
        with half_made(tmp_path / str(value)) as folder, open_spool(folder) as spool:
            crops = [
                Crop(f"{c}/{n}", f"{c}{n}", c, spool.append(bytes([value]) * 3), 1, 1) for c in (0, 1) for n in (0, 1)
            ]
            manifests.append(write_store(folder, spool, crops, ["train", "test-public"] * 2, ORIGIN))
    assert manifests[0].digest == manifests[1].digest
    assert (tmp_path / "10/train.pixels").read_bytes() != (tmp_path / "11/train.pixels").read_bytes()
    assert open_store(tmp_path / "10").crops("val").sizes.shape == (0, 2)


def test_the_digest_changes_with_a_photo_a_split_a_class_or_a_setting():
    crop = Crop("a/1", "00", 0, 0, 1, 1)
    origins = [
        ORIGIN,
        Origin(**{**{f: getattr(ORIGIN, f) for f in ORIGIN.__struct_fields__}, "classes": ("b", "a")}),
        Origin(**{**{f: getattr(ORIGIN, f) for f in ORIGIN.__struct_fields__}, "seed": 1}),
    ]
    digests = {source_digest([crop], ["train"], origin) for origin in origins}
    digests.add(source_digest([crop._replace(sha256="01")], ["train"], ORIGIN))
    digests.add(source_digest([crop], ["val"], ORIGIN))
    assert len(digests) == 5
    assert source_digest([crop._replace(offset=7)], ["train"], ORIGIN) in digests


def test_a_spool_gives_back_what_was_kept_in_any_order(tmp_path):
    with open_spool(tmp_path) as spool:
        assert isinstance(spool, Spool)
        first, second = spool.append(b"abc"), spool.append(b"defghi")
        assert spool.read(Crop("", "", 0, second, 1, 2)) == b"defghi"
        assert spool.read(Crop("", "", 0, first, 1, 1)) == b"abc"
    assert not list(tmp_path.iterdir())


def test_two_preparations_of_one_name_at_once_are_refused(tmp_path):
    with half_made(tmp_path / "a"):
        with pytest.raises(DataError, match="another process is preparing"), half_made(tmp_path / "a"):
            pass
        assert (tmp_path / ".a.partial").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_place_that_cannot_be_written_is_the_machines_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MachineError, match="choose or free another place"),
        half_made(tmp_path / "file" / "a"),
    ):
        pass
