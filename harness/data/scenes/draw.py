"""Drawing one object into the photo: its shadow, its far side where it is clear, its near side."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from harness.data.scenes.geometry import Material
from harness.data.scenes.light import Light
from harness.data.scenes.noise import Colours, Plane, Rng, fractal, smooth_step
from harness.data.scenes.place import Placed
from harness.data.scenes.surface import Camera, Cloud, Index, ShadowMap, nearest, shade, shadow_map

OPACITY, BEND, BEADS = (Material._fields.index(name) for name in ("opacity", "bend", "beads"))
LARGE = 140.0  # pixels; a larger object is oversampled once only, it would take too long


def oversampling(size: float) -> int:
    """Points a pixel, along each axis, of an object of `size` pixels."""
    return 2 if size < LARGE else 1


class Canvas(NamedTuple):
    """The photo so far, (height, width, 3) in linear light, and how it is lit and seen."""

    photo: Colours
    light: Light
    camera: Camera
    soil: Colours  # (3,) colour of dirt


class View(NamedTuple):
    """How the object at hand is drawn: `size` in pixels, oversampled `fine` times; `dirt` over the window."""

    size: float
    fine: int
    shadows: ShadowMap
    dirt: Plane


def draw_object(rng: Rng, canvas: Canvas, cloud: Cloud, found: Placed, difficulty: float) -> Plane:
    """Draw into `canvas.photo`; returns how far each pixel is covered, (height, width), 0 to 1."""
    size = float(np.sqrt(found.box[2] * found.box[3]))
    _cast_shadow(canvas, cloud, found, size)
    fine = oversampling(size)
    height, width = canvas.photo.shape[:2]
    left, top = max(int(found.box[0]) - 3, 0), max(int(found.box[1]) - 3, 0)
    right = min(int(found.box[0] + found.box[2]) + 4, width)
    bottom = min(int(found.box[1] + found.box[3]) + 4, height)
    window = canvas.photo[top:bottom, left:right].repeat(fine, 0).repeat(fine, 1)
    column, row, near = canvas.camera.project(cloud.points)
    column = (column + np.float32(found.shift[0] - left)) * fine
    row = (row + np.float32(found.shift[1] - top)) * fine
    shape = window.shape[:2]
    shadows = shadow_map(cloud.points, canvas.light, max(1.0, size / 90))
    view = View(size, fine, shadows, _dirt(rng, shape, size * fine, difficulty))
    layers = [nearest(column, row, near, shape)]
    if cloud.materials[:, OPACITY].min() < 0.9:
        layers.insert(0, nearest(column, row, -near, shape))
    covered = np.zeros(shape, np.float32)
    for seen in layers:
        window = _laid(canvas, cloud, seen, window, view)
        covered = np.maximum(covered, (seen >= 0).astype(np.float32))
    canvas.photo[top:bottom, left:right] = _shrunk(window, fine)
    cover = np.zeros((height, width), np.float32)
    cover[top:bottom, left:right] = _shrunk(covered[..., None], fine)[..., 0]
    return cover


def _laid(canvas: Canvas, cloud: Cloud, seen: Index, window: Colours, view: View) -> Colours:
    """One layer over the window."""
    mask = seen >= 0
    points = seen[mask]
    lit = shade(cloud, points, canvas.light, canvas.camera, view.shadows, view.size)
    soiled = view.dirt[mask][:, None]
    level = canvas.soil * (canvas.light.sun_colour * 0.6 + canvas.light.sky_colour)
    colour = lit[:, :3] * (1 - soiled) + level * soiled
    alpha = np.maximum(lit[:, 3:], 0.6 * soiled)
    bend = cloud.materials[cloud.patch[points], BEND]
    behind = window[mask]
    if bend.any():  # a clear thing displaces what is seen through it
        rows, columns = np.nonzero(mask)
        normal = cloud.normals[points] * np.sign(cloud.normals[points] @ canvas.camera.view)[:, None]
        reach = bend * view.size * view.fine
        rows = np.clip(rows + normal[:, 1] * reach, 0, mask.shape[0] - 1).astype(np.intp)
        columns = np.clip(columns - normal[:, 0] * reach, 0, mask.shape[1] - 1).astype(np.intp)
        behind = window[rows, columns]
    result = window.copy()
    result[mask] = behind * (1 - alpha) + colour * alpha
    return result


def _shrunk(window: Colours, fine: int) -> Colours:
    """The mean of each fine x fine pixels."""
    rows, columns, channels = window.shape
    parts = window.reshape(rows // fine, fine, columns // fine, fine, channels)
    return np.asarray(parts.mean(axis=(1, 3)), dtype=np.float32)


def _dirt(rng: Rng, shape: tuple[int, int], size: float, difficulty: float) -> Plane:
    """Soil that clings to an object: a thin film with spots in it, 0 to 1."""
    amount = rng.random() ** 2 * (0.3 + 0.7 * difficulty)
    cloudy = fractal(rng, shape, size / 3, 5)
    return np.asarray(amount * (0.12 + 0.7 * smooth_step(cloudy, 0.7, 1.9)), dtype=np.float32)


def _cast_shadow(canvas: Canvas, cloud: Cloud, found: Placed, size: float) -> None:
    """Darken the ground where the object keeps the sun off, and where it keeps the sky off close by."""
    height, width = canvas.photo.shape[:2]
    light, sin = canvas.light, np.float32(np.sin(canvas.camera.down))
    shadows = shadow_map(cloud.points, light, 1.0)
    right_shift, down_shift = found.shift
    sharp, wide = 0.5 + size * (0.008 + 0.05 * light.softness), 0.05 * size + 1
    reach = 3 * max(sharp, wide)
    x0, y0 = shadows.origin
    y1 = y0 + shadows.heights.shape[0]
    left = max(int(x0 + right_shift - reach), 0)
    right = min(int(x0 + right_shift + shadows.heights.shape[1] + reach), width)
    top, bottom = max(int(down_shift - y1 * sin - reach), 0), min(int(down_shift - y0 * sin + reach), height)
    if left >= right or top >= bottom:
        return
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
    x, y = columns - np.float32(right_shift), (np.float32(down_shift) - rows) / sin
    blocked = (shadows.height_at(x, y, 0.0) > 0).astype(np.float32)
    opacity = float(cloud.materials[:, OPACITY].mean())
    sun, sky = float(light.sun_colour.mean() * light.sun[2]), float(light.sky_colour.mean())
    edge, close = gaussian_filter(blocked, sharp), gaussian_filter(blocked, wide)
    strength = (0.35 + 0.65 * opacity) * (0.95 * sun * edge + 0.45 * sky * close) / (sun + sky)
    canvas.photo[top:bottom, left:right] *= (1 - np.clip(strength, 0, 0.97))[..., None].astype(np.float32)
