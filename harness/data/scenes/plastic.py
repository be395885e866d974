"""Plastic: clear bottles, lids, tubs, shards. Smooth, with sharp highlights; the ground shows through some."""

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
from harness.data.scenes.noise import Points, Rng, facets, noise

CLEAR = Material(diffuse=0.75, sheen=2.4, shininess=80, mirror=0.12, rough=0.05, opacity=0.2, wrap=0.5, bend=0.09)
GLOSSY = Material(diffuse=0.85, sheen=1.9, shininess=70, mirror=0.13, rough=0.05)
# (radius, z) from the middle of the top outwards, and how far the grip's ridges stand out
SCREW_CAP = ((0.0, 0.34), (0.36, 0.34), (0.43, 0.3), (0.46, 0.0), (0.42, 0.0), (0.4, 0.26), (0.0, 0.28))
RINGED = ((0.0, 0.08), (0.2, 0.08), (0.22, 0.11), (0.36, 0.11), (0.39, 0.06), (0.45, 0.06), (0.47, 0.12), (0.51, 0.0))
DOMED = ((0.0, 0.22), (0.33, 0.22), (0.35, 0.26), (0.38, 0.26), (0.4, 0.14), (0.48, 0.1), (0.51, 0.08), (0.5, 0.0))
LIDS = ((SCREW_CAP, 0.03), (RINGED, 0.0), (DOMED, 0.0))
RIDGES = 30  # of a screw cap's grip
LABEL = Material(sheen=0.3, shininess=30, mirror=0.03, rough=0.5)


