"""Scenes rendered on all cores and written as a COCO data set: images/ and annotations.json."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.data.pool import on_all_cores
from harness.data.scenes.camera import jpeg
from harness.data.scenes.compose import CLASSES, Scene, SceneObject, render_scene

Progress = Callable[[int, int], None]  # scenes done, scenes in all


class Rendered(NamedTuple):
    """A scene as it is written: the bytes of a JPEG, its size in pixels, its objects."""

    content: bytes
    height: int
    width: int
    objects: tuple[SceneObject, ...]


def encode_jpeg(scene: Scene, seed: int) -> bytes:
    """The scene's photo as JPEG; its quality is drawn from `seed`."""
    return jpeg(scene.pixels, seed)


def render_one(seed: int, difficulty: float) -> Rendered:
    """The scene of `seed`, rendered and encoded."""
    scene = render_scene(seed, difficulty)
    height, width = scene.pixels.shape[:2]
    return Rendered(encode_jpeg(scene, seed), height, width, scene.objects)


def write_scenes(
    folder: Path, seeds_by_split: Mapping[str, Sequence[int]], difficulty: float, progress: Progress
) -> None:
    """Render the scenes of each split below `folder`: images/<split>-<number>.jpg and annotations.json.

    Raises MachineError where a rendering process was killed.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    places = [(split, number) for split, seeds in seeds_by_split.items() for number in range(len(seeds))]
    seeds = [seed for split in seeds_by_split.values() for seed in split]
    render = partial(render_one, difficulty=difficulty)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for (split, number), rendered in zip(places, on_all_cores(render, seeds), strict=True):
        name = f"images/{split}-{number:04d}.jpg"
        (folder / name).write_bytes(rendered.content)
        image = len(images) + 1
        size = {"width": rendered.width, "height": rendered.height}
        images.append({"id": image, "file_name": name, **size, "split": split})
        annotations.extend(_annotations(rendered.objects, image, len(annotations) + 1))
        progress(len(images), len(seeds))
    categories = [{"id": number + 1, "name": name, "supercategory": "trash"} for number, name in enumerate(CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_bytes(msgspec.json.encode(content) + b"\n")


def _annotations(objects: Iterable[SceneObject], image: int, first: int) -> Generator[dict[str, object], None, None]:
    for number, (label, box) in enumerate(objects):
        yield {
            "id": first + number,
            "image_id": image,
            "category_id": label + 1,
            "bbox": list(box),
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
