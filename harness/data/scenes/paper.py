"""Paper: crumpled and folded sheets, paper balls, corrugated cardboard. Matt, with straight creases."""

import numpy as np
from numpy.typing import NDArray

from harness.data.scenes.art import Decor, stretched
from harness.data.scenes.geometry import (
    Material,
    Model,
    Patch,
    box_sides,
    moved,
    random_warp,
    sheet,
    steps,
    turned,
    warped,
)
from harness.data.scenes.noise import Plane, Points, Rng, facets, fractal, noise

MATT = Material(wrap=0.12)


def _fibrous(rng: Rng, shape: tuple[int, int]) -> Plane:
    return (1 + 0.035 * noise(rng, shape, 2.0) + 0.03 * noise(rng, shape, shape[0] / 6))[..., None].astype(np.float32)


def _outline(rng: Rng, points: Points, wide: float, torn: float) -> NDArray[np.bool_]:
    """A rectangle, at times with a torn edge or a missing corner; sides in object units."""
    x, y = points[..., 0] * 2 / wide, points[..., 1] * 2
    shape = x.shape
    inside = np.maximum(np.abs(x), np.abs(y)) < 0.97
    rough = 0.05 * fractal(rng, shape, shape[0] / 5, 5)
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 3))):
        inside &= np.cos(angle) * x + np.sin(angle) * y + rough < rng.uniform(0.75, 1.3) - 0.25 * torn
    return np.asarray(inside, dtype=np.bool_)


def crumpled(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A sheet that was crumpled and has half opened again."""
    wide = rng.uniform(0.75, 1.45)
    shape = (steps(1.1, pixels), steps(1.1 * wide, pixels))
    much = rng.uniform(0.8, 1.6)
    height = 0.085 * facets(rng, shape, 22) + 0.045 * facets(rng, shape, 90) + 0.012 * facets(rng, shape, 350)
    points = sheet(wide, 1.0, (height * much).astype(np.float32))
    inside = _outline(rng, points, wide, wear)
    parts = [Patch(points, stretched(decor.art, shape) * _fibrous(rng, shape), MATT, inside)]
    return warped(parts, random_warp(rng, 0.5, 4, 5.0))


def folded(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A leaflet, receipt or napkin: panels that meet in straight folds, a lifted flap."""
    wide = rng.uniform(0.5, 1.6)
    shape = (steps(1.1, pixels), steps(1.1 * wide, pixels))
    points = sheet(wide, 1.0, np.zeros(shape, np.float32))
    x, y = points[..., 0], points[..., 1]
    square = rng.random() < 0.6
    for _ in range(int(rng.integers(1, 4))):
        angle = rng.integers(0, 2) * np.pi / 2 if square else rng.uniform(0, np.pi)
        away = np.abs(np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.3, 0.3))
        points[..., 2] += (rng.uniform(0.1, 0.75) * rng.choice([-1, 1]) * away).astype(np.float32)
    curl = np.cos(a := rng.uniform(0, np.pi)) * x + np.sin(a) * y
    points[..., 2] += np.float32(rng.uniform(-0.7, 0.9)) * curl**2
    points[..., 2] += ((0.02 * facets(rng, shape, 40) + 0.008 * facets(rng, shape, 200)) * (0.4 + wear)).astype(
        np.float32
    )
    inside = _outline(rng, points, wide, 0.4 * wear)
    return (Patch(points, stretched(decor.art, shape) * _fibrous(rng, shape), MATT, inside),)


def ball(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """Paper crumpled into a ball."""
    del wear  # it could hardly be more so
    points = turned([(np.sin(a) * 0.5, np.cos(a) * 0.5) for a in np.linspace(0.02, np.pi - 0.02, 40)], pixels)
    shape = points.shape[:2]
    bumps = 0.14 * facets(rng, shape, 40, around=True) + 0.05 * facets(rng, shape, 160, around=True)
    points = points * (1 + np.clip(bumps, -0.4, 0.45))[..., None]
    parts = [Patch(points, stretched(decor.art, shape) * _fibrous(rng, shape), MATT)]
    stretch = np.diag(rng.uniform((0.8, 0.7, 0.5), (1.2, 1.0, 0.9)).astype(np.float32))
    return moved(warped(parts, random_warp(rng, 0.25)), stretch)


def cardboard(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A piece of corrugated board: flutes show on two edges and, pressed through, on the face."""
    wide, thick = rng.uniform(0.8, 1.6), rng.uniform(0.04, 0.08)
    pitch = 2 * np.pi / (thick * rng.uniform(0.9, 1.4))
    warp = random_warp(rng, 0.12 + 0.25 * wear * rng.random(), 3, 4.0)
    crease = (rng.uniform(-0.25, 0.25) * wide, rng.uniform(-0.1, 0.7) * (rng.random() < 0.6))
    cut = (rng.uniform(0, 2 * np.pi), rng.uniform(0.42, 0.7))
    parts = []
    for number, points in enumerate(box_sides(wide, 1.0, thick, pixels)):
        shape = points.shape[:2]
        albedo = stretched(decor.art, shape) * _fibrous(rng, shape)
        x, y, z = (points[..., axis].copy() for axis in range(3))
        if number in (0, 2):
            wave = np.sin(x * pitch) * thick * 0.33 + thick / 2
            albedo = albedo * np.where(np.abs(z - wave) < 0.2 * thick, np.float32(1), np.float32(0.3))[..., None]
        elif number >= 4:
            points[..., 2] += (thick * 0.14 * np.sin(x * pitch)).astype(np.float32)
        inside = np.cos(cut[0]) * x + np.sin(cut[0]) * y + 0.02 * noise(rng, shape, shape[0] / 8) < cut[1]
        points[..., 2] += (crease[1] * np.maximum(x - crease[0], 0)).astype(np.float32)
        parts.append(Patch(points, albedo.astype(np.float32), MATT, inside))
    return warped(parts, warp)


SHAPES = ((0.5, crumpled), (0.1, folded), (0.18, ball), (0.22, cardboard))
