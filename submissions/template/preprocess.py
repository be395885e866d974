"""From a crop of any size to the network's input: one function for fit.py and predict.py, so that a model sees
in the test what it saw in training, to the last bit.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SIZE = 96  # pixels a side: the first thing to change; time goes with its square, accuracy drops slowly


def square(crop: NDArray[np.uint8], size: int = SIZE) -> Tensor:
    """uint8 (3, size, size) from uint8 (H, W, 3) RGB, 1 and up: shape kept, centred, the rest black."""
    pixels = torch.tensor(crop)  # copies: crops are read-only, which torch.from_numpy warns of
    pixels = pixels.permute(2, 0, 1)[None]  # (1, 3, H, W), in memory still channels last: resized fastest
    height, width = pixels.shape[2:]
    longest = max(height, width)
    height, width = max(1, round(height * size / longest)), max(1, round(width * size / longest))
    # Resized before it is padded (3000x2000 is never made 3000x3000), as bytes and on the CPU (so that a GPU
    # is sent 27 KB and the input is the same), with antialiasing (without it most pixels go unread).
    pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    left, top = (size - width) // 2, (size - height) // 2
    return functional.pad(pixels, (left, size - width - left, top, size - height - top))[0]
