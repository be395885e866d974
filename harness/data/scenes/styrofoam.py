"""Styrofoam: blocks, broken lumps, trays and cups of pressed beads. Matt, thick, with ragged edges."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.scenes.art import Decor, flat, stretched
from harness.data.scenes.geometry import (
    Material,
    Model,
    Patch,
    Warp,
    box_sides,
    moved,
    random_warp,
    rotation,
    sheet,
    steps,
    turned,
    warped,
)
from harness.data.scenes.noise import Points, Rng, facets, fractal, smooth_step

FOAM = Material(wrap=0.35, beads=0.06)


def _foam(rng: Rng) -> Material:
    return FOAM._replace(beads=rng.uniform(0.07, 0.11))


class Break(NamedTuple):
    """A rough fracture: nothing of the object is left beyond a plane."""

    direction: NDArray[np.float32]  # (3,) unit normal of the plane
    reach: float  # its distance from 0, object units
    rough: Warp

    def __call__(self, points: Points) -> Points:
        rough = (self.rough(points) - points)[..., 0]
        beyond = np.maximum(points @ self.direction - np.float32(self.reach) - rough, 0)
        return np.asarray(points - beyond[..., None] * self.direction, dtype=np.float32)


def random_break(rng: Rng, reach: float) -> Break:
    """A fracture in a random direction, steep rather than level."""
    direction = rng.normal(size=3) * (1, 1, 0.5)
    return Break((direction / np.linalg.norm(direction)).astype(np.float32), reach, random_warp(rng, 0.35, 7, 34.0))


def block(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A piece of packing foam: a box with one or two broken sides, at times a moulded step."""
    wide, tall = rng.uniform(0.8, 1.6), rng.uniform(0.15, 0.6)
    foam = _foam(rng)
    centre = np.array([0, 0, tall / 2], np.float32)
    breaks = [random_break(rng, rng.uniform(0.2, 0.5)) for _ in range(int(rng.integers(1, 3)))]
    step = (rng.uniform(-0.3, 0.3), rng.uniform(0.3, 0.7) * tall * (rng.random() < 0.45))
    parts = []
    for face in box_sides(wide, 1.0, tall, pixels):
        albedo = stretched(decor.art, face.shape[:2])
        points = face - centre
        points[..., 2] -= (step[1] * (points[..., 0] > step[0]) * (points[..., 2] > 0)).astype(np.float32)
        for cut in breaks:
            points = cut(points)
        parts.append(Patch(points, albedo, foam))
    return warped(parts, random_warp(rng, 0.03 + 0.05 * wear, 3, 4.0))


def lump(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A fragment broken off on all sides."""
    points = turned([(np.sin(a) * 0.5, np.cos(a) * 0.5) for a in np.linspace(0.02, np.pi - 0.02, 40)], pixels)
    shape = points.shape[:2]
    bumps = 0.13 * facets(rng, shape, 18, around=True) + 0.05 * fractal(rng, shape, shape[0] / 7, 3, around=True)
    points = points * (1 + np.clip(bumps, -0.35, 0.4))[..., None]
    cut = random_break(rng, rng.uniform(0.1, 0.3))
    parts = [Patch(cut(points), stretched(decor.art, shape), _foam(rng))]
    stretch = np.diag(rng.uniform((0.8, 0.6, 0.4), (1.4, 1.0, 0.8)).astype(np.float32))
    return moved(warped(parts, random_warp(rng, 0.1 + 0.1 * wear)), stretch)


def tray(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A food tray: a flat floor, sloping walls, a thick lip; often with a corner gone."""
    wide, deep = rng.uniform(1.0, 1.6), rng.uniform(0.12, 0.28)
    shape = (steps(1.25, pixels), steps(1.25 * wide, pixels))
    points = sheet(wide, 1.0, np.zeros(shape, np.float32))
    x, y = np.abs(points[..., 0]) * 2 / wide, np.abs(points[..., 1]) * 2
    power = rng.uniform(4, 9)
    edge = ((x**power + y**power) ** (1 / power)).astype(np.float32)
    wall = smooth_step(edge, rng.uniform(0.55, 0.68), 0.86)
    lip = smooth_step(edge, 0.92, 0.97)
    points[..., 2] = deep * wall - 0.4 * deep * lip
    inside = edge < 0.97
    if rng.random() < 0.35 + 0.3 * wear:
        angle = rng.uniform(0, 2 * np.pi)
        line = np.cos(angle) * points[..., 0] * 2 / wide + np.sin(angle) * points[..., 1] * 2
        inside &= line + 0.06 * fractal(rng, shape, shape[0] / 8, 4) < rng.uniform(0.5, 1.0)
    foam = _foam(rng)._replace(beads=rng.uniform(0.06, 0.085))
    thick = np.array([0, 0, 0.05], np.float32)
    albedo = stretched(decor.art, shape)
    parts = [Patch(points - thick * np.float32(k / 4), albedo, foam, inside) for k in range(5)]
    model = warped(parts, random_warp(rng, 0.04 + 0.1 * wear, 3, 4.0))
    return moved(model, rotation(0, np.pi * (rng.random() < 0.35)))


def cup(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A foam cup: thick wall, blunt rim, often with a piece broken out."""
    tall, low = rng.uniform(0.8, 1.15), rng.uniform(0.3, 0.36)
    outer = turned([(0.4, tall), (0.49, tall), (0.5, tall - 0.06), (0.46, tall - 0.1), (low, 0.0), (0.0, 0.0)], pixels)
    inner = turned([(0.4, tall), (low - 0.07, 0.09), (0.0, 0.09)], pixels)
    foam = _foam(rng)._replace(beads=rng.uniform(0.06, 0.09))
    angle = rng.uniform(0, 2 * np.pi)
    broken = rng.random() < 0.3 + 0.4 * wear
    parts = []
    for points, albedo in ((outer, stretched(decor.art, outer.shape[:2])), (inner, flat(decor.plain, inner.shape[:2]))):
        rough = 0.08 * np.sin(points[..., 0] * 17) + 0.05 * np.sin(points[..., 1] * 31)
        side = np.cos(angle) * points[..., 0] + np.sin(angle) * points[..., 1]
        gone = (points[..., 2] + 0.9 * side + rough > tall * 1.15) & broken
        parts.append(Patch(points, albedo, foam, ~gone))
    model = warped(parts, random_warp(rng, 0.03 + 0.08 * wear, 3, 4.0))
    return moved(model, rotation(0, np.radians(rng.uniform(70, 100)) * (rng.random() < 0.6)))


SHAPES = ((0.4, block), (0.24, lump), (0.2, tray), (0.16, cup))
