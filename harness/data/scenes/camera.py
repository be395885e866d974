"""From linear light to the file of a phone: blur, exposure, white balance, noise, JPEG."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter1d

from harness.data.scenes.art import GAMMA
from harness.data.scenes.noise import Colours, Rng

Pixels = NDArray[np.uint8]
QUALITIES = (70, 84)  # of JPEG: a scene of 340x340 takes 28 KB or so
SHOULDER = 0.7  # linear light from which highlights are compressed


def photograph(rng: Rng, light: Colours, difficulty: float) -> Pixels:
    """A photo (height, width, 3) of linear light; a harder one is more blurred, noisier, worse exposed."""
    height, width = light.shape[:2]
    blur = rng.uniform(0.42, 0.6 + 0.7 * difficulty)
    light = gaussian_filter(light, (blur, blur, 0))
    if rng.random() < 0.25 * difficulty:  # a moving hand
        light = uniform_filter1d(light, int(rng.integers(2, 3 + round(4 * difficulty))), axis=int(rng.integers(2)))
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    vignette = (1 - rng.uniform(0, 0.22) * (x**2 + y**2))[..., None].astype(np.float32)
    balance = np.exp(rng.normal(0, 0.04 + 0.05 * difficulty, 3)).astype(np.float32)
    # automatic exposure aims at a middle grey, and misses
    aim = 0.2 * np.exp(rng.normal(0, 0.16 + 0.26 * difficulty))
    light = light * vignette * (balance * np.float32(aim / max(float(np.mean(light)), 1e-4)))
    screen = _developed(light, rng.uniform(0, 0.5))
    screen += _sensor_noise(rng, screen, rng.uniform(0.002, 0.006 + 0.024 * difficulty))
    if rng.random() < 0.5:  # phones sharpen
        screen += np.float32(rng.uniform(0.2, 0.7)) * (screen - gaussian_filter(screen, (1.0, 1.0, 0)))
    pixels: Pixels = (np.clip(screen, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def _developed(light: Colours, contrast: float) -> Colours:
    """The screen values of linear light: a shoulder for the highlights, then gamma, then an S-curve."""
    bright = light > SHOULDER
    light[bright] = SHOULDER + 0.3 * (1 - np.exp(-(light[bright] - SHOULDER) / 0.3))
    screen = np.maximum(light, 0) ** np.float32(1 / GAMMA)
    return np.asarray(screen * (1 - contrast + contrast * screen * (3 - 2 * screen)), dtype=np.float32)


def _sensor_noise(rng: Rng, screen: Colours, strength: float) -> Colours:
    """Finer in brightness than in colour, stronger in the dark."""
    shape = screen.shape[:2]
    grey = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.5)[..., None]
    half = (shape[0] // 2 + 1, shape[1] // 2 + 1, 3)
    colour = rng.standard_normal(half, dtype=np.float32).repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]
    dark = 1.3 - 0.6 * screen.mean(axis=-1, keepdims=True)
    return np.asarray(strength * dark * (1.8 * grey + 0.6 * colour), dtype=np.float32)


def jpeg(pixels: Pixels, seed: int) -> bytes:
    """The photo as JPEG of a quality in QUALITIES drawn from `seed`."""
    quality = int(np.random.default_rng([seed, 1]).integers(*QUALITIES, endpoint=True))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
