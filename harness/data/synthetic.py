"""`harness prepare synthetic`: the embedded data set, and others rendered like it.

Val and test scenes of the embedded set were rendered once (`make scenes`) and lie in embedded/ as JPEG files with a
COCO file, so that every machine judges on the same bytes. Training scenes are rendered where they are needed, from
seeds of their own; the data digest does not cover them. All go the road of photos, harness.data.coco.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.data.coco import prepare_coco
from harness.data.preparation import PrepareSettings, Progress
from harness.data.scenes import DEFAULT, write_scenes
from harness.data.store import Manifest, open_store

EMBEDDED = Path(__file__).parent / "embedded"
NAME = "embedded"
KIND = "synthetic"
JUDGED = ("val", "test-public", "test-private")
# Scenes of each split, about 2.6 crops a scene, and where its seeds begin. Twice as many to train on as a first plan
# said: networks that start from nothing need them, and they cost seconds.
SCENES = {"train": 1150, "val": 120, "test-public": 142, "test-private": 142}
FIRST_SEED = {"train": 0, "val": 1_000_000, "test-public": 2_000_000, "test-private": 3_000_000}


def render_embedded(folder: Path, splits: Sequence[str], progress: Progress) -> None:
    """Renders the embedded set's scenes of these splits below `folder`, as write_scenes does."""
    write_scenes(
        folder,
        {split: range(FIRST_SEED[split], FIRST_SEED[split] + SCENES[split]) for split in splits},
        DEFAULT,
        progress,
    )


def prepare_embedded(target: Path, name: str, training: bool, progress: Progress) -> Manifest:
    """The embedded data set as the store `target`; without `training` its train split is empty.

    The digest is the same either way. Raises what prepare_coco raises.
    """
    with tempfile.TemporaryDirectory(prefix="harness-scenes-") as temporary:
        scenes = Path(temporary)
        shutil.copytree(EMBEDDED, scenes, dirs_exist_ok=True)
        if training:
            render_embedded(scenes / "rendered", ("train",), progress)
            for photo in (scenes / "rendered" / "images").iterdir():
                photo.rename(scenes / "images" / photo.name)
            _merge(scenes / "annotations.json", scenes / "rendered" / "annotations.json")
        settings = PrepareSettings(digest_splits=JUDGED)
        return prepare_coco(scenes / "annotations.json", scenes, target, name, None, settings, progress, KIND)


def add_training_scenes(path: Path, progress: Progress) -> Manifest:
    """The embedded data set in the folder `path` once more, its train split filled; the old folder stays until then."""
    whole, old = path.with_name(f".{path.name}.whole"), path.with_name(f".{path.name}.old")
    for left in (whole, old):  # by one that was killed
        shutil.rmtree(left, ignore_errors=True)
    manifest = prepare_embedded(whole, open_store(path).manifest.name, True, progress)
    path.rename(old)
    whole.rename(path)
    shutil.rmtree(old)
    return manifest


def prepare_rendered(
    target: Path, name: str, scenes: int, seed: int, difficulty: float, progress: Progress
) -> Manifest:
    """A data set of `scenes` scenes of other seeds, split like photos."""
    first = (seed + 4) * 1_000_000  # beyond those of the embedded set
    with tempfile.TemporaryDirectory(prefix="harness-scenes-") as temporary:
        folder = Path(temporary)
        write_scenes(folder, {"train": range(first, first + scenes)}, difficulty, progress)
        content = msgspec.json.decode((folder / "annotations.json").read_bytes())
        for image in content["images"]:
            del image["split"]
        (folder / "annotations.json").write_bytes(msgspec.json.encode(content))
        settings = PrepareSettings(seed=seed)
        return prepare_coco(folder / "annotations.json", folder, target, name, None, settings, progress, KIND)


def _merge(into: Path, other: Path) -> None:
    """Adds the images and annotations of `other` to the COCO file `into`, under new ids."""
    content, more = (msgspec.json.decode(path.read_bytes()) for path in (into, other))
    images, boxes = _next_id(content["images"]), _next_id(content["annotations"])
    content["images"] += [image | {"id": image["id"] + images} for image in more["images"]]
    content["annotations"] += [
        box | {"id": box["id"] + boxes, "image_id": box["image_id"] + images} for box in more["annotations"]
    ]
    into.write_bytes(msgspec.json.encode(content))


def _next_id(entries: Sequence[dict[str, Any]]) -> int:
    return max((entry["id"] for entry in entries), default=0) + 1
