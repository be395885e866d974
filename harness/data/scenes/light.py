"""The light of a scene: a sun, a sky, and the surroundings that shiny things reflect."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from harness.data.scenes.noise import Colours, Plane, Points, Rng, fractal, smooth_step

SIDE = 96  # of the picture of the sky


class Light(NamedTuple):
    """One scene's light; colours are linear and 1 is what a white sheet sends back in full light."""

    sun: Points  # (3,) unit vector towards the sun
    sun_colour: Colours  # (3,)
    sky_colour: Colours  # (3,)
    bounce: Colours  # (3,) what the ground sends back
    sharp: Colours  # (SIDE, SIDE, 3) the sky seen straight up, the horizon is the inscribed circle
    blurred: Colours  # the same, out of focus
    softness: float  # of shadows: 0 a clear sky, 1 an overcast one


def draw_light(rng: Rng, ground: Colours) -> Light:
    """From hard sun to overcast; `ground`: (3,) mean colour of what lies around."""
    overcast = rng.random() ** 1.3
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(28, 72))
    sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    warm = rng.uniform(0, 0.22)
    sun_colour = np.array([1, 1 - 0.4 * warm, 1 - warm]) * (1.0 - 0.85 * overcast)
    sky_colour = np.array([1 - 0.8 * warm, 1 - 0.3 * warm, 1.0]) * (0.34 + 0.42 * overcast)
    bounce = ground * (sun_colour * np.sin(elevation) + sky_colour)
    sharp = _surroundings(rng, sky_colour, overcast)
    blurred = gaussian_filter(sharp, (10, 10, 0), mode="nearest")
    values = (sun, sun_colour, sky_colour, bounce, sharp, blurred)
    towards, direct, diffuse, back, clear, dim = (value.astype(np.float32) for value in values)
    return Light(towards, direct, diffuse, back, clear, dim, float(overcast))


def _surroundings(rng: Rng, sky_colour: Colours, overcast: float) -> Colours:
    """Clouds above, trees and walls along the horizon, at times the photographer's dark outline."""
    axis = np.linspace(-1, 1, SIDE)
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y).astype(np.float32)
    clouds = smooth_step(fractal(rng, (SIDE, SIDE), 30), -0.3, 0.5)[..., None]
    blue = sky_colour * np.array([0.75, 0.95, 1.3])
    sky = blue * (1 - clouds) * 1.1 + clouds * sky_colour * (1.8 + 0.6 * overcast)
    skyline = radius + 0.1 * fractal(rng, (SIDE, SIDE), 22)
    trees = smooth_step(skyline, 0.70, 0.76)[..., None]
    colour = rng.uniform(0.02, 0.08) * rng.uniform(0.7, 1.3, 3)
    sky = sky * (1 - trees) + colour * trees
    if rng.random() < 0.5:  # whoever holds the camera
        person = np.exp(-((((x - rng.uniform(-0.3, 0.3)) / 0.2) ** 2 + ((y + 0.5) / 0.45) ** 2) ** 2))[..., None]
        sky = sky * (1 - 0.85 * person)
    return np.asarray(sky, dtype=np.float32)


def reflection(light: Light, direction: Points, rough: Plane) -> Colours:
    """What is seen in each direction, (n, 3) unit vectors; `rough`: (n,) 0 to 1."""
    up = direction[:, 2]
    column = np.clip((direction[:, 0] + 1) * (SIDE / 2), 0, SIDE - 1).astype(np.intp)
    row = np.clip((direction[:, 1] + 1) * (SIDE / 2), 0, SIDE - 1).astype(np.intp)
    share = rough[:, None]
    above = light.sharp[row, column] * (1 - share) + light.blurred[row, column] * share
    below = light.bounce * (0.45 - 0.25 * up)[:, None]
    horizon = smooth_step(up, -0.06, 0.06)[:, None]
    return np.asarray(above * horizon + below * (1 - horizon), dtype=np.float32)
