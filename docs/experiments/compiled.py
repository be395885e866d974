"""mbv3_cut's network alone in a plain loop: memory layout, folded batch norms, torch.compile. In turns, two threads.

python docs/experiments/compiled.py         needs a C++ compiler for torch.compile; nothing else running

Not judged: in the sandbox there is no compiler. Each ratio is to eager PyTorch with channels last, round by round.
"""

import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from harness.data.store import open_store
from harness.lab.export import opened
from harness.lab.programs import folded
from harness.nets.memory import keep_pages

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, CALLS = 15, 20


def main() -> None:
    """Prints a line a way."""
    keep_pages()
    torch.set_num_threads(2)
    net = opened(ROOT / "submissions" / "mbv3_cut", open_store(ROOT / "data" / "embedded")).net
    contiguous = copy.deepcopy(net).to(memory_format=torch.contiguous_format)
    last, first = torch.channels_last, torch.contiguous_format
    ways: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], torch.memory_format]] = {
        "eager, channels last": (net, last),
        "eager, contiguous": (contiguous, first),
        "folded, channels last": (folded(net)[0].to(memory_format=last), last),
        "torch.compile, channels last": (torch.compile(net), last),
        "torch.compile, folded, contiguous": (torch.compile(folded(contiguous)[0]), first),
    }
    pixels = torch.rand(1, 3, 156, 156)
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):  # the first compiles
            for name, (way, order) in ways.items():
                its = pixels.to(memory_format=order)
                way(its)
                begin = time.perf_counter()
                for _ in range(CALLS):
                    way(its)
                times[name].append((time.perf_counter() - begin) / CALLS)
    reference = times["eager, channels last"][1:]
    for name, spent in times.items():
        ratios = [ours / theirs for ours, theirs in zip(spent[1:], reference, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name:<36}{middle:.3f} ({low:.3f}-{high:.3f}), {statistics.median(spent) * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
