"""Small folders of photos that are unlike each other, made on disk."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.folder import PrepareSettings, prepare_folder
from harness.data.store import Manifest

REPO = Path(__file__).parents[2]


def blocks(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """A photo of random coloured blocks: no two seeds look alike. uint8 (height, width, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST))


def silent(done: int, total: int) -> None:
    """A progress bar that nobody sees."""


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Make a source folder: photos(can=8, box=8) writes that many PNG photos a class."""

    def make(where: str = "source", /, **classes: int) -> Path:
        for label, (name, count) in enumerate(classes.items()):
            (tmp_path / where / name).mkdir(parents=True)
            for number in range(count):
                side = {"height": 40 + number, "width": 50 + label}
                picture = Image.fromarray(blocks(1000 * label + number, **side))
                picture.save(tmp_path / where / name / f"{number:03}.png")
        return tmp_path / where

    return make


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., tuple[Path, Manifest]]:
    """Prepare a source folder in tmp_path/data/<name>: (store, manifest)."""

    def run(source: Path, name: str = "set", **settings: object) -> tuple[Path, Manifest]:
        target = tmp_path / "data" / name
        return target, prepare_folder(source, target, name, PrepareSettings(**settings), silent)  # type: ignore[arg-type]

    return run


def real(folder: str) -> Path:
    """A folder of real photos, or a skip that says where it was expected."""
    home = Path(os.environ.get("HARNESS_PHOTOS", REPO.parent / "shared" / "data"))
    if not (home / folder).is_dir():
        pytest.skip(f"no real photos in {home} (HARNESS_PHOTOS names their folder)")
    return home / folder


@pytest.fixture
def trashnet() -> Path:
    """The real TrashNet photos."""
    return real("trashnet")


@pytest.fixture
def taco() -> Path:
    """Real TACO photos."""
    return real("taco")


@pytest.fixture
def coco(tmp_path):
    """A COCO file in the making, empty."""
    from tests.data.making import Coco

    return Coco(tmp_path / "coco")
