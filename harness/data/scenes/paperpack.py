"""Paper packs: gable-top and brick cartons, paper cups. Coated board: flat faces, sharp edges, a dull sheen."""

import numpy as np

from harness.data.scenes.art import Decor, flat, stretched
from harness.data.scenes.geometry import (
    Material,
    Model,
    Patch,
    box_sides,
    moved,
    push_out,
    quad,
    random_warp,
    rotation,
    turned,
    warped,
)
from harness.data.scenes.noise import Points, Rng, facets

COATED = Material(sheen=0.22, shininess=14, mirror=0.07, rough=0.9)
INSIDE = Material(sheen=0.03, shininess=10)
TRIANGLE = 0.001  # length of a side that stands for a corner


def _buckled(rng: Rng, points: Points, amount: float) -> Points:
    """Board gives way in flat facets; edges stay where they are, so that faces still meet."""
    rows, columns = points.shape[:2]
    rise = np.minimum(np.linspace(0, 4, rows), np.linspace(4, 0, rows))[:, None]
    side = np.minimum(np.linspace(0, 4, columns), np.linspace(4, 0, columns))[None]
    hold = np.clip(np.minimum(rise, side), 0, 1)
    normal = np.cross(points[-1, 0] - points[0, 0], points[0, -1] - points[0, 0])
    normal /= max(float(np.linalg.norm(normal)), 1e-9)
    push = facets(rng, (rows, columns), 14) * hold * amount
    return np.asarray(points + push[..., None] * normal, dtype=np.float32)


def _lying(rng: Rng, model: Model, share: float) -> Model:
    if rng.random() < share:
        return moved(model, rotation(0, np.pi / 2) @ rotation(2, np.pi / 2 * float(rng.integers(4))))
    return model


