"""How long a crop takes to become an input: Pillow and torch (as declared packages use them), OpenCV, torchvision.

python docs/experiments/pixels.py            needs: pip install opencv-python-headless

A crop of 192x256 to 3x156x156 float32, normalised, on one thread; medians of 7 rounds in turns, and how far each is
from what training does (grey levels).
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torchvision.transforms import v2

from harness.formats import IMAGENET_MEAN, IMAGENET_STD, Input
from harness.nets.preprocess import batch
from harness.worker.pixels import preparing, with_torch

SIZE, ROUNDS, CALLS = 156, 7, 200
CROP = np.random.default_rng(0).integers(0, 256, (192, 256, 3), dtype=np.uint8)
CROP = np.ascontiguousarray(cv2.GaussianBlur(CROP, (0, 0), 2))  # no noise: photos have structure
pillow, by_torch = preparing(Input(SIZE)), preparing(Input(SIZE), with_torch)
_SCALE = 1 / (255 * np.array(IMAGENET_STD, np.float32)).reshape(3, 1, 1)
_SHIFT = -(np.array(IMAGENET_MEAN, np.float32) / np.array(IMAGENET_STD, np.float32)).reshape(3, 1, 1)
resize, normalise = v2.Resize((117, 156), antialias=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)


def opencv(flag: int) -> np.ndarray:
    """Resized without antialiasing (linear) or by area."""
    canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
    canvas[19:136] = cv2.resize(CROP, (156, 117), interpolation=flag)
    return (canvas.transpose(2, 0, 1) * _SCALE + _SHIFT)[None]


def torchvision() -> torch.Tensor:
    """v2's transforms on a tensor of bytes."""
    pixels = v2.functional.pad(resize(torch.from_numpy(CROP).permute(2, 0, 1)), [0, 19, 0, 20])
    return normalise(v2.functional.to_dtype(pixels, torch.float32, scale=True))[None]


WAYS: dict[str, Callable[[], object]] = {
    "Pillow (harness)": lambda: pillow([CROP]),
    "torch (harness)": lambda: by_torch([CROP]),
    "OpenCV, linear": lambda: opencv(cv2.INTER_LINEAR),
    "OpenCV, area": lambda: opencv(cv2.INTER_AREA),
    "torchvision v2": torchvision,
    "training's own (torch)": lambda: batch([CROP], SIZE, "cpu"),
}


def main() -> None:
    """Prints a line a way."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            begin = time.perf_counter()
            for _ in range(CALLS):
                way()
            times[name].append((time.perf_counter() - begin) / CALLS * 1e6)
    truth = np.asarray(batch([CROP], SIZE, "cpu"))
    levels = 255 * np.array(IMAGENET_STD).reshape(3, 1, 1)
    for name, way in WAYS.items():
        far = np.abs(np.asarray(way()) - truth) * levels
        us = statistics.median(times[name])
        print(f"{name:<24} {us:6.0f} us  at most {far.max():.1f} grey levels, mean {far.mean():.2f}")


if __name__ == "__main__":
    main()
