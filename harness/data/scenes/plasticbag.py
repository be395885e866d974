"""Plastic bags and wrappers: thin film, translucent, with sharp wrinkles that glare."""

import numpy as np

from harness.data.scenes.art import Decor, flat, stretched
from harness.data.scenes.geometry import Material, Model, Patch, random_warp, sheet, steps, warped
from harness.data.scenes.noise import Colours, Plane, Rng, facets, fractal, noise, ridges, smooth_step

FILM = Material(diffuse=0.95, sheen=2.4, shininess=50, mirror=0.06, rough=0.15, opacity=0.4, wrap=0.7, bend=0.03)
PACKET = Material(diffuse=0.85, sheen=2.0, shininess=50, mirror=0.12, rough=0.1, wrap=0.1)


def _wrinkles(rng: Rng, shape: tuple[int, int], x: Plane, y: Plane) -> Plane:
    """Folds that run out from a few knots, and fine creases everywhere."""
    height = np.zeros(shape, np.float32)
    for _ in range(int(rng.integers(2, 5))):
        cx, cy = rng.uniform(-0.6, 0.6, 2)
        angle = np.arctan2(y - cy, x - cx) + 0.25 * noise(rng, shape, shape[0] / 4)
        reach = np.exp(-np.hypot(x - cx, y - cy) * rng.uniform(1.2, 2.5))
        pleats = np.abs(np.sin(angle * rng.integers(4, 10) + rng.uniform(0, 6)))
        height += (0.09 * reach * (1 - pleats)).astype(np.float32)
    height += 0.05 * ridges(rng, shape, shape[0] / rng.uniform(2.5, 5))
    height += 0.022 * ridges(rng, shape, (shape[0] / 6, shape[0] / 14)) + 0.02 * facets(rng, shape, 160)
    return height


def bag(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A carrier or bin bag, half inflated or flat, at times with its two handles."""
    del wear  # a bag is wrinkled anyway
    wide = rng.uniform(0.75, 1.5)
    shape = (steps(1.25, pixels), steps(1.25 * wide, pixels))
    u = np.linspace(-1, 1, shape[1], dtype=np.float32)[None] + np.zeros(shape, np.float32)
    v = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] + np.zeros(shape, np.float32)
    power = rng.uniform(1.8, 4.5)
    edge = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power) + 0.13 * fractal(rng, shape, shape[0] / 2.5, 4)
    inside = edge < 0.88
    if rng.random() < 0.4:  # two handles: a bay is cut out of the upper edge
        handle = rng.uniform(0.2, 0.35)
        inside &= ~((np.abs(u + 0.05 * noise(rng, shape, shape[0] / 3)) < handle) & (v < -0.3))
    puff = np.sqrt(np.clip(0.95 - edge, 0, 1)) * rng.uniform(0.1, 0.6)
    height = puff + _wrinkles(rng, shape, u, v) * rng.uniform(0.8, 1.5)
    opacity = float(
        rng.choice([rng.uniform(0.12, 0.3), rng.uniform(0.3, 0.6), rng.uniform(0.7, 0.95)], p=(0.35, 0.4, 0.25))
    )
    film = FILM._replace(opacity=opacity)
    warp = random_warp(rng, 0.25, 4, 5.0)
    lower = sheet(wide, 1.0, (0.02 * facets(rng, shape, 60)).astype(np.float32))
    shift = np.array(rng.uniform((-0.06, -0.06, 0), (0.06, 0.06, 0)), np.float32)
    parts = [
        Patch(sheet(wide, 1.0, height.astype(np.float32)), _printed(rng, shape, decor), film, inside),
        Patch(lower + shift, flat(decor.plain, shape), film, inside),
    ]
    return warped(parts, warp)


def _printed(rng: Rng, shape: tuple[int, int], decor: Decor) -> Colours:
    """The print, crumpled with the film."""
    side = min(shape)
    dx, dy = (0.05 * side * noise(rng, shape, side / 6) for _ in range(2))
    rows = np.clip(np.arange(shape[0])[:, None] + dy, 0, shape[0] - 1).astype(np.intp)
    columns = np.clip(np.arange(shape[1])[None] + dx, 0, shape[1] - 1).astype(np.intp)
    return stretched(decor.art, shape)[rows, columns]


def wrapper(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A crisp packet or the wrapper of a bar: a printed pillow with crimped ends."""
    wide = rng.uniform(0.9, 1.7)
    shape = (steps(1.1, pixels), steps(1.1 * wide, pixels))
    u = np.linspace(-1, 1, shape[1], dtype=np.float32)[None] + np.zeros(shape, np.float32)
    v = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] + np.zeros(shape, np.float32)
    crimped = smooth_step(np.abs(u), 0.8, 0.84)
    pillow = np.sqrt(np.clip((1 - u**2) * (1 - v**2), 0, 1)) * rng.uniform(0.1, 0.45)
    pull = np.sin(v * rng.uniform(8, 16) + 2 * noise(rng, shape, shape[0] / 3)) * smooth_step(np.abs(u), 0.25, 0.85)
    height = pillow * (1 - crimped) + 0.03 * pull * (1 - crimped) + 0.008 * crimped * np.sin(u * 140)
    height += _wrinkles(rng, shape, u, v) * rng.uniform(0.3, 1.0) * (1 - 0.8 * crimped)
    inside = np.abs(v) + 0.02 * noise(rng, shape, shape[0] / 5) < 0.95
    if rng.random() < 0.4:  # torn open
        inside &= u + 0.15 * fractal(rng, shape, shape[0] / 3) < rng.uniform(0.4, 0.9)
    film = PACKET._replace(opacity=0.97 if rng.random() < 0.7 else 0.5)
    parts = [Patch(sheet(wide, 1.0, height.astype(np.float32)), stretched(decor.art, shape), film, inside)]
    return warped(parts, random_warp(rng, 0.15 + 0.3 * wear, 4, 5.0))


SHAPES = ((0.74, bag), (0.26, wrapper))
