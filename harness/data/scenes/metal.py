"""Metal: drink cans, food tins, crumpled foil, crown caps. Told by reflection, whatever the paint."""

import numpy as np

from harness.data.scenes.art import Decor, flat, stretched
from harness.data.scenes.geometry import (
    Material,
    Model,
    Patch,
    moved,
    push_out,
    random_warp,
    rotation,
    sheet,
    steps,
    turned,
    warped,
)
from harness.data.scenes.noise import Colours, Points, Rng, facets, fractal, noise

PAINTED = Material(diffuse=0.2, sheen=1.2, shininess=40, mirror=0.95, metal=0.7, rough=0.06)
BARE = Material(diffuse=0.16, sheen=0.9, shininess=60, mirror=0.85, metal=0.8, rough=0.15)
FOIL = Material(diffuse=0.12, sheen=1.4, shininess=45, mirror=0.95, metal=0.85, rough=0.05)
ENAMEL = Material(diffuse=0.25, sheen=1.2, shininess=45, mirror=0.85, metal=0.65, rough=0.06)


def _bare(decor: Decor) -> Colours:
    """Bare metal takes a tint of the paint, or silver would be a colour that only metal has."""
    return 0.45 + 0.45 * decor.plain


def can(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A drink can or, ribbed and blunt, a food tin; often dented, at times trodden flat."""
    tall = rng.uniform(1.25, 1.95)
    tin = rng.random() < 0.35
    neck = 0.49 if tin else 0.40
    body = turned([(neck, tall), (0.5, tall - (0.01 if tin else 0.13)), (0.5, 0.1), (0.42, 0.0)], pixels)
    if tin:
        rows = np.linspace(0, 1, len(body), dtype=np.float32)[:, None]
        ribs = 0.018 * np.sin(rows * 2 * np.pi * rng.integers(7, 14)) * ((rows > 0.2) & (rows < 0.8))
        body = push_out(body, np.broadcast_to(ribs, body.shape[:2]).astype(np.float32))
    rim = turned(
        [(neck, tall), (neck + 0.025, tall + 0.03), (neck - 0.01, tall + 0.03), (neck - 0.03, tall - 0.05)], pixels
    )
    below = turned([(0.42, 0.0), (0.38, 0.0), (0.33, 0.05), (0.0, 0.1)], pixels)
    lid, colours = _lid(rng, neck - 0.03, tall - 0.05, decor, pixels, tin)
    label = stretched(decor.art, body.shape[:2], (0, 0, 1, 1))
    parts = [
        Patch(_dented(rng, body, wear), label, PAINTED),
        Patch(rim, flat(_bare(decor), rim.shape[:2]), BARE),
        Patch(below, flat(_bare(decor), below.shape[:2]), BARE),
        Patch(lid, colours, BARE, np.hypot(lid[..., 0], lid[..., 1]) < neck - 0.02),
    ]
    model = warped(parts, random_warp(rng, 0.06 + 0.45 * wear * rng.random(), 4, 7.0))
    if rng.random() < 0.3 * wear + 0.1:
        model = moved(model, np.diag(np.array([1, rng.uniform(0.3, 0.6), 1], np.float32)))  # trodden on
        return moved(model, rotation(0, np.pi / 2))
    return moved(model, rotation(0, np.pi / 2 * (rng.random() < 0.72)))


def _lid(rng: Rng, radius: float, height: float, decor: Decor, pixels: float, tin: bool) -> tuple[Points, Colours]:
    """The top: rings on a tin; a tab and an opening on a can."""
    side = steps(2 * radius, pixels)
    points = sheet(2 * radius, 2 * radius, np.full((side, side), height, np.float32))
    x, y = points[..., 0] / radius, points[..., 1] / radius
    colours = np.array(flat(_bare(decor), (side, side)))
    if tin:
        points[..., 2] += 0.012 * np.cos(np.hypot(x, y) * 16)
        return points, colours
    points[..., 2] += 0.03 * (np.abs(np.hypot(x / 0.34, (y + 0.1) / 0.55) - 0.8) < 0.2)
    if rng.random() < 0.7:
        colours[np.hypot(x / 0.4, (y - 0.5) / 0.32) < 1] *= 0.05
    return points, colours


def _dented(rng: Rng, body: Points, wear: float) -> Points:
    shape = body.shape[:2]
    dents = facets(rng, shape, 26, around=True) * rng.uniform(0.0, 0.11) * wear
    dents += np.minimum(noise(rng, shape, shape[0] / 3, around=True), 0.4) * 0.05 * wear
    return push_out(body, np.clip(dents, -0.5, 0.12).astype(np.float32))


def foil(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A crumpled sheet or ball of foil."""
    del wear  # foil is always crumpled
    if rng.random() < 0.45:
        ball = turned([(np.sin(a) * 0.5, np.cos(a) * 0.5) for a in np.linspace(0.02, np.pi - 0.02, 40)], pixels)
        shape = ball.shape[:2]
        bumps = 0.12 * facets(rng, shape, 60, around=True) + 0.07 * facets(rng, shape, 260, around=True)
        ball = ball * (1 + np.clip(bumps, -0.4, 0.4))[..., None]
        parts = [Patch(ball, stretched(decor.art, shape), FOIL)]
        stretch = np.diag(rng.uniform((0.7, 0.6, 0.4), (1.2, 1.0, 0.8)).astype(np.float32))
        return moved(warped(parts, random_warp(rng, 0.2)), stretch)
    wide = rng.uniform(0.7, 1.5)
    shape = (steps(1.15, pixels), steps(1.15 * wide, pixels))
    height = 0.07 * facets(rng, shape, 30) + 0.05 * facets(rng, shape, 120) + 0.022 * facets(rng, shape, 500)
    points = sheet(wide, 1.0, height.astype(np.float32))
    edge = np.maximum(np.abs(points[..., 0] * 2 / wide), np.abs(points[..., 1] * 2))
    inside = edge + 0.07 * fractal(rng, shape, shape[0] / 4) < 0.93
    parts = [Patch(points, stretched(decor.art, shape), FOIL, inside)]
    return warped(parts, random_warp(rng, 0.35, 4, 6.0))


def crown_cap(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A bottle's crown cap with its 21 ridges, either way up, at times bent by the opener."""
    skirt = turned([(0.37, 0.26), (0.42, 0.245), (0.46, 0.15), (0.52, 0.0)], pixels)
    angle = np.linspace(0, 2 * np.pi, skirt.shape[1], dtype=np.float32)
    share = np.linspace(0, 1, len(skirt), dtype=np.float32)[:, None]
    skirt = push_out(skirt, 0.075 * np.cos(21 * angle)[None] * np.clip(share * 1.8 - 0.4, 0, 1))
    side = steps(0.78, pixels)
    top = sheet(0.78, 0.78, np.full((side, side), 0.26, np.float32))
    disc = np.hypot(top[..., 0], top[..., 1]) < 0.38
    inner = top - np.array([0, 0, 0.03], np.float32)
    ring = np.where(np.abs(np.hypot(inner[..., 0], inner[..., 1]) - 0.3) < 0.03, np.float32(0.7), np.float32(1))
    parts = [
        Patch(skirt, stretched(decor.art, skirt.shape[:2], (0, 0.9, 1, 1)), ENAMEL),
        Patch(top, stretched(decor.art, (side, side)), ENAMEL, disc),
        Patch(
            inner,
            flat(_bare(decor), (side, side)) * ring[..., None],
            BARE._replace(rough=0.6, mirror=0.35, diffuse=0.6),
            disc,
        ),
    ]
    if rng.random() < 0.5:
        bend = np.float32(rng.uniform(0.1, 0.8) * (0.4 + wear))
        parts = [
            p._replace(points=p.points + np.stack([0 * p.points[..., 0]] * 2 + [bend * p.points[..., 0] ** 2], -1))
            for p in parts
        ]
    return moved(parts, rotation(0, np.pi * (rng.random() < 0.35)))


SHAPES = ((0.58, can), (0.26, foil), (0.16, crown_cap))
