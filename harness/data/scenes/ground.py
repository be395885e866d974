"""What the rubbish lies on: grass, sand, asphalt, fallen leaves, soil, gravel, paving. Linear light, unlit."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from harness.data.scenes.art import GAMMA, TO_LINEAR
from harness.data.scenes.noise import Colours, Plane, Rng, fractal, noise, smooth_step

Shape = tuple[int, int]


class Ground(NamedTuple):
    """`albedo`: (height, width, 3) linear; `relief`: (height, width) in pixels, up is positive."""

    albedo: Colours
    relief: Plane


def draw_ground(rng: Rng, shape: Shape, scale: float) -> Ground:
    """A ground of random kind; `scale` is the size of its grain, 1 for the usual distance."""
    names = tuple(GROUNDS)
    kind = names[int(rng.choice(len(names), p=SHARES))]
    albedo, relief = GROUNDS[kind](rng, shape, scale)
    stains = 1 + 0.1 * fractal(rng, shape, shape[0] / 2.5, 3)[..., None]
    return Ground(np.clip(albedo * stains, 0.004, 1).astype(np.float32), relief.astype(np.float32))


def _tone(rng: Rng, low: tuple[float, float, float], high: tuple[float, float, float]) -> Colours:
    """A screen colour between two, as linear light."""
    share = rng.random() + rng.normal(0, 0.035, 3)
    mixed = np.array(low) + (np.array(high) - np.array(low)) * share
    return np.asarray(np.clip(mixed, 0.02, 1) ** GAMMA, dtype=np.float32)


def _linear(picture: Image.Image) -> Colours:
    return np.asarray(TO_LINEAR[np.asarray(picture)], dtype=np.float32)


def _sand(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    base = _tone(rng, (0.5, 0.42, 0.32), (0.86, 0.79, 0.66))
    dunes = fractal(rng, shape, 45 * scale, 5)
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    phase = (np.cos(angle) * x + np.sin(angle) * y) / (9 * scale) + 1.2 * noise(rng, shape, 30 * scale)
    ripples = np.sin(phase) * rng.uniform(0, 1.2)
    grain = rng.standard_normal(shape, dtype=np.float32)
    speckle = 1 + 0.06 * grain + 0.4 * (rng.random(shape) < 0.006) - 0.45 * (rng.random(shape) < 0.008)
    return base * speckle[..., None], 3.2 * dunes + ripples + 0.22 * grain


def _asphalt(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    base = _tone(rng, (0.22, 0.22, 0.23), (0.55, 0.54, 0.52))
    stones = noise(rng, shape, 3.2 * scale) + 0.7 * noise(rng, shape, 1.7 * scale)
    light = smooth_step(stones, 0.7, 1.8)
    dark = smooth_step(-stones, 0.6, 1.6)
    albedo = base * (1 + rng.uniform(0.3, 1.2) * light - rng.uniform(0.2, 0.6) * dark)[..., None]
    crack = np.abs(fractal(rng, shape, 120 * scale, 5)) < 0.03 * (rng.random() < 0.5)
    albedo *= np.where(gaussian_filter(crack.astype(np.float32), 0.7) > 0.3, 0.35, 1)[..., None]
    return albedo, rng.uniform(0.3, 1.0) * stones - 2.0 * crack


def _soil(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    base = _tone(rng, (0.23, 0.17, 0.12), (0.55, 0.43, 0.32))
    clods = fractal(rng, shape, 14 * scale, 4) + 0.7 * np.abs(fractal(rng, shape, 26 * scale, 4))
    albedo = base * (1 + 0.2 * clods)[..., None]
    picture = Image.fromarray((np.clip(albedo, 0, 1) ** (1 / GAMMA) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(10, 90))):  # roots, needles, straw
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        dx, dy = rng.normal(0, 9 * scale, 2)
        tone = rng.uniform(0.25, 0.75)
        ink = (int(255 * tone), int(225 * tone), int(170 * tone))
        draw.line([(x, y), (x + dx, y + dy), (x + 1.8 * dx, y + 2.1 * dy)], fill=ink, width=1)
    return _linear(picture), (2.6 * clods).astype(np.float32)


def _gravel(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    size = rng.uniform(6, 15) * scale
    count = int(shape[0] * shape[1] / size**2)
    places = rng.uniform((-9, -9), (shape[0] + 9, shape[1] + 9), (count, 2))
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    query = np.stack([y + 0.15 * size * noise(rng, shape, size / 2), x], axis=-1)
    distance, index = cKDTree(places).query(query, k=2)
    round_ = np.clip((distance[..., 1] - distance[..., 0]) / size * 2.2, 0, 1)
    base = _tone(rng, (0.36, 0.34, 0.32), (0.68, 0.65, 0.6))
    tones = rng.uniform(0.55, 1.35, (count, 1)) * (1 + rng.normal(0, 0.05, (count, 3)))
    albedo = base * tones[index[..., 0]] * (0.25 + 0.75 * np.sqrt(round_))[..., None]
    albedo = albedo * (1 + 0.08 * noise(rng, shape, 1.5))[..., None]
    return albedo, (size * 0.4 * np.sqrt(round_)).astype(np.float32)


def _paving(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    base = _tone(rng, (0.4, 0.36, 0.33), (0.75, 0.72, 0.68))
    high, wide = rng.uniform(40, 110) * scale, rng.uniform(60, 200) * scale
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(-0.5, 0.5)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    row = np.floor(across / high)
    column = np.floor(along / wide + 0.5 * (row % 2))
    tone = 1 + 0.12 * np.sin(row * 12.9 + column * 78.2)
    joint = np.minimum(across / high % 1, 1 - across / high % 1) * high
    joint = np.minimum(
        joint, np.minimum((along / wide + 0.5 * (row % 2)) % 1, 1 - (along / wide + 0.5 * (row % 2)) % 1) * wide
    )
    gap = smooth_step((joint + 0.5 * noise(rng, shape, 4)).astype(np.float32), 0.6, 2.4)
    rough = fractal(rng, shape, 9 * scale, 4)
    albedo = base * (tone * (1 + 0.09 * rough) * (0.3 + 0.7 * gap))[..., None]
    return albedo, 2.2 * gap + 0.8 * rough


def _grass(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    """Blades drawn from the darkest and deepest to the brightest."""
    green = rng.uniform(0.38, 0.56)
    base = np.array([green * rng.uniform(0.7, 0.98), green, green * rng.uniform(0.42, 0.68)])
    dry = np.array([0.68, 0.6, 0.42])
    share_dry = rng.uniform(0.02, 0.55)
    picture = Image.new("RGB", (shape[1], shape[0]), tuple(int(75 * value) for value in base))
    draw = ImageDraw.Draw(picture)
    count = int(shape[0] * shape[1] / (26 * scale))
    x, y = rng.uniform(-5, shape[1] + 5, count), rng.uniform(0, shape[0] + 25, count)
    lean, length = rng.normal(0, 0.55, count), rng.uniform(9, 34, count) * scale
    widths = np.where(rng.random(count) < 0.25, 2, 1)
    depth = np.linspace(0.4, 1.05, count) * rng.uniform(0.75, 1.25, count)
    colours = np.where(rng.random((count, 1)) < share_dry, dry, base) + rng.normal(0, 0.04, (count, 3))
    colours = (np.clip(colours * depth[:, None], 0, 1) * 255).astype(int)
    middle, tip = lean * length * 0.4, lean * length
    points = np.stack([x, y, x + middle, y - length * 0.6, x + tip, y - length * rng.uniform(0.6, 1, count)], axis=1)
    for line, colour, width in zip(points.tolist(), colours.tolist(), widths.tolist(), strict=True):
        draw.line(line, fill=tuple(colour), width=width)
    # Pillow's lines are jagged
    patches = 1 + 0.22 * np.clip(fractal(rng, shape, 40, 2), -2, 2)
    albedo = gaussian_filter(_linear(picture), (0.6, 0.6, 0)) * patches[..., None]
    return albedo, 0.5 * noise(rng, shape, 6)


def leaf_outline(rng: Rng, x: float, y: float, size: float) -> list[tuple[float, float]]:
    """A pointed or lobed leaf as a polygon, its stalk first."""
    along = np.concatenate([np.linspace(0, 1, 12), np.linspace(1, 0, 12)])
    side = np.repeat([1.0, -1.0], 12)
    lobes = 1 + rng.uniform(0, 0.45) * np.cos(along * np.pi * 2 * rng.integers(2, 5))
    out = side * np.sin(np.pi * along**0.8) * rng.uniform(0.22, 0.42) * lobes
    angle, foreshortened = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1)
    turn_x = np.cos(angle) * along - np.sin(angle) * out
    turn_y = np.sin(angle) * along + np.cos(angle) * out
    return [(float(x + size * a), float(y + size * b * foreshortened)) for a, b in zip(turn_x, turn_y, strict=True)]


def leaf_colour(rng: Rng) -> tuple[int, int, int]:
    """Mostly brown and ochre, some red, yellow or green; screen values."""
    red, green, blue = rng.uniform(0.32, 0.72), rng.uniform(0.58, 0.9), rng.uniform(0.45, 0.75)
    if rng.random() < 0.2:
        red, green, blue = rng.uniform(0.35, 0.75), rng.uniform(0.45, 1.1), rng.uniform(0.35, 0.6)
    return int(255 * red), min(int(255 * red * green), 255), int(255 * red * green * blue)


def _leaves(rng: Rng, shape: Shape, scale: float) -> tuple[Colours, Plane]:
    """A litter of leaves, each with the shadow that it casts on those below."""
    picture = Image.new("RGB", (shape[1], shape[0]), (46, 36, 26))
    draw = ImageDraw.Draw(picture)
    size = rng.uniform(26, 56) * scale
    count = int(rng.uniform(3.5, 7) * shape[0] * shape[1] / size**2)
    for number in range(count):
        x, y = rng.uniform(-size, shape[1]), rng.uniform(-size, shape[0])
        outline = leaf_outline(rng, x, y, size * rng.uniform(0.6, 1.3))
        depth = 0.45 + 0.55 * number / count
        colour = tuple(int(value * depth) for value in leaf_colour(rng))
        draw.polygon([(a + 2, b + 2) for a, b in outline], fill=(24, 18, 13))
        draw.polygon(outline, fill=colour)
        vein = tuple(min(255, int(value * 1.25) + 12) for value in colour)
        draw.line([outline[0], outline[11]], fill=vein, width=1)
        for k in (3, 6, 8):
            stem = (
                outline[0][0] + (outline[11][0] - outline[0][0]) * k / 14,
                outline[0][1] + (outline[11][1] - outline[0][1]) * k / 14,
            )
            draw.line([outline[k], stem], fill=vein)
            draw.line([outline[23 - k], stem], fill=vein)
    relief = 1.6 * noise(rng, shape, 8 * scale)
    return _linear(picture) * (1 + 0.1 * noise(rng, shape, 3))[..., None], relief


GROUNDS: dict[str, Callable[[Rng, Shape, float], tuple[Colours, Plane]]] = {
    "grass": _grass,
    "sand": _sand,
    "asphalt": _asphalt,
    "leaves": _leaves,
    "soil": _soil,
    "gravel": _gravel,
    "paving": _paving,
}
SHARES = (0.22, 0.17, 0.17, 0.14, 0.12, 0.09, 0.09)
