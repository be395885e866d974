"""`harness prepare` as a user types it."""

import json

from tests.cli.conftest import Project


def test_a_corrupt_photo_is_named_and_can_be_skipped(project: Project) -> None:
    from tests.pictures import render_folder

    photos = project.root / "photos"
    render_folder(photos, 8, 0)
    (photos / "Metal" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    message = project.error("prepare", "folder", "photos", "--name", "mine", code=3)
    assert "Metal/broken.jpg" in message
    assert "--skip-bad" in message
    assert not (project.root / "data" / "mine").exists()
    said = project.run("prepare", "folder", "photos", "--name", "mine", "--skip-bad").stdout
    assert "left out: 1" in said
    assert "Metal/broken.jpg" in said


def coco(project: Project, category: str = "Drink can") -> tuple[str, ...]:
    """A COCO file of 10 photos with a can and a sheet of paper each; the options that name it and its photos."""
    from PIL import Image

    from tests.pictures import render_photo

    (project.root / "photos").mkdir()
    images, boxes = [], []
    for number in range(10):
        picture = Image.fromarray(render_photo(0, number)).resize((160, 120))
        picture.save(project.root / "photos" / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 160, "height": 120})
        for label in range(3):
            box = {"image_id": number, "category_id": label, "bbox": [50 * label, 10, 40, 60]}
            boxes.append({"id": len(boxes), **box})
    names = [category, "Normal paper", "Cigarette"]
    categories = [{"id": label, "name": name} for label, name in enumerate(names)]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (project.root / "coco.json").write_text(json.dumps(content))
    (project.root / "classes.toml").write_text(f'[classes]\nMetal = ["{category}"]\nPaper = ["Normal paper"]\n')
    return "prepare", "taco", "--annotations", "coco.json", "--images", "photos"


def test_a_coco_file_becomes_crops(project: Project) -> None:
    options = (*coco(project), "--classes", "classes.toml")
    said = project.run(*options).stdout
    assert "taco: 2 classes" in said
    table = [line.split() for line in said.splitlines()]
    assert next(int(cells[-1]) for cells in table if cells[:1] == ["Metal"]) == 10
    assert next(int(cells[-1]) for cells in table if cells[:2] == ["all", "crops"]) == 20
    assert "left out: 10, boxes of a category in no class: Cigarette 10" in said
    manifest = json.loads((project.root / "data" / "taco" / "manifest.json").read_text())
    assert (sum(manifest["crops"].values()), sum(manifest["photos"].values())) == (20, 10)
    assert "choose another name" in project.error(*options, code=3)
    (project.root / "photos" / "3.jpg").unlink()
    assert "got 1 bad: 3.jpg (no such file)" in project.error(*options, "--name", "two", code=3)
    assert "left out: 1, bad photo: no such file: 3.jpg" in project.run(*options, "--name", "two", "--skip-bad").stdout


def test_a_coco_file_of_other_categories_points_to_the_option(project: Project) -> None:
    options = coco(project, "boat")
    text = (project.root / "coco.json").read_text().replace("Normal paper", "car")
    (project.root / "coco.json").write_text(text)
    message = project.error(*options, code=3)
    assert "got boat, car, Cigarette" in message
    assert "--classes" in message
    (project.root / "classes.toml").write_text('[classes]\nA = ["boat"]\nB = ["car", "boat"]\n')
    assert "each category once, got boat twice" in project.error(*options, "--classes", "classes.toml", code=3)
    (project.root / "classes.toml").write_text('[classes]\nSea = ["boat", "shipp"]\nRoad = ["car"]\n')
    said = project.run(*options, "--classes", "classes.toml").stdout
    assert "\nSea " in said
    assert "\nRoad " in said
    assert "no category of that name in the annotations: shipp" in said
