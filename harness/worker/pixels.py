"""From crops to what a declared network takes. Pillow's resampling is that of training (torch's, antialiased).

torch does it in a third of the time, but takes a second and a half to load: it resizes for networks that torch runs.
Measured beside OpenCV and torchvision: docs/speed.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.formats import Input, Resize

Crop = NDArray[np.uint8]
Prepare = Callable[[Sequence[Crop]], NDArray[Any]]
Resizing = Callable[[Crop, int, int, Resize], Crop]
_FILTERS: dict[Resize, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}


def with_pillow(crop: Crop, height: int, width: int, resize: Resize) -> Crop:
    """The crop, uint8 (H, W, 3), resized to (height, width, 3)."""
    return np.asarray(Image.fromarray(crop).resize((width, height), _FILTERS[resize]))


def with_torch(crop: Crop, height: int, width: int, resize: Resize) -> Crop:
    """The same; bilinear, which is that of `harness train`, by torch: to the last bit. Its bicubic is not Pillow's."""
    if resize != "bilinear":
        return with_pillow(crop, height, width, resize)
    import torch

    pixels = torch.tensor(crop).permute(2, 0, 1)[None]  # a copy: torch.from_numpy warns of read-only crops
    resized = torch.nn.functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def preparing(its: Input, resized: Resizing = with_pillow) -> Prepare:
    """A function of uint8 crops, (H, W, 3) each, 1x1 and up, to (n, *its.shape()) of its.type.

    What it returns is overwritten by its next call with as many crops.
    """
    # value = (pixel / 255 - mean) / std = pixel * scale + shift, along the axis of the channels
    axes = (3, 1, 1) if its.layout == "NCHW" else (3,)
    std = np.array(its.std, np.float32)
    scale = (1.0 / (255.0 * std)).reshape(axes)
    shift = (-np.array(its.mean, np.float32) / std).reshape(axes)
    height, width = its.sides()
    buffers: dict[int, tuple[NDArray[np.uint8], NDArray[Any]]] = {}

    def prepare(crops: Sequence[Crop]) -> NDArray[Any]:
        if len(crops) not in buffers:
            pixels = np.zeros((len(crops), height, width, 3), np.uint8)
            buffers[len(crops)] = pixels, np.empty((len(crops), *its.shape()), its.type)
        pixels, out = buffers[len(crops)]
        for canvas, crop in zip(pixels, crops, strict=True):
            _placed(crop, its, canvas, resized)
        ordered = pixels.transpose(0, 3, 1, 2) if its.layout == "NCHW" else pixels
        if its.type == "uint8":
            out[:] = ordered
            return out
        np.multiply(ordered, scale, out=out)
        np.add(out, shift, out=out)
        return out

    return prepare


def _placed(crop: Crop, its: Input, canvas: NDArray[np.uint8], resized: Resizing) -> None:
    """The crop, resized, on a canvas (height, width, 3): centred on zeros, or stretched over all of it."""
    height, width = canvas.shape[:2]
    if its.pad:
        tall, wide = crop.shape[:2]
        if tall * width > wide * height:  # rounded as in training, to the pixel
            width = max(1, round(wide * height / tall))
        else:
            height = max(1, round(tall * width / wide))
    if crop.shape[:2] != (height, width):
        crop = resized(crop, height, width, its.resize)
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    if (height, width) != canvas.shape[:2]:
        canvas.fill(0)
    canvas[top : top + height, left : left + width] = crop
