"""`harness profile`: a package's counts, its memory, and where the time of a crop goes. Runs its code in this process.

Times are medians over validation crops, one crop at a time, by the road that the package takes from a crop to a label.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from time import perf_counter_ns
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from harness.errors import DataError, SubmissionError
from harness.lab.graphs import Ran
from harness.lab.memory import keep_pages
from harness.lab.roofline import roof
from harness.lab.subjects import Crop, Order, Subject, subject
from harness.profile import Layer, Profile, floored, raised
from harness.staging import read_manifest
from harness.submission import check_requirements
from harness.worker.package import Failed

_BUSY = 1.0  # tasks a core; the profile itself adds its threads only as it goes
_WARM = 3  # crops before those that are timed

Progress = Callable[[int, int], None]  # (done, of)


def profile(order: Order, progress: Progress) -> Profile:
    """Counts and times a package.

    Raises SubmissionError where it cannot be built, loaded or run, DataError without validation crops, MachineError
    where something is not installed. torch's number of threads is as before afterwards.
    """
    manifest = read_manifest(order.package)
    check_requirements(manifest)
    crops = _crops(order)
    busy = _busy(os.getloadavg()[0], len(os.sched_getaffinity(0)))
    with _threads(order.threads), contextlib.chdir(order.staged):
        keep_pages()  # as the worker does
        its = subject(order, manifest)
        try:
            times, prepared = _times(its, crops, progress)
            found = its.finish(prepared)
        except Failed as failed:
            raise SubmissionError(f"{order.package.name}: {failed}", kind="model") from failed
        top = roof()
    layers, between = _fitted(found.ran, times.network)
    top = raised(top, layers)
    form = order.described.format
    return Profile(
        package=order.described.name,
        digest=order.described.digest,
        data=order.store.manifest.name,
        format=form if isinstance(form, str) else "python",
        runtime=its.runtime,
        threads=order.threads,
        crops=len(crops) - _WARM,
        file_bytes=order.described.size_bytes,
        prepare_ms=_median(times.prepare),
        network_ms=_median(times.network),
        answer_ms=_median(times.answer),
        roof=top,
        layers=floored(layers, top),
        between_ms=between,
        **{**found.fields, "notes": (*found.fields.get("notes", ()), *busy)},
    )


def _crops(order: Order) -> list[Crop]:
    """Evenly chosen, those to warm up on first; one is shown more than once where there are few."""
    crops = order.store.crops("val")
    name = order.store.manifest.name
    if not len(crops):
        raise DataError(f"{name}: expected validation crops to time, got none; prepare it with some")
    chosen = np.linspace(0, len(crops) - 1, min(order.crops, len(crops))).round().astype(int).tolist()
    return [crops[number] for number in [*chosen, *chosen, *chosen][:_WARM] + chosen]


class _Times(NamedTuple):
    """ms of each crop; empty where a package has no such road."""

    prepare: list[float]
    network: list[float]
    answer: list[float]


def _times(its: Subject, crops: Sequence[Crop], progress: Progress) -> tuple[_Times, list[Any]]:
    """The times, and the prepared crops, of those after the warm-up."""
    times, kept = _Times([], [], []), []
    for number, crop in enumerate(crops):
        if its.prepare is not None:
            pixels = _spent(times.prepare, its.prepare, crop)
            kept.append(pixels.copy() if isinstance(pixels, np.ndarray) else pixels)  # a buffer is used once more
            if its.network is not None:
                _spent(times.network, its.network, pixels)
        if its.answer is not None:
            _spent(times.answer, its.answer, crop)
        progress(number + 1, len(crops))
    return _Times(*(ms[_WARM:] for ms in times)), kept[_WARM:]


def _spent(times: list[float], work: Callable[[Any], Any], given: Any) -> Any:
    started = perf_counter_ns()
    result = work(given)
    times.append((perf_counter_ns() - started) / 1e6)
    return result


def _median(times: Sequence[float]) -> float | None:
    return median(times) if times else None


def _fitted(ran: Ran, network: Sequence[float]) -> tuple[tuple[Layer, ...], float]:
    """Layers and what is between them, in ms: their shares, as the profiler saw them, of the time without it.

    Of torch there are two times between the layers, each too long: one has the profiler in it, the other a busy
    machine's stalls. The shorter one counts.
    """
    together = sum(layer.ms for layer in ran.layers)
    if not network or not together:
        return ran.layers, 0.0
    between = ran.between_ms if ran.least_ms is None else min(ran.between_ms, min(network) - ran.least_ms)
    between = max(between, 0.0)
    share = median(network) / (together + between)
    return tuple(msgspec.structs.replace(layer, ms=layer.ms * share) for layer in ran.layers), between * share


def _busy(load: float, cores: int) -> tuple[str, ...]:
    """What is to be said of a machine that others use; `load`: tasks that wanted a core in the last minute.

    >>> _busy(0.4, 2), _busy(16.3, 2)
    ((), ('the machine is busy (load 16.3 on 2 cores): times say little',))
    """
    return (f"the machine is busy (load {load:.1f} on {cores} cores): times say little",) * (load > _BUSY * cores)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
