"""A COCO file in the making, for the tests of the road and of the file."""

import json

import pytest
from PIL import Image

from harness.data.coco import prepare_coco
from harness.data.preparation import PrepareSettings
from harness.data.store import open_store
from harness.errors import DataError
from tests.data.conftest import blocks, silent

AB = {"A": ("a",), "B": ("b", "bb")}
BOXES = ([5, 5, 30, 20], [45, 30, 25, 25])


class Coco:
    """A COCO file in the making: `photo(...)` adds a photo and its boxes."""

    def __init__(self, folder):
        self.folder, self.images = folder, folder / "images"
        self.images.mkdir(parents=True)
        self.content = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 7, "name": "a"}, {"id": 3, "name": "b"}, {"id": 5, "name": "other"}],
        }

    def photo(self, *boxes, name=None, picture=None, image=None, **save):
        """Boxes: (category, [x, y, w, h]) or with further keys. `image`: further keys of its entry."""
        number = len(self.content["images"])
        name = name or f"{number:03}.png"
        picture = Image.fromarray(blocks(number)) if picture is None else picture
        if picture is not False:
            (self.images / name).parent.mkdir(exist_ok=True)
            picture.save(self.images / name, **save)
        size = {"width": picture.width, "height": picture.height} if picture else {"width": 80, "height": 60}
        self.content["images"].append({"id": 100 + number, "file_name": name, **size, **(image or {})})
        for category, box, *more in boxes:
            entry = {"id": len(self.content["annotations"]), "image_id": 100 + number, "category_id": category}
            self.content["annotations"].append(entry | {"bbox": box} | (more[0] if more else {}))
        return self

    def several(self, number, **options):
        for _ in range(number):
            self.photo((7, BOXES[0]), (3, BOXES[1]), **options)
        return self

    def write(self):
        path = self.folder / "annotations.json"
        path.write_text(json.dumps(self.content))
        return path

    def prepare(self, name="set", mapping=AB, settings=None, **options):
        """The open store."""
        target = self.folder / "data" / name
        settings = settings or PrepareSettings(**options)
        prepare_coco(self.write(), self.images, target, name, mapping, settings, silent)
        return open_store(target)

    def error(self, name="refused", **options):
        with pytest.raises(DataError) as caught:
            self.prepare(name, **options)
        assert "\n" not in caught.value.message
        assert not list((self.folder / "data").glob(f"*{name}*"))
        return caught.value.message
