"""What lies over the rubbish: leaves, blades of grass, twigs; each covers a part of it."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from harness.data.scenes.art import GAMMA
from harness.data.scenes.ground import leaf_colour, leaf_outline
from harness.data.scenes.noise import Colours, Plane, Rng

OVERSAMPLED = 2  # Pillow's lines have no smooth edge of their own
Box = tuple[float, float, float, float]


def draw_clutter(rng: Rng, shape: tuple[int, int], places: list[Box], amount: float) -> tuple[Colours, Plane] | None:
    """Things over some of the objects at `places` (x, y, width, height): colour (h, w, 3) and cover (h, w) 0 to 1.

    None where this scene has none.
    """
    layer = Image.new("RGBA", (shape[1] * OVERSAMPLED, shape[0] * OVERSAMPLED))
    draw = ImageDraw.Draw(layer)
    drawn = False
    for box in places:
        if rng.random() < amount:
            THINGS[int(rng.integers(len(THINGS)))](rng, draw, tuple(value * OVERSAMPLED for value in box))  # type: ignore[arg-type]
            drawn = True
    if not drawn:
        return None
    small = np.asarray(layer.reduce(OVERSAMPLED), dtype=np.float32) / np.float32(255)
    cover = np.asarray(small[..., 3], dtype=np.float32)
    # reduce() mixed the colour with the empty black around it
    colour = np.clip(small[..., :3] / np.maximum(cover, 0.05)[..., None], 0, 1)
    return np.asarray(colour**GAMMA, dtype=np.float32), cover


def lay_over(photo: Colours, layer: tuple[Colours, Plane], lit: Colours) -> Colours:
    """The layer and the shadow just below it, on a photo in linear light; `lit`: (3,) light on level ground."""
    colour, cover = layer
    shadow = gaussian_filter(np.roll(cover, (2, 2), (0, 1)), 1.6)
    photo = photo * (1 - 0.45 * shadow[..., None])
    return np.asarray(photo * (1 - cover[..., None]) + colour * lit * cover[..., None], dtype=np.float32)


def _leaf(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> None:
    x, y, wide, high = box
    size = np.sqrt(wide * high)
    for _ in range(int(rng.integers(1, 4))):
        colour = leaf_colour(rng) if rng.random() < 0.6 else (60, int(rng.integers(80, 140)), 40)
        outline = leaf_outline(rng, x + wide * rng.random(), y + high * rng.random(), size * rng.uniform(0.2, 0.42))
        draw.polygon(outline, fill=(*colour, 255))
        draw.line([outline[0], outline[11]], fill=(*(min(255, value + 40) for value in colour), 255), width=2)


def _blades(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> None:
    x, y, wide, high = box
    for _ in range(int(rng.integers(6, 26))):
        left, bottom = x + wide * rng.uniform(-0.1, 1.1), y + high * rng.uniform(0.75, 1.15)
        tall, lean = high * rng.uniform(0.15, 0.5), rng.normal() * 0.4
        tone = rng.uniform(0.5, 1.1)
        colour = (int(105 * tone), int(135 * tone), int(55 * tone), 255)
        tip = (left + lean * tall, bottom - tall)
        middle = (left + 0.3 * lean * tall, bottom - 0.6 * tall)
        draw.line([(left, bottom), middle, tip], fill=colour, width=int(rng.integers(2, 5)))


def _twig(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> None:
    x, y, wide, high = box
    angle, size = rng.uniform(0, 2 * np.pi), np.hypot(wide, high) * rng.uniform(0.5, 1.1)
    cx, cy = x + wide * rng.uniform(0.2, 0.8), y + high * rng.uniform(0.2, 0.8)
    steps = np.linspace(-0.5, 0.5, 7)
    points = [
        (
            float(cx + size * step * np.cos(angle) + rng.normal() * 3),
            float(cy + size * step * np.sin(angle) + rng.normal() * 3),
        )
        for step in steps
    ]
    tone = rng.uniform(0.5, 1.2)
    colour = (int(105 * tone), int(85 * tone), int(62 * tone), 255)
    draw.line(points, fill=colour, width=int(rng.integers(3, 8)), joint="curve")
    for point in points[2:5]:
        if rng.random() < 0.6:
            turn = angle + rng.choice([-0.7, 0.7])
            end = (point[0] + 0.2 * size * np.cos(turn), point[1] + 0.2 * size * np.sin(turn))
            draw.line([point, end], fill=colour, width=3)


THINGS = (_leaf, _blades, _twig)
