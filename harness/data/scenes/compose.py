"""A scene: ground, objects, what lies over them, and the photo of it all; boxes of what stays visible."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from harness.data.scenes import metal, paper, paperpack, plastic, plasticbag, styrofoam
from harness.data.scenes.art import draw_decor
from harness.data.scenes.camera import Pixels, photograph
from harness.data.scenes.clutter import draw_clutter, lay_over
from harness.data.scenes.draw import Canvas, draw_object, oversampling
from harness.data.scenes.geometry import rotation
from harness.data.scenes.ground import draw_ground
from harness.data.scenes.light import Light, draw_light
from harness.data.scenes.noise import Colours, Plane
from harness.data.scenes.place import Placed, box_of, free_place, keep_apart
from harness.data.scenes.surface import Camera, Cloud, bounds, cloud_of, tilted, turned_cloud

CLASSES = ("Metal", "Paper", "Paperpack", "Plastic", "Plasticbag", "Styrofoam")
KINDS = (metal.SHAPES, paper.SHAPES, paperpack.SHAPES, plastic.SHAPES, plasticbag.SHAPES, styrofoam.SHAPES)
# The competition's shares are .075 .309 .065 .170 .312 .070; flatter, so that each class has 60 test crops
# and the commonest is no more than a quarter.
SHARES = (0.12, 0.22, 0.12, 0.18, 0.24, 0.12)
DEFAULT = 0.3  # difficulty: 0 clean and sharp, 1 worn, covered, blurred and badly exposed
FRAMES = ((300, 380), (380, 300), (340, 340), (285, 380))  # height, width in pixels
SIZES = (58, 180)  # of an object in pixels: the square root of its box's area
COUNTS = (0.14, 0.28, 0.3, 0.28)  # of scenes with 1, 2, 3, 4 objects
LEAST_SIDE = 16  # pixels of a box


class SceneObject(NamedTuple):
    """`label`: its place in CLASSES; `box`: x, y, width, height in pixels of the part that is visible."""

    label: int
    box: tuple[float, float, float, float]


class Scene(NamedTuple):
    """A photo (height, width, 3) and what lies in it."""

    pixels: Pixels
    objects: tuple[SceneObject, ...]


def render_scene(seed: int, difficulty: float = DEFAULT) -> Scene:
    """The scene of `seed`; `difficulty` 0 to 1 changes its wear, cover, blur, noise and exposure."""
    rng = np.random.default_rng([seed])
    shape = FRAMES[int(rng.integers(len(FRAMES)))]
    camera = Camera(float(np.radians(rng.uniform(33, 78))))
    ground = draw_ground(rng, shape, rng.uniform(0.75, 1.35))
    light = draw_light(rng, ground.albedo.mean(axis=(0, 1)))
    canvas = Canvas(_lit_ground(ground.albedo, ground.relief, light), light, camera, ground.albedo.mean(axis=(0, 1)))
    placed: list[Placed] = []
    for number in range(1 + int(rng.choice(len(COUNTS), p=COUNTS))):
        one = _one_object(seed, number, shape, camera, difficulty, placed)
        if one is not None:
            cloud, found = one
            # its own stream: what an earlier object drew must not change a later one
            cover = draw_object(np.random.default_rng([seed, number, 2]), canvas, cloud, found, difficulty)
            placed = [before.hidden_by(cover) for before in placed]
            placed.append(found._replace(visible=cover))
    layer = draw_clutter(rng, shape, [one.box for one in placed], 0.12 + 0.4 * difficulty)
    if layer is not None:
        level = light.sun_colour * light.sun[2] + light.sky_colour
        canvas = canvas._replace(photo=lay_over(canvas.photo, layer, level))
        placed = [one.hidden_by(layer[1]) for one in placed]
    pixels = photograph(rng, canvas.photo, difficulty)
    boxes = [(one.label, box_of(one, LEAST_SIDE)) for one in placed]
    return Scene(pixels, tuple(SceneObject(label, box) for label, box in keep_apart(boxes)))


def _one_object(
    seed: int, number: int, shape: tuple[int, int], camera: Camera, difficulty: float, placed: list[Placed]
) -> tuple[Cloud, Placed] | None:
    """An object in pixels, its feet on the ground, at a place that is free; None where there is none.

    Size, place and decor come from one stream, the class and its shape from another: neither knows the other.
    """
    rng, of_class = np.random.default_rng([seed, number, 0]), np.random.default_rng([seed, number, 1])
    decor = draw_decor(rng)
    size = float(np.exp(rng.uniform(np.log(SIZES[0]), np.log(SIZES[1]))))
    label = int(of_class.choice(len(CLASSES), p=SHARES))
    shares, shapes = zip(*KINDS[label], strict=True)
    build = shapes[int(of_class.choice(len(shapes), p=shares))]
    wear = 0.25 + of_class.random() * (0.4 + 0.6 * difficulty)
    model = build(of_class, size * oversampling(size), decor, min(wear, 1.0))
    turn = rotation(0, tilted(rng, 7)) @ rotation(1, tilted(rng, 7)) @ rotation(2, rng.uniform(0, 2 * np.pi))
    cloud = turned_cloud(cloud_of(model), turn.astype(np.float32))
    left, top, right, bottom = bounds(cloud, camera)
    scale = size / np.sqrt((right - left) * (bottom - top))
    scale *= min(1.0, 0.9 * shape[1] / (scale * (right - left)), 0.9 * shape[0] / (scale * (bottom - top)))
    points = cloud.points * np.float32(scale)
    points[:, 2] -= np.quantile(points[::7, 2], 0.01)  # it sinks in a little
    cloud = cloud._replace(points=points)
    found = free_place(rng, bounds(cloud, camera), shape, label, placed)
    return None if found is None else (cloud, found)


def _lit_ground(albedo: Colours, relief: Plane, light: Light) -> Colours:
    """The ground in linear light: its relief against the sun."""
    down, across = np.gradient(gaussian_filter(relief, 0.6))
    normal = np.stack([-0.5 * across, 0.5 * down, np.ones_like(relief)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    received = np.clip(normal @ light.sun, 0, None)[..., None] * light.sun_colour
    return np.asarray(albedo * (received + light.sky_colour * (0.55 + 0.45 * normal[..., 2:] ** 4)), dtype=np.float32)
