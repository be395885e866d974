"""What a COCO file or a table of classes must be: one line for each broken one."""

import json

import pytest

from harness.data.annotations import TACO_CLASSES, read_annotations, read_classes
from harness.data.coco import prepare_coco
from harness.data.preparation import PrepareSettings
from harness.errors import DataError
from tests.data.conftest import silent
from tests.data.making import AB


def broken(change):
    """What a change makes of a good file's content."""

    def make(content):
        change(content)
        return json.dumps(content)

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: "{", "expected a COCO file"),
        (lambda c: "[" * 100_000, "expected a COCO file"),
        (lambda c: "[]", "expected a COCO file"),
        (lambda c: json.dumps({"images": []}), "expected a key annotations"),
        (broken(lambda c: c["images"][0].pop("file_name")), "expected a key file_name"),
        (broken(lambda c: c["annotations"][0].update(bbox="x")), "bbox"),
        (broken(lambda c: c["images"][1].update(id=100)), "one image of each id, got 100 twice"),
        (broken(lambda c: c["categories"][1].update(id=7)), "one category of each id, got 7 twice"),
        (broken(lambda c: c["annotations"][3].update(image_id=1)), "annotation 3: .*got image_id 1,"),
        (broken(lambda c: c["annotations"][3].update(category_id=1)), "annotation 3: .*category_id 1"),
        (broken(lambda c: c["images"][0].update(file_name="../a.png")), "below the images folder, got '../a.png'"),
        (broken(lambda c: c["images"][0].update(file_name="/etc/a.png")), "below the images folder, got '/etc/a"),
        (broken(lambda c: c["images"][0].update(file_name="a/../../b")), "below the images folder"),
        (broken(lambda c: c["images"][0].update(file_name="a\0b")), "below the images folder"),
        (broken(lambda c: c["images"][0].update(file_name="\ud800")), "below the images folder"),
        (broken(lambda c: c["images"][0].update(file_name="")), "below the images folder"),
        (broken(lambda c: [i.update(split="dev") for i in c["images"]]), "expected a split of train, val.*got 'dev'"),
        (broken(lambda c: c["images"][1].update(file_name="000.png", width=9)), "listed twice with other sizes"),
        (broken(lambda c: [k.update(name=f"k{k['id']}") for k in c["categories"]]), "got k7, k3, k5;.*--classes"),
        (
            broken(lambda c: c.update(annotations=[])),
            "expected A in train and in a test split, got 0 .*left out .no box in a class is left",
        ),
    ],
)
def test_a_file_that_is_no_sound_coco_is_refused_in_one_line(coco, make, message):
    text = make(coco.several(4).content)
    (coco.folder / "annotations.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        prepare_coco(
            coco.folder / "annotations.json",
            coco.images,
            coco.folder / "data" / "s",
            "s",
            AB,
            PrepareSettings(),
            silent,
        )
    assert "\n" not in caught.value.message
    assert not list((coco.folder / "data").iterdir())


def test_a_box_is_taken_from_its_polygons_and_a_silent_image_has_the_size_that_it_has(coco):
    path = coco.several(4).write()
    boxed = read_annotations(path, AB)
    for its in coco.content["annotations"]:
        x, y, width, height = its.pop("bbox")
        its["segmentation"] = [[x, y, x + width, y], [x + width, y + height, x, y + height]]
    coco.content["annotations"][0]["segmentation"] = {"counts": [3, 4], "size": [80, 60]}
    for its in coco.content["images"]:
        its.pop("width")
        its["height"] = None
    around = read_annotations(coco.write(), AB)
    assert [photo.boxes for photo in around.photos[1:]] == [photo.boxes for photo in boxed.photos[1:]]
    assert around.left_out == (("000.png#0", "malformed: not four finite numbers with an area"),)
    assert sum(coco.prepare().manifest.crops.values()) == 7


def test_a_missing_file_or_folder_is_named_with_its_option(coco):
    path = coco.several(4).write()
    for annotations, images, option in ((path / "x", coco.images, "--annotations"), (path, path, "--images")):
        with pytest.raises(DataError, match=option):
            prepare_coco(annotations, images, coco.folder / "data" / "s", "s", AB, PrepareSettings(), silent)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected a key classes"),
        (b"\xff", "utf-8"),
        (b"[classes]\nA = 3\nB = []", "expected array"),
        (b"[classes]\nA = ['a']\n", "two or more classes, got 1"),
        (b"[classes]\nA = ['a']\nB = []", "categories for each class"),
        (b"[classes]\nA = ['a']\nB = ['b', 'a']", "each category once, got a twice"),
        (b"[classes]\nA = ['a']\nA = ['b']", "expected a table"),
        (b"[classes]\nA = ['a']\nB = ['b']\n[more]", "unknown key more"),
    ],
)
def test_a_malformed_table_of_classes_is_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "c.toml").write_bytes(text)
    with pytest.raises(DataError, match=message) as caught:
        read_classes(tmp_path / "c.toml")
    assert "\n" not in caught.value.message


def test_the_order_of_the_table_is_the_index_order(tmp_path):
    (tmp_path / "c.toml").write_text('[classes]\nZ = ["a"]\nB = ["b"]\nA = ["c"]\n')
    assert list(read_classes(tmp_path / "c.toml")) == ["Z", "B", "A"]
    with pytest.raises(DataError, match="--classes"):
        read_classes(tmp_path / "none.toml")


def test_tacos_table_has_the_six_classes_in_order():
    classes = read_classes(TACO_CLASSES)
    assert list(classes) == ["Metal", "Paper", "Paperpack", "Plastic", "Plasticbag", "Styrofoam"]
    assert [len(its) for its in classes.values()] == [8, 13, 2, 16, 6, 3]
