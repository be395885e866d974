"""Random planes that surfaces, prints and grounds are made of: smooth noise, creased facets, outlines."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import LinearNDInterpolator

Plane = NDArray[np.float32]  # (rows, columns)
Colours = NDArray[np.float32]  # (..., 3), linear light, 0 to 1
Points = NDArray[np.float32]  # (..., 3), x to the right, y away from the viewer, z up
Rng = np.random.Generator

BICUBIC_SPREAD = 0.72  # deviation of white noise of deviation 1 once interpolated; divided out
FACET_GRID = 110  # facets are interpolated on a grid of this side, then enlarged: twenty times faster


def resized(plane: Plane, shape: tuple[int, int], resample: Image.Resampling = Image.Resampling.BICUBIC) -> Plane:
    """`plane` stretched to `shape`."""
    return np.asarray(Image.fromarray(plane).resize((shape[1], shape[0]), resample), dtype=np.float32)


def noise(rng: Rng, shape: tuple[int, int], grain: float | tuple[float, float], around: bool = False) -> Plane:
    """Smooth noise of mean 0 and deviation about 1; `grain` in samples (down, across).

    `around`: the last column meets the first, as it must on a surface of revolution.
    """
    down, across = grain if isinstance(grain, tuple) else (grain, grain)
    rows, columns = shape[0] / max(down, 1.0), shape[1] / max(across, 1.0)
    if around:
        columns = max(3, round(columns))
    coarse = rng.standard_normal((math.ceil(rows) + 4, math.ceil(columns) + 4), dtype=np.float32)
    if around:
        coarse[:, -2:], coarse[:, :2] = coarse[:, 2:4], coarse[:, -4:-2].copy()
    box = (2.0, 2.0, 2.0 + columns, 2.0 + rows)
    picture = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(picture, dtype=np.float32) / np.float32(BICUBIC_SPREAD)


def fractal(rng: Rng, shape: tuple[int, int], grain: float, octaves: int = 4, around: bool = False) -> Plane:
    """Noise on `octaves` scales, each half as large and as strong as the one before; deviation about 1."""
    total = np.zeros(shape, np.float32)
    weight = 1.0
    for octave in range(octaves):
        total += np.float32(weight) * noise(rng, shape, grain / 2**octave, around)
        weight *= 0.5
    return total / np.float32(math.sqrt(sum(0.25**octave for octave in range(octaves))))


def facets(rng: Rng, shape: tuple[int, int], points: int, around: bool = False) -> Plane:
    """A plane crumpled into flat triangles: mean 0, deviation about 1, `points` corners."""
    places = rng.uniform(-0.15, 1.15, (points, 2))
    heights = rng.standard_normal(points)
    if around:
        places[:, 1] = rng.uniform(0, 1, points)
        places = np.concatenate([places + np.array([0, shift]) for shift in (-1, 0, 1)])
        heights = np.tile(heights, 3)
    frame = np.array([(-1, -1), (-1, 2), (2, -1), (2, 2)], dtype=np.float64)
    interpolate = LinearNDInterpolator(np.concatenate([places, frame]), np.concatenate([heights, np.zeros(4)]))
    rows, columns = min(shape[0], FACET_GRID), min(shape[1], FACET_GRID)
    down, across = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    plane = interpolate(np.stack([down, across], axis=-1)).astype(np.float32)
    return resized(plane, shape, Image.Resampling.BILINEAR) / np.float32(0.75)


def ridges(rng: Rng, shape: tuple[int, int], grain: float | tuple[float, float]) -> Plane:
    """Sharp crests that wander over a plane, 0 to 1: where smooth noise crosses zero."""
    return np.exp(-np.abs(noise(rng, shape, grain)) * np.float32(4.0))


def smooth_step(values: Plane, low: float, high: float) -> Plane:
    """0 below `low`, 1 above `high`, smooth between.

    >>> smooth_step(np.array([0.0, 0.5, 2.0], np.float32), 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    eased: Plane = share * share * (3 - 2 * share)
    return eased
