"""From a model to a picture: projection, z-buffer, light, reflection, transparency and shadow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from harness.data.scenes.geometry import Material, Model, normals_of
from harness.data.scenes.light import Light, reflection
from harness.data.scenes.noise import Colours, Plane, Points, Rng, smooth_step

Index = NDArray[np.intp]
DEPTH_STEPS = 1 << 30  # the z-buffer's resolution
POINT_BITS = 24  # of a key of the z-buffer that number the point; the rest is its depth
BIAS = 0.035  # object sizes that a point must lie below another to be in its shadow
SPREAD = 2  # pixels that a point covers, along each axis


class Cloud(NamedTuple):
    """A posed model as a list of points. Lengths are pixels of the picture times the oversampling."""

    points: Points  # (n, 3)
    normals: Points  # (n, 3)
    albedo: Colours  # (n, 3)
    own: Points  # (n, 3) in object units, where beads are
    patch: NDArray[np.int16]  # (n,) row of `materials`
    materials: NDArray[np.float32]  # (patches, fields of Material)


class Camera(NamedTuple):
    """An orthographic view. `down`: radians between the view and the ground, π/2 looks straight down."""

    down: float

    @property
    def view(self) -> Points:
        """The unit vector from the ground to the camera."""
        return np.array([0, -np.cos(self.down), np.sin(self.down)], dtype=np.float32)

    def project(self, points: Points) -> tuple[Plane, Plane, Plane]:
        """Column, row (downwards) and nearness of each point."""
        sin, cos = np.float32(np.sin(self.down)), np.float32(np.cos(self.down))
        y, z = points[..., 1], points[..., 2]
        return points[..., 0], -(y * sin + z * cos), z * sin - y * cos


def cloud_of(model: Model) -> Cloud:
    """The points of all patches in one list, in object units."""
    kept = [(patch, slice(None) if patch.inside is None else patch.inside.ravel()) for patch in model]
    points = np.concatenate([patch.points.reshape(-1, 3)[inside] for patch, inside in kept])
    normals = np.concatenate([normals_of(patch.points).reshape(-1, 3)[inside] for patch, inside in kept])
    albedo = np.concatenate([patch.albedo.reshape(-1, 3)[inside] for patch, inside in kept])
    sizes = [patch.points[..., 0].size if patch.inside is None else int(patch.inside.sum()) for patch in model]
    number = np.repeat(np.arange(len(model), dtype=np.int16), sizes)
    materials = np.array([patch.material for patch in model], dtype=np.float32)
    return Cloud(points, normals, albedo, points, number, materials)


def turned_cloud(cloud: Cloud, matrix: NDArray[np.float32]) -> Cloud:
    return cloud._replace(points=cloud.points @ matrix.T, normals=cloud.normals @ matrix.T)


def nearest(column: Plane, row: Plane, near: Plane, shape: tuple[int, int]) -> Index:
    """Which point is seen in each pixel: (rows, columns), -1 for none.

    Each point covers SPREAD x SPREAD pixels, so that a dense grid leaves no holes.
    """
    low, high = float(near.min()), float(near.max())
    share = (near.astype(np.float64) - low) / max(high - low, 1e-6)
    keys = ((share * (DEPTH_STEPS - 1)).astype(np.int64) + 1 << POINT_BITS) + np.arange(len(near))
    left = np.floor(column - np.float32(0.5)).astype(np.int64)
    top = np.floor(row - np.float32(0.5)).astype(np.int64)
    padded = np.zeros((shape[0] + 2 * SPREAD, shape[1] + 2 * SPREAD), np.int64)
    left, top = np.clip(left, -SPREAD, shape[1]) + SPREAD, np.clip(top, -SPREAD, shape[0]) + SPREAD
    places = top * padded.shape[1] + left
    buffer = padded.ravel()
    for down in range(SPREAD):
        for across in range(SPREAD):
            np.maximum.at(buffer, places + down * padded.shape[1] + across, keys)
    seen = padded[SPREAD:-SPREAD, SPREAD:-SPREAD]
    found: Index = np.where(seen > 0, seen & ((1 << POINT_BITS) - 1), -1).astype(np.intp)
    return found


class ShadowMap(NamedTuple):
    """The highest point over each place of the ground on which its shadow falls."""

    heights: Plane
    origin: tuple[float, float]  # x and y of the first element
    cell: float  # side of an element
    slope: tuple[float, float]  # how far a shadow reaches, a unit of height

    def height_at(self, x: Plane, y: Plane, z: Plane | float) -> Plane:
        """The height of what stands between the sun and each point; 0 where nothing does."""
        column = ((x - self.slope[0] * z - self.origin[0]) / self.cell).astype(np.intp)
        row = ((y - self.slope[1] * z - self.origin[1]) / self.cell).astype(np.intp)
        rows, columns = self.heights.shape
        known = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return np.where(known, self.heights[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)], 0)


def shadow_map(points: Points, light: Light, cell: float) -> ShadowMap:
    """Cast the points along the sun's rays on the ground; `cell` in the points' unit."""
    slope = (float(light.sun[0] / light.sun[2]), float(light.sun[1] / light.sun[2]))
    x, y = points[:, 0] - slope[0] * points[:, 2], points[:, 1] - slope[1] * points[:, 2]
    origin = (float(x.min()) - 3 * cell, float(y.min()) - 3 * cell)
    columns, rows = int((x.max() - origin[0]) / cell) + 4, int((y.max() - origin[1]) / cell) + 4
    heights = np.zeros(rows * columns, np.float32)
    place = ((y - origin[1]) / cell).astype(np.intp) * columns + ((x - origin[0]) / cell).astype(np.intp)
    np.maximum.at(heights, place, points[:, 2] + np.float32(0.01))
    return ShadowMap(maximum_filter(heights.reshape(rows, columns), 2), origin, cell, slope)


def shade(cloud: Cloud, seen: Index, light: Light, camera: Camera, shadows: ShadowMap, size: float) -> Colours:
    """Light that the seen points send to the camera, and their opacity: (n, 4); `size` of the object in pixels."""
    points, patch = cloud.points[seen], cloud.patch[seen]
    kind = dict(zip(Material._fields, cloud.materials[patch].T, strict=True))
    normal, albedo = cloud.normals[seen], cloud.albedo[seen]
    if cloud.materials[:, Material._fields.index("beads")].any():
        normal, albedo = _beaded(cloud.own[seen], normal, albedo, kind["beads"])
    normal = normal * np.where(normal @ camera.view < 0, -1, 1)[:, None].astype(np.float32)
    facing = np.clip(normal @ camera.view, 0.02, 1)
    towards_sun = normal @ light.sun
    above = shadows.height_at(points[:, 0], points[:, 1], points[:, 2]) - points[:, 2]
    blocked = smooth_step(above, BIAS * size, 2.5 * BIAS * size)
    lit = 1 - np.float32(0.9) * blocked
    wrap = kind["wrap"]
    sunlit = np.clip((towards_sun + wrap) / (1 + wrap), 0, 1) * np.maximum(lit, wrap)
    sky = 0.5 + 0.5 * normal[:, 2]
    height = np.clip(points[:, 2] / (0.22 * size), 0, 1)
    open_sky = (0.55 + 0.45 * height) * (0.7 + 0.3 * lit)
    received = sunlit[:, None] * light.sun_colour + (sky * open_sky)[:, None] * light.sky_colour
    received += ((1 - sky) * 0.6 * open_sky)[:, None] * light.bounce
    colour = albedo * received * kind["diffuse"][:, None]
    reflected = 2 * facing[:, None] * normal - camera.view
    fresnel = (kind["mirror"] + (1 - kind["mirror"]) * (kind["mirror"] > 0) * 0.8 * (1 - facing) ** 5) * open_sky
    tint = 1 - kind["metal"][:, None] * (1 - albedo)
    colour += reflection(light, reflected, kind["rough"]) * tint * fresnel[:, None]
    half = light.sun + camera.view
    half /= np.linalg.norm(half)
    glint = np.clip(normal @ half, 0, 1) ** kind["shininess"] * kind["sheen"] * lit * (towards_sun > 0)
    colour += glint[:, None] * light.sun_colour * tint
    opaque = 1 - (1 - kind["opacity"]) ** (1 / np.maximum(facing, 0.12))
    alpha = np.clip(np.maximum(opaque, glint * 0.9), 0, 1)
    return np.concatenate([colour, alpha[:, None]], axis=1).astype(np.float32)


def _beaded(own: Points, normal: Points, albedo: Colours, beads: Plane) -> tuple[Points, Colours]:
    """Foam: each bead bulges and is dark where it meets the next."""
    foam = beads > 0
    size = float(beads.max())
    # the beads are a jittered lattice drawn from their number: the same ones wherever the object is turned
    cell = own[foam] / size
    low, high = np.floor(cell.min(axis=0)).astype(int) - 1, np.ceil(cell.max(axis=0)).astype(int) + 2
    lattice = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    centres = lattice.reshape(-1, 3) + np.random.default_rng(0).uniform(-0.4, 0.4, (lattice.size // 3, 3))
    distance, index = cKDTree(centres, balanced_tree=False, compact_nodes=False).query(cell, k=2)
    bulge = (cell - centres[index[:, 0]]).astype(np.float32)
    crack = np.clip((distance[:, 1] - distance[:, 0]) * 4.0, 0, 1).astype(np.float32)[:, None]
    uneven = (0.93 + 0.07 * np.sin(index[:, :1] * 12.9898)).astype(np.float32)
    normal, albedo = normal.copy(), albedo.copy()
    bent = normal[foam] + 0.9 * bulge
    normal[foam] = bent / np.linalg.norm(bent, axis=1, keepdims=True)
    albedo[foam] *= (0.42 + 0.58 * crack) * uneven
    return normal, albedo


def bounds(cloud: Cloud, camera: Camera) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the camera sees."""
    column, row, _ = camera.project(cloud.points)
    return float(column.min()), float(row.min()), float(column.max()), float(row.max())


def tilted(rng: Rng, degrees: float) -> float:
    """A small random angle in radians."""
    return float(np.radians(rng.normal() * degrees))
