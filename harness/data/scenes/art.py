"""What is printed on an object, and its colours: drawn before the class is looked at, alike for all classes."""

import colorsys
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.data.scenes.noise import Colours, Rng

SIDE = 192  # pixels of a print
GAMMA = 2.2
TO_LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)  # of each screen value
LETTERS = "ABCDEFGHIKLMNOPRSTUVWXZ"
VOWELS = "AEIOU"
Rgb = tuple[int, int, int]


class Decor(NamedTuple):
    """The colours of one object. `art`: SIDE x SIDE, RGB; `plain`, `second`: (3,) each, linear light."""

    art: Image.Image
    plain: Colours
    second: Colours


def linear(rgb: Rgb) -> Colours:
    """A screen colour, 0 to 255, as linear light."""
    return ((np.array(rgb) / 255) ** GAMMA).astype(np.float32)


def draw_colour(rng: Rng) -> Rgb:
    """White and greys, cardboard, black, and any hue: what rubbish comes in."""
    kind = rng.random()
    if kind < 0.33:
        hue, saturation, value = rng.random(), rng.uniform(0, 0.12), rng.uniform(0.6, 0.96)
    elif kind < 0.45:
        hue, saturation, value = rng.uniform(0.06, 0.12), rng.uniform(0.2, 0.55), rng.uniform(0.45, 0.8)
    elif kind < 0.53:
        hue, saturation, value = rng.random(), rng.uniform(0, 0.4), rng.uniform(0.16, 0.34)
    else:
        hue, saturation, value = rng.random(), rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.92)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_decor(rng: Rng) -> Decor:
    """Colours and print of one object; half are plain."""
    base, second = draw_colour(rng), draw_colour(rng)
    picture = Image.new("RGB", (SIDE, SIDE), base)
    if rng.random() < 0.5:
        draw = ImageDraw.Draw(picture)
        _areas(rng, draw, second)
        inks = [second, draw_colour(rng), (20, 20, 24) if sum(base) > 330 else (240, 240, 236)]
        for _ in range(int(rng.integers(1, 4))):
            PRINTS[int(rng.integers(len(PRINTS)))](rng, draw, inks[int(rng.integers(3))])
    return Decor(picture, linear(base), linear(second))


def stretched(
    art: Image.Image, shape: tuple[int, int], box: tuple[float, float, float, float] = (0, 0, 1, 1)
) -> Colours:
    """The part `box` (left, top, right, bottom; shares of 1) of a print laid on a grid: (rows, columns, 3) linear."""
    left, top, right, bottom = (SIDE * value for value in box)
    laid = art.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    return np.asarray(TO_LINEAR[np.asarray(laid)], dtype=np.float32)


def flat(colour: Colours, shape: tuple[int, int]) -> Colours:
    """One colour on a grid: (rows, columns, 3)."""
    return np.broadcast_to(colour, (*shape, 3))


def _areas(rng: Rng, draw: ImageDraw.ImageDraw, ink: Rgb) -> None:
    """Bands or large shapes of a second colour."""
    kind = rng.random()
    if kind < 0.4:
        top = int(rng.integers(0, SIDE * 3 // 4))
        draw.rectangle((0, top, SIDE, top + int(rng.integers(10, 70))), fill=ink)
    elif kind < 0.65:
        lean = int(rng.integers(-80, 80))
        for left in range(-100, SIDE + 100, int(rng.integers(24, 70))):
            width = int(rng.integers(5, 20))
            draw.polygon([(left, 0), (left + width, 0), (left + lean + width, SIDE), (left + lean, SIDE)], fill=ink)
    elif kind < 0.85:
        for _ in range(int(rng.integers(2, 9))):
            x, y, radius = (int(value) for value in rng.integers((0, 0, 8), (SIDE, SIDE, 46)))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _word(rng: Rng) -> str:
    pairs = rng.integers((0, 0), (len(LETTERS), len(VOWELS)), size=(int(rng.integers(2, 4)), 2))
    return "".join(LETTERS[one] + VOWELS[two] for one, two in pairs)


def _title(rng: Rng, draw: ImageDraw.ImageDraw, ink: Rgb) -> None:
    """One large word, twice around, as on a can or a cup."""
    font = ImageFont.load_default(int(rng.integers(22, 46)))
    word, top = _word(rng), int(rng.integers(10, SIDE - 60))
    for left in (int(rng.integers(0, 20)), SIDE // 2 + int(rng.integers(0, 12))):
        draw.text((left, top), word, fill=ink, font=font)


def _text(rng: Rng, draw: ImageDraw.ImageDraw, ink: Rgb) -> None:
    """A block of small print."""
    font = ImageFont.load_default(int(rng.integers(8, 14)))
    left, top = (int(value) for value in rng.integers(4, SIDE // 2, 2))
    lines = ["  ".join(_word(rng) for _ in range(3)) for _ in range(int(rng.integers(3, 9)))]
    draw.multiline_text((left, top), "\n".join(lines), fill=ink, font=font, spacing=3)


def _badge(rng: Rng, draw: ImageDraw.ImageDraw, ink: Rgb) -> None:
    """A round mark with a ring and a letter."""
    x, y, radius = (int(value) for value in rng.integers((30, 30, 16), (SIDE - 30, SIDE - 30, 44)))
    inner = draw_colour(rng)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink, outline=inner, width=max(2, radius // 6))
    font = ImageFont.load_default(radius)
    draw.text((x, y), LETTERS[int(rng.integers(len(LETTERS)))], fill=inner, font=font, anchor="mm")


def _barcode(rng: Rng, draw: ImageDraw.ImageDraw, ink: Rgb) -> None:
    left, top = (int(value) for value in rng.integers(4, SIDE - 60, 2))
    draw.rectangle((left - 3, top - 3, left + 47, top + 32), fill=(236, 236, 232))
    for number in np.flatnonzero(rng.random(22) < 0.55):
        draw.rectangle((left + 2 * int(number), top, left + 2 * int(number) + 1, top + 28), fill=(24, 24, 26))
    del ink  # a bar code is black on white whatever the others are


def _star(rng: Rng, draw: ImageDraw.ImageDraw, ink: Rgb) -> None:
    x, y, radius = rng.uniform((30, 30, 16), (SIDE - 30, SIDE - 30, 50))
    points = int(rng.integers(4, 9)) * 2
    turns = np.arange(points) * 2 * np.pi / points + rng.uniform(0, 6)
    reach = np.where(np.arange(points) % 2, radius * rng.uniform(0.35, 0.8), radius)
    corners = zip(x + reach * np.cos(turns), y + reach * np.sin(turns), strict=True)
    draw.polygon([(float(one), float(two)) for one, two in corners], fill=ink)


PRINTS = (_title, _title, _text, _badge, _barcode, _star)
