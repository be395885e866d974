"""Surfaces as dense grids of points: turned profiles, boxes, sheets; and how they are bent and turned about."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.scenes.noise import Colours, Plane, Points, Rng

DENSITY = 1.05  # points a pixel: the z-buffer's 2x2 footprint then leaves no holes
LEAST = 12  # rows or columns of a grid


class Material(NamedTuple):
    """How a surface answers light; all but the exponents and `beads` are shares of 1."""

    diffuse: float = 1.0
    sheen: float = 0.0  # strength of the sun's highlight
    shininess: float = 20.0  # Blinn's exponent
    mirror: float = 0.0  # reflection of the surroundings seen head-on
    metal: float = 0.0  # how far reflections take the surface's colour
    rough: float = 1.0  # 0 reflects a sharp picture of the surroundings, 1 a blurred one
    opacity: float = 1.0
    wrap: float = 0.0  # light that comes through from the far side
    bend: float = 0.0  # how far the background is displaced behind it, in object sizes
    beads: float = 0.0  # diameter of foam beads in object units, 0 for none


class Patch(NamedTuple):
    """A grid of points (rows, columns, 3) in object units, its colours, and which of them exist."""

    points: Points
    albedo: Colours
    material: Material
    inside: NDArray[np.bool_] | None = None


Model = tuple[Patch, ...]


def steps(length: float, pixels: float) -> int:
    """Samples along `length` object units, where one unit is `pixels` long."""
    return max(LEAST, int(np.ceil(length * pixels * DENSITY)))


def turned(profile: Sequence[tuple[float, float]], pixels: float) -> Points:
    """The surface of revolution of a profile of (radius, z), top row first: (rows, columns, 3)."""
    corners = np.array(profile, dtype=np.float64)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    rows = steps(float(along[-1]), pixels)
    places = np.linspace(0, along[-1], rows)
    radius, height = (np.interp(places, along, corners[:, axis])[:, None] for axis in (0, 1))
    columns = steps(2 * np.pi * float(corners[:, 0].max()), pixels)
    angle = np.linspace(0, 2 * np.pi, columns)[None]
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle], axis=-1)
    return points.astype(np.float32)


def push_out(points: Points, amount: Plane) -> Points:
    """Points of a surface about the z axis moved away from it by `amount` times their radius."""
    moved = points.copy()
    moved[..., :2] *= (1 + amount)[..., None]
    return moved


def sheet(width: float, depth: float, height: Plane) -> Points:
    """A height field over a rectangle centred at 0: x in ±width / 2, y in ±depth / 2."""
    rows, columns = height.shape
    x = np.broadcast_to(np.linspace(-width / 2, width / 2, columns, dtype=np.float32), height.shape)
    y = np.broadcast_to(np.linspace(depth / 2, -depth / 2, rows, dtype=np.float32)[:, None], height.shape)
    return np.stack([x, y, height], axis=-1)


def quad(corners: Sequence[Sequence[float]], pixels: float) -> Points:
    """The surface between four corners: top left, top right, bottom left, bottom right."""
    top_left, top_right, bottom_left, bottom_right = (np.array(corner, dtype=np.float64) for corner in corners)
    wide = max(np.linalg.norm(top_right - top_left), np.linalg.norm(bottom_right - bottom_left))
    high = max(np.linalg.norm(bottom_left - top_left), np.linalg.norm(bottom_right - top_right))
    down = np.linspace(0, 1, steps(float(high), pixels))[:, None, None]
    across = np.linspace(0, 1, steps(float(wide), pixels))[None, :, None]
    upper = top_left + (top_right - top_left) * across
    lower = bottom_left + (bottom_right - bottom_left) * across
    return (upper + (lower - upper) * down).astype(np.float32)


def box_sides(width: float, depth: float, height: float, pixels: float) -> list[Points]:
    """Four sides, top and bottom of a box that stands on z = 0, centred; rows run downwards on the sides."""
    x, y, z = width / 2, depth / 2, height
    ring = [(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)]
    sides = [quad([(*one, z), (*two, z), (*one, 0), (*two, 0)], pixels) for one, two in pairwise(ring)]
    top = quad([(-x, y, z), (x, y, z), (-x, -y, z), (x, -y, z)], pixels)
    bottom = quad([(-x, -y, 0), (x, -y, 0), (-x, y, 0), (x, y, 0)], pixels)
    return [*sides, top, bottom]


class Warp(NamedTuple):
    """A smooth bending of space by a few waves, so that patches which meet still meet afterwards."""

    waves: NDArray[np.float32]  # (waves, 3), radians an object unit
    phases: NDArray[np.float32]  # (waves,)
    shifts: NDArray[np.float32]  # (waves, 3), object units

    def __call__(self, points: Points) -> Points:
        bent = points.copy()
        for wave, phase, shift in zip(self.waves, self.phases, self.shifts, strict=True):
            bent += np.sin(points @ wave + phase)[..., None] * shift
        return bent


def random_warp(rng: Rng, strength: float, waves: int = 5, fastest: float = 9.0) -> Warp:
    """Waves of random direction; the slow ones are the strong ones."""
    speed = np.linspace(2.0, fastest, waves)[:, None]
    direction = rng.normal(size=(waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    shift = rng.normal(size=(waves, 3)) * strength / speed
    phases = rng.uniform(0, 2 * np.pi, waves)
    return Warp((direction * speed).astype(np.float32), phases.astype(np.float32), shift.astype(np.float32))


def rotation(axis: int, angle: float) -> NDArray[np.float32]:
    """The matrix that turns column vectors about axis 0 (x), 1 (y) or 2 (z); angle in radians."""
    one, two = (number for number in range(3) if number != axis)
    matrix = np.eye(3, dtype=np.float32)
    matrix[one, one] = matrix[two, two] = np.cos(angle)
    matrix[one, two] = -np.sin(angle)
    matrix[two, one] = np.sin(angle)
    return matrix


def moved(model: Sequence[Patch], matrix: NDArray[np.float32]) -> Model:
    """A model turned by `matrix`."""
    return tuple(patch._replace(points=patch.points @ matrix.T) for patch in model)


def warped(model: Sequence[Patch], warp: Warp) -> Model:
    """A model bent by `warp`."""
    return tuple(patch._replace(points=warp(patch.points)) for patch in model)


def normals_of(points: Points) -> Points:
    """Unit normals of a grid of points, of either sign: (rows, columns, 3)."""
    down, across = np.empty_like(points), np.empty_like(points)
    down[1:-1], down[0], down[-1] = points[2:] - points[:-2], points[1] - points[0], points[-1] - points[-2]
    across[:, 1:-1] = points[:, 2:] - points[:, :-2]
    across[:, 0], across[:, -1] = points[:, 1] - points[:, 0], points[:, -1] - points[:, -2]
    a, b, c = (down[..., axis] for axis in range(3))
    p, q, r = (across[..., axis] for axis in range(3))
    normal = np.stack([b * r - c * q, c * p - a * r, a * q - b * p], axis=-1)
    length = np.sqrt((normal * normal).sum(axis=-1, keepdims=True))
    unit: Points = normal / np.maximum(length, np.float32(1e-12))
    return unit
