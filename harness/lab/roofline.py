"""What this machine does at most with torch in float32: arithmetic and bandwidth, measured, not looked up."""

from collections.abc import Callable
from time import perf_counter

import torch
from torch import nn

from harness.profile import CACHED_BYTES, Roof

_TRIES_S = 0.4  # of each; the best one counts, so that a busy machine lowers the roof little: each try is short
_SIDE = 384  # of the GEMM's matrices: it reaches the peak, and takes a millisecond
_CHANNELS, _MAP = 64, 56  # of the convolution, 3x3, for the same reasons
_CACHED = (256 << 10, 1 << 20, CACHED_BYTES // 2)  # bytes of a copy, which moves twice as many
_LARGE = 64 << 20


@torch.inference_mode()
def roof() -> Roof:
    """Of the threads that torch has now. Takes two seconds."""
    matrix = torch.randn(_SIDE, _SIDE)
    conv = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1).eval().to(memory_format=torch.channels_last)
    maps = torch.randn(1, _CHANNELS, _MAP, _MAP).to(memory_format=torch.channels_last)
    gemm = 2 * _SIDE**3 / _best_s(lambda: matrix @ matrix)
    convolution = 2 * 9 * _CHANNELS**2 * _MAP**2 / _best_s(lambda: conv(maps))
    return Roof(
        gflops=max(gemm, convolution) / 1e9,
        cache_gbs=max(_copied_gbs(size) for size in _CACHED),
        memory_gbs=_copied_gbs(_LARGE),
    )


def _copied_gbs(size: int) -> float:
    """10^9 bytes a second, read and written, of a copy of so many bytes."""
    source = torch.ones(size // 4)
    target = torch.empty_like(source)
    return 2 * size / _best_s(lambda: target.copy_(source)) / 1e9


def _best_s(work: Callable[[], object]) -> float:
    best, started = float("inf"), perf_counter()
    work()
    while perf_counter() - started < _TRIES_S:
        begun = perf_counter()
        work()
        best = min(best, perf_counter() - begun)
    return best if best < float("inf") else perf_counter() - started