def gable(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A milk carton: a box under a roof of two slopes and a fin."""
    tall, half, fin = rng.uniform(1.0, 1.7), 0.4, rng.uniform(0.1, 0.16)
    ridge = tall + rng.uniform(0.25, 0.4)
    walls = box_sides(2 * half, 2 * half, tall, pixels)
    faces = [*walls[:4], walls[5]]
    faces.append(quad([(-half, 0, ridge), (half, 0, ridge), (-half, -half, tall), (half, -half, tall)], pixels))
    faces.append(quad([(half, 0, ridge), (-half, 0, ridge), (half, half, tall), (-half, half, tall)], pixels))
    for sign in (-1, 1):  # the gable ends are folded inwards
        tip = (sign * (half - 0.22), 0.0, ridge - 0.04)
        for y in (-half, half):
            corner, top = (sign * half, y, tall), (sign * half, 0.0, ridge)
            faces.append(quad([tip, top, (sign * (half - 0.02), 0.0, tall), corner], pixels))
    fin_top = ridge + fin
    faces.append(quad([(-half, 0.01, fin_top), (half, 0.01, fin_top), (-half, 0, ridge), (half, 0, ridge)], pixels))
    lefts = (0.0, 0.25, 0.5, 0.75)
    parts = []
    for number, face in enumerate(faces):
        left = lefts[number % 4]
        box = (left, 0.25, left + 0.25, 1.0) if number < 4 else (left, 0.0, left + 0.25, 0.25)
        points = _buckled(rng, face, rng.uniform(0, 0.04) * wear)
        parts.append(Patch(points, stretched(decor.art, face.shape[:2], box), COATED))
    if rng.random() < 0.35:  # a screw cap on a slope
        parts += _screw_cap(decor, pixels, (0.0, -half / 2, (tall + ridge) / 2))
    return _lying(rng, warped(parts, random_warp(rng, 0.02 + 0.16 * wear * rng.random(), 4, 5.0)), 0.6)


def _screw_cap(decor: Decor, pixels: float, place: tuple[float, float, float]) -> list[Patch]:
    cap = turned([(0.0, 0.14), (0.12, 0.14), (0.13, 0.0)], pixels) @ rotation(0, np.radians(35)).T
    cap = cap + np.array(place, np.float32)
    return [Patch(cap, flat(decor.second, cap.shape[:2]), COATED._replace(sheen=0.4, shininess=60))]


def brick(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A juice pack: a box with ears folded down at its ends, a seam and a hole for the straw."""
    wide, deep, tall = rng.uniform(0.55, 0.9), rng.uniform(0.35, 0.55), rng.uniform(0.95, 1.35)
    parts = []
    for number, face in enumerate(box_sides(wide, deep, tall, pixels)):
        left = 0.25 * (number % 4)
        albedo = stretched(decor.art, face.shape[:2], (left, 0.0, left + 0.25, 1.0 if number < 4 else 0.2)).copy()
        if number == 4:
            seam = np.abs(face[..., 1]) < 0.03
            albedo[seam] *= 0.75
            hole = np.hypot(face[..., 0] - 0.28 * wide, face[..., 1] - 0.1) < 0.055
            albedo[hole] = 0.03 if rng.random() < 0.5 else 0.6
        parts.append(Patch(_buckled(rng, face, rng.uniform(0, 0.05) * wear), albedo, COATED))
    for sign in (-1, 1):
        x, low = sign * (wide / 2 + 0.012), tall - deep / 2
        corners = [(x, -deep / 2, tall), (x, deep / 2, tall), (x, -TRIANGLE, low), (x, TRIANGLE, low)]
        ear = quad(corners, pixels)
        parts.append(Patch(ear, stretched(decor.art, ear.shape[:2], (0, 0.1, 0.2, 0.3)) * np.float32(0.92), COATED))
    if rng.random() < 0.45:
        straw = turned([(0.028, 0.42), (0.028, 0.0)], pixels) @ rotation(1, rng.uniform(-0.5, 0.5)).T
        straw = straw + np.array([0.28 * wide, 0.1, tall], np.float32)
        parts.append(Patch(straw, flat(decor.second, straw.shape[:2]), COATED._replace(sheen=0.4)))
    return _lying(rng, warped(parts, random_warp(rng, 0.02 + 0.16 * wear * rng.random(), 4, 6.0)), 0.65)


def cup(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A paper cup with its rolled rim; often lying, at times crushed."""
    tall, low = rng.uniform(0.95, 1.4), rng.uniform(0.3, 0.38)
    wall = turned([(0.47, tall), (low, 0.0)], pixels)
    rim = turned(
        [(0.46, tall - 0.015), (0.505, tall - 0.02), (0.51, tall + 0.02), (0.47, tall + 0.035), (0.455, tall)], pixels
    )
    inner = turned([(0.455, tall), (low - 0.02, 0.07)], pixels)
    floor = turned([(low - 0.02, 0.07), (0.0, 0.07)], pixels)
    under = turned([(low, 0.0), (low - 0.02, 0.05), (0.0, 0.05)], pixels)
    dents = facets(rng, wall.shape[:2], 22, around=True) * rng.uniform(0, 0.07) * wear
    hold = np.linspace(0, 1, len(wall))[:, None] * np.linspace(2, 0, len(wall))[:, None]
    parts = [
        Patch(push_out(wall, (dents * hold).astype(np.float32)), stretched(decor.art, wall.shape[:2]), COATED),
        Patch(rim, flat(0.25 + 0.7 * decor.second, rim.shape[:2]), COATED),
        Patch(inner, flat(0.25 + 0.7 * decor.second, inner.shape[:2]), INSIDE),
        Patch(floor, flat(0.25 + 0.7 * decor.second, floor.shape[:2]) * np.float32(0.7), INSIDE),
        Patch(under, flat(decor.plain, under.shape[:2]), COATED),
    ]
    model = warped(parts, random_warp(rng, 0.02 + 0.25 * wear * rng.random(), 4, 5.0))
    return moved(model, rotation(0, np.radians(rng.uniform(70, 100)) * rng.choice([-1, 1]) * (rng.random() < 0.65)))


SHAPES = ((0.36, gable), (0.28, brick), (0.36, cup))