def bottle(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A drink bottle: ribbed or waisted, mostly clear, with a label and a cap on most."""
    tall, round_ = rng.uniform(1.7, 2.5), 0.42
    shoulder = tall * rng.uniform(0.6, 0.72)
    profile = [(0.13, tall), (0.14, tall - 0.14), (0.19, tall - 0.15), (0.13, tall - 0.17), (0.16, tall - 0.3)]
    bow = np.linspace(0, np.pi / 2, 8)
    profile += [(0.16 + (round_ - 0.16) * np.sin(a), shoulder + (tall - 0.3 - shoulder) * np.cos(a)) for a in bow]
    profile += [(round_, 0.08), (round_ - 0.07, 0.0), (0.2, 0.06), (0.0, 0.12)]
    body = turned(profile, pixels)
    z = body[..., 2]
    ribs = np.cos(z * rng.uniform(26, 46)) * rng.uniform(0, 0.045) * (z < shoulder) * (z > 0.12)
    waist = -rng.uniform(0, 0.2) * np.exp(-(((z - shoulder * 0.55) / 0.25) ** 2))
    dents = facets(rng, body.shape[:2], 30, around=True) * rng.uniform(0, 0.12) * wear * (z < shoulder)
    body = push_out(body, np.clip(ribs + waist + dents, -0.45, 0.2).astype(np.float32))
    opaque = rng.random() < 0.15
    skin = GLOSSY if opaque else CLEAR._replace(opacity=rng.uniform(0.1, 0.3))
    parts = [Patch(body, flat(decor.plain, body.shape[:2]), skin)]
    if rng.random() < 0.6:
        high, low = shoulder * rng.uniform(0.8, 0.95), shoulder * rng.uniform(0.3, 0.5)
        rows = (z[:, 0] < high) & (z[:, 0] > low)
        band = push_out(body[rows], np.full(body[rows].shape[:2], 0.012, np.float32))
        parts.append(Patch(band, stretched(decor.art, band.shape[:2]), LABEL))
    if rng.random() < 0.75:
        parts.append(_cap(decor, pixels, tall))
    model = warped(parts, random_warp(rng, 0.04 + 0.4 * wear * rng.random(), 4, 5.0))
    if rng.random() < 0.3 * wear:
        model = moved(model, np.diag(np.array([1, rng.uniform(0.35, 0.7), 1], np.float32)))
    return moved(model, rotation(0, np.pi / 2 * (rng.random() < 0.88)))


def _cap(decor: Decor, pixels: float, tall: float) -> Patch:
    cap = turned([(0.0, tall + 0.05), (0.15, tall + 0.05), (0.165, tall + 0.02), (0.17, tall - 0.13)], pixels)
    angle = np.linspace(0, 2 * np.pi, cap.shape[1], dtype=np.float32)
    ridged = (np.hypot(cap[..., 0], cap[..., 1]) > 0.15) * 0.04 * np.cos(36 * angle)[None]
    return Patch(push_out(cap, ridged.astype(np.float32)), flat(decor.second, cap.shape[:2]), GLOSSY)


def lid(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A lid: a screw cap, a flat lid with raised rings, or the domed lid of a coffee cup."""
    profile, ridge = LIDS[int(rng.choice(len(LIDS), p=(0.35, 0.35, 0.3)))]
    points = turned(profile, pixels)
    angle = np.linspace(0, 2 * np.pi, points.shape[1], dtype=np.float32)
    outer = np.hypot(points[..., 0], points[..., 1]) > 0.41
    points = push_out(points, (outer * ridge * np.cos(RIDGES * angle)[None]).astype(np.float32))
    points[..., 2] += (0.012 * wear * noise(rng, points.shape[:2], points.shape[0] / 2, around=True)).astype(np.float32)
    clear = rng.random() < 0.3
    skin = CLEAR._replace(opacity=rng.uniform(0.3, 0.6), bend=0.03) if clear else GLOSSY
    side = max(points.shape[0], 16)
    top = stretched(decor.art, (side, side))
    place = ((points[..., :2] + 0.55) / 1.1 * (side - 1)).clip(0, side - 1).astype(np.intp)
    parts = [Patch(points, top[place[..., 1], place[..., 0]], skin)]
    model = warped(parts, random_warp(rng, 0.02 + 0.2 * wear * rng.random(), 3, 5.0))
    return moved(model, rotation(0, np.pi * (rng.random() < 0.3)))


def tub(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A yoghurt pot or a clear drinking cup: thin wall, flat flange, ribs."""
    tall, low = rng.uniform(0.6, 1.25), rng.uniform(0.3, 0.42)
    wall = turned(
        [(0.54, tall), (0.54, tall - 0.02), (0.46, tall - 0.02), (low, 0.05), (low - 0.05, 0), (0, 0.04)], pixels
    )
    z, shape = wall[..., 2], wall.shape[:2]
    angle = np.linspace(0, 2 * np.pi, shape[1], dtype=np.float32)[None]
    ribs = rng.uniform(0, 0.03) * np.cos(angle * rng.integers(16, 40)) * (z < tall * 0.7) * (z > 0.06)
    rings = rng.uniform(0, 0.02) * np.sign(np.cos(z * rng.uniform(14, 30))) * (z < tall - 0.1)
    dents = facets(rng, shape, 20, around=True) * rng.uniform(0, 0.1) * wear * (z < tall * 0.9)
    wall = push_out(wall, (ribs + rings + dents).astype(np.float32))
    clear = rng.random() < 0.6
    skin = CLEAR._replace(opacity=rng.uniform(0.14, 0.4), bend=0.06) if clear else GLOSSY
    model = warped(
        [Patch(wall, stretched(decor.art, shape), skin)], random_warp(rng, 0.03 + 0.4 * wear * rng.random(), 4, 5.0)
    )
    return moved(model, rotation(0, np.radians(rng.uniform(70, 105)) * (rng.random() < 0.6)))


def shard(rng: Rng, pixels: float, decor: Decor, wear: float) -> Model:
    """A splinter of a crate, a bumper, a toy: curved, hard, with straight broken edges."""
    wide = rng.uniform(0.8, 1.7)
    shape = (steps(1.1, pixels), steps(1.1 * wide, pixels))
    flat_sheet = sheet(wide, 1.0, np.zeros(shape, np.float32))
    x, y = flat_sheet[..., 0], flat_sheet[..., 1]
    inside = np.ones(shape, np.bool_)
    crack = 0.02 * noise(rng, shape, shape[0] / 7)
    for angle in np.sort(rng.uniform(0, 2 * np.pi, 5)) + np.arange(5) * 0.3:
        inside &= np.cos(angle) * x / wide + np.sin(angle) * y + crack < rng.uniform(0.26, 0.46)
    along = np.cos(a := rng.uniform(0, np.pi)) * x + np.sin(a) * y
    height = rng.uniform(0.15, 0.9) * along**2 + 0.03 * (
        np.abs((along * rng.uniform(2, 5)) % 1 - 0.5) < rng.uniform(0, 0.2)
    )
    top: Points = flat_sheet.copy()
    top[..., 2] += height.astype(np.float32)
    thick = np.array([0, 0, rng.uniform(0.02, 0.05)], np.float32)
    clear = rng.random() < 0.25
    skin = CLEAR._replace(opacity=rng.uniform(0.3, 0.6), bend=0.04) if clear else GLOSSY
    albedo = stretched(decor.art, shape)
    # the stack between the two faces is the broken edge, which catches the light
    layers = [
        Patch(top - thick * np.float32(k / 3), albedo * np.float32(1 if k == 0 else 0.7), skin, inside)
        for k in range(3)
    ]
    layers = layers[:1] if clear else layers
    return warped(layers, random_warp(rng, 0.1 + 0.1 * wear, 3, 3.0))


SHAPES = ((0.6, bottle), (0.16, lid), (0.14, tub), (0.1, shard))
