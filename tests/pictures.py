"""Quick pictures for tests: six materials told apart by texture and shading, hardly by colour.

The embedded data set (harness.data.scenes) looks better and takes a hundred times longer.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from harness.data.folder import prepare_folder
from harness.data.preparation import PrepareSettings
from harness.data.store import Manifest, Pixels

Plane = NDArray[np.float64]  # (height, width)

MATERIALS = ("Metal", "Paper", "Paperpack", "Plastic", "Plasticbag", "Styrofoam")
SIDES = (96, 200)  # pixels


def render_photo(material: int, seed: int) -> Pixels:
    """A photo (height, width, 3) of an object of MATERIALS[material]; each `seed` another one."""
    rng = np.random.default_rng([material, seed])
    height, width = (int(side) for side in rng.integers(*SIDES, size=2, endpoint=True))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    angle = rng.uniform(0, 2 * np.pi)
    size = min(height, width) * rng.uniform(0.32, 0.46)
    dy, dx = y - height * rng.uniform(0.42, 0.58), x - width * rng.uniform(0.42, 0.58)
    along, across = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    u, v = along / size, across / (size * rng.uniform(0.6, 1.0))
    shade, opacity = TEXTURES[MATERIALS[material]](rng, u, v)
    shade = shade.mean() + (shade - shade.mean()) * rng.uniform(0.25, 1.0)  # some photos show little of it
    power = rng.uniform(2.0, 6.0)  # from an ellipse to a box
    edge = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power) + 0.05 * _noise(rng, u.shape, 12)
    mask = gaussian_filter((edge < 1).astype(np.float64), 0.8) * opacity
    behind = _background(rng, height, width)
    shadow = gaussian_filter(np.roll(mask, (6, 4), (0, 1)), 5) * rng.uniform(0.1, 0.4)
    colour = rng.uniform(0.35, 0.85, size=3)
    photo = behind * (1 - shadow * (1 - mask))[..., None] * (1 - mask)[..., None]
    photo += mask[..., None] * (colour * np.minimum(shade, 1)[..., None] + np.maximum(shade - 1, 0)[..., None])
    photo = gaussian_filter(photo, (blur := rng.uniform(0, 1.3), blur, 0)) * rng.uniform(0.75, 1.1)
    photo += rng.normal(0, rng.uniform(0.005, 0.04), photo.shape)
    pixels: Pixels = (np.clip(photo, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def _noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float | tuple[float, float]) -> Plane:
    """Smooth noise of mean 0 and deviation 1; `scale` is its grain in pixels."""
    values = gaussian_filter(rng.normal(size=shape), scale, mode="wrap")
    smooth: Plane = (values - values.mean()) / values.std()
    return smooth


def _background(rng: np.random.Generator, height: int, width: int) -> Plane:
    tone = rng.uniform(0.3, 0.95, size=3)
    grain = _noise(rng, (height, width), rng.uniform(1, 25)) * rng.uniform(0, 0.1)
    slope = np.linspace(-1, 1, width) * rng.uniform(-0.15, 0.15) + np.linspace(-1, 1, height)[:, None] * 0.05
    return np.clip(tone + (grain + slope)[..., None], 0, 1)


# Each gives shade (1 is the plain colour, above 1 glares white) and opacity in [0, 1] at the places u and v,
# the object's own coordinates: -1 to 1 inside it.
def _metal(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """Brushed along u, with hard bright bands across a cylinder."""
    lines = rng.normal(size=256)
    brushed = map_coordinates(lines, [(v * 60 + u * 0.5) % 255], order=1)
    bands = np.cos(v * rng.uniform(5, 9) + rng.uniform(0, 6))
    return 0.8 + 0.14 * brushed + 0.45 * np.sign(bands) * np.abs(bands) ** 0.7, np.ones_like(u)


def _paper(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """Matt, with fibres and straight folds."""
    fibres = 0.05 * _noise(rng, u.shape, (0.6, 2.0)) + 0.05 * _noise(rng, u.shape, (2.0, 0.6))
    folds = np.zeros_like(u)
    for turn, place in zip(rng.uniform(0, np.pi, 4), rng.uniform(-0.6, 0.6, 4), strict=True):
        folds += 0.07 * np.sign(np.cos(turn) * u + np.sin(turn) * v - place)
    return 0.88 + fibres + folds, np.ones_like(u)


def _paperpack(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """A carton: two flat faces that meet in an edge, printed with rows of type and a block."""
    faces = np.where(v > rng.uniform(-0.2, 0.4), 0.68, 0.98)
    letters = rng.random((16, 48)) < 0.55
    row, column = ((v + 1.5) * 8).astype(int), ((u + 1.5) * 16).astype(int)
    printed = letters[row % 16, column % 48] & (((v + 1.5) * 8) % 1 < 0.5) & (np.abs(u) < 0.75)
    block = (np.abs(u - rng.uniform(-0.4, 0.4)) < 0.25) & (np.abs(v - rng.uniform(-0.4, 0.4)) < 0.25)
    return faces * np.where(printed, 0.5, 1.0) * np.where(block, 0.7, 1.0), np.ones_like(u)


def _plastic(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """Smooth and round, with one or two small soft highlights."""
    shade = 0.95 - 0.4 * (u**2 + v**2)
    for cu, cv in rng.uniform(-0.5, 0.5, size=(2, 2)):
        shade += 0.8 * np.exp(-((u - cu) ** 2 / 0.05 + (v - cv) ** 2 / 0.012))
    return shade, np.full_like(u, 0.97)


def _plasticbag(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """Translucent, with sharp bright wrinkles that run anyhow."""
    wrinkles = np.exp(-8 * np.abs(_noise(rng, u.shape, 5))) + np.exp(-8 * np.abs(_noise(rng, v.shape, 9)))
    return 0.8 + 0.5 * wrinkles, np.clip(0.5 + 0.35 * wrinkles, 0, 1)


def _styrofoam(rng: np.random.Generator, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """Matt beads pressed together, dark between them."""
    beads = rng.uniform(-1.5, 1.5, size=(420, 2))
    near = np.full(u.shape, np.inf)
    for bu, bv in beads:
        np.minimum(near, (u - bu) ** 2 + (v - bv) ** 2, out=near)
    return 1.02 - 0.3 * np.clip(np.sqrt(near) / 0.11, 0, 1) ** 3, np.ones_like(u)


TEXTURES: dict[str, Callable[[np.random.Generator, Plane, Plane], tuple[Plane, Plane]]] = {
    "Metal": _metal,
    "Paper": _paper,
    "Paperpack": _paperpack,
    "Plastic": _plastic,
    "Plasticbag": _plasticbag,
    "Styrofoam": _styrofoam,
}


def render_folder(target: Path, photos_per_class: int, seed: int) -> None:
    """Render `photos_per_class` JPEG photos a material into `target`, one folder a class."""
    for material, name in enumerate(MATERIALS):
        folder = target / name
        folder.mkdir(parents=True)
        for number in range(photos_per_class):
            own = np.random.SeedSequence([seed, material, number]).generate_state(1)[0]
            Image.fromarray(render_photo(material, int(own))).save(folder / f"{number:05}.jpg", quality=92)


def prepare_practice(target: Path, name: str, photos_per_class: int, seed: int = 0) -> Manifest:
    """Render photos and make them a store, as `prepare_folder` does."""
    with tempfile.TemporaryDirectory(prefix="harness-pictures-") as folder:
        render_folder(Path(folder), photos_per_class, seed)
        return prepare_folder(Path(folder), target, name, PrepareSettings(seed=seed), lambda *_: None)


def prepare_tinted(home: Path) -> Path:
    """A data set of coarse noise in which one channel, the class, is stronger than the others; its folder."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (home / "photos" / name).mkdir(parents=True)
        for number in range(30):
            noise = rng.integers(0, 160, (6, 8, 3), dtype=np.uint8)
            noise[..., channel] += 80
            photo = Image.fromarray(noise.repeat(8, axis=0).repeat(8, axis=1))
            photo.save(home / "photos" / name / f"{number}.png")
    settings = PrepareSettings(shares=(0.6, 0.2, 0.1, 0.1))
    prepare_folder(home / "photos", home / "tinted", "tinted", settings, lambda *_: None)
    return home / "tinted"
