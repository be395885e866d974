"""What `harness profile` finds of a package: its counts, its layers and their times, how far they are from the floor.

Pure: values, their sums and one sentence. harness/lab/profile.py measures, harness/report/profile.py shows.
A layer's floor is the roofline's (Williams et al., 2009): no faster than its arithmetic at the machine's peak, nor than
its bytes at the machine's bandwidth.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from harness.errors import DataError, misread
from harness.raw import Part

CACHED_BYTES = 8 << 20  # a layer that moves no more may find it all in a cache
_HEAVY = 0.4  # share of the time from which a thing is named first
_FAR = 4.0  # times its floor: from here on a runtime gains more than fewer multiply-adds
_MEMORY_BOUND = 0.15  # share of the peak's arithmetic below which a layer waits for memory
_NORMS = "batch norms"
_FAMILIES = {  # by the kinds of torch's modules and operators, of ONNX's and of OpenVINO's
    "linear": "linear layers",
    **dict.fromkeys(("BatchNorm2d", "BatchNormAct2d", "BatchNormalization", "batch_norm"), _NORMS),
    **dict.fromkeys(("ReLU", "ReLU6", "Hardswish", "Hardsigmoid", "SiLU", "GELU", "Sigmoid"), "activations"),
    **dict.fromkeys(("Relu", "HardSwish", "HardSigmoid", "HSwish", "HSigmoid", "Swish", "Clip"), "activations"),
    **dict.fromkeys(("relu", "relu_", "hardswish", "hardswish_", "hardsigmoid", "silu"), "activations"),
    **dict.fromkeys(("AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d", "SelectAdaptivePool2d", "mean"), "pooling"),
    **dict.fromkeys(("GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean", "Reduce", "Pooling"), "pooling"),
}
BETWEEN, PREPARING, WHOLE = "between the layers", "preparing the crop", "all that has no layers"


class Roof(Part, frozen=True):
    """What this machine does at most by the threads of the profile: torch in float32, or a layer where it did more.

    int8 and convolutions with fewer multiplications (Winograd's) may do more; so may what torch did on a busy machine.
    """

    gflops: float  # 10^9 multiplications and additions a second, the better of a GEMM and a convolution
    cache_gbs: float  # 10^9 bytes a second, read and written, of copies that fit in a cache
    memory_gbs: float  # of copies that do not

    def floor_ms(self, macs: int, bytes_moved: int) -> float:
        """The least time of a layer.

        >>> Roof(100.0, 50.0, 10.0).floor_ms(50_000_000, 1_000_000)
        1.0
        >>> Roof(100.0, 50.0, 10.0).floor_ms(0, 20_000_000)
        2.0
        """
        bandwidth = self.cache_gbs if bytes_moved <= CACHED_BYTES else self.memory_gbs
        return max(2 * macs / self.gflops, bytes_moved / bandwidth) / 1e6


class Layer(Part, frozen=True):
    """A named module of torch, a node as ONNX Runtime or OpenVINO runs it: fused with what follows it."""

    name: str
    kind: str  # like "conv 5x5 dw 480": kernel, depthwise, channels out
    ms: float  # median over the crops
    macs: int = 0
    parameters: int = 0
    bytes_moved: int = 0  # its inputs, outputs and weights, each once
    floor_ms: float | None = None

    @property
    def family(self) -> str:
        """What kinds of one family have in common.

        >>> Layer("a", "conv 5x5 dw 480", 1.0).family, Layer("b", "conv 1x1 80", 1.0).family
        ('depthwise convolutions', '1x1 convolutions')
        """
        head, *more = self.kind.split()
        if head != "conv":
            return _FAMILIES.get(head, "other operators")
        if "dw" in more:
            return "depthwise convolutions"
        return "1x1 convolutions" if more[:1] == ["1x1"] else "other convolutions"


class Profile(Part, frozen=True, kw_only=True):
    """All of it. None is what could not be counted or measured; `notes` say why. Times are medians in ms, batch 1."""

    package: str
    digest: str  # of the staged copy, as on a record
    data: str
    format: str
    runtime: str  # like "torch 2.9.1"
    size: tuple[int, int] | None  # height and width of the network's input, pixels
    threads: int
    crops: int  # validation crops that were timed
    parameters: int | None = None  # numbers that were learnt
    macs: int | None = None  # multiply-adds of a crop
    counted: str = ""  # what `macs` counts, or why nothing is counted
    not_counted: tuple[str, ...] = ()  # operators without multiply-adds in `macs`
    cross_check: int | None = None  # multiply-adds by torch's FlopCounterMode / 2
    weight_bytes: int | None = None  # of the weights, as the network holds them
    activation_bytes: int | None = None  # the most that live at once
    file_bytes: int = 0  # of the staged package
    answer_ms: float | None = None  # predict, from the crop to its label
    prepare_ms: float | None = None
    network_ms: float | None = None
    between_ms: float = 0.0  # of network_ms, but in no layer
    roof: Roof | None = None
    layers: tuple[Layer, ...] = ()  # in the order in which they run
    notes: tuple[str, ...] = ()

    @property
    def floor_ms(self) -> float | None:
        """The layers' floors together; None without layers."""
        floors = [layer.floor_ms for layer in self.layers if layer.floor_ms is not None]
        return sum(floors) if floors else None

    @property
    def total_ms(self) -> float | None:
        """Crop to label: preparing and network where both are known, else what predict takes."""
        if self.network_ms is None:
            return self.answer_ms
        return self.network_ms + (self.prepare_ms or 0.0)


class Published(Part, frozen=True, kw_only=True):
    """What of a profile does not depend on the machine: leaderboard/profiles/<digest>.json."""

    digest: str
    name: str
    parameters: int | None
    macs: int | None
    size: tuple[int, int] | None
    weight_bytes: int | None
    counted: str
    not_counted: tuple[str, ...] = ()


def floored(layers: Iterable[Layer], roof: Roof) -> tuple[Layer, ...]:
    """The layers with their floors."""
    return tuple(
        msgspec.structs.replace(layer, floor_ms=roof.floor_ms(layer.macs, layer.bytes_moved)) for layer in layers
    )


def raised(roof: Roof, layers: Iterable[Layer]) -> Roof:
    """The roof, no lower than what a layer reached: nothing is faster than its floor."""
    timed = [layer for layer in layers if layer.ms > 0]
    small, large = ([one for one in timed if (one.bytes_moved <= CACHED_BYTES) is cached] for cached in (True, False))
    return Roof(
        gflops=max([roof.gflops, *(2 * one.macs / one.ms / 1e6 for one in timed)]),
        cache_gbs=max([roof.cache_gbs, *(one.bytes_moved / one.ms / 1e6 for one in small)]),
        memory_gbs=max([roof.memory_gbs, *(one.bytes_moved / one.ms / 1e6 for one in large)]),
    )


def published(profile: Profile) -> Published:
    """What is kept of a profile."""
    return Published(
        digest=profile.digest,
        name=profile.package,
        parameters=profile.parameters,
        macs=profile.macs,
        size=profile.size,
        weight_bytes=profile.weight_bytes,
        counted=profile.counted,
        not_counted=profile.not_counted,
    )


def decode(text: bytes, source: str) -> Published:
    """The profile in a file's bytes. Raises DataError naming the file and what is wrong."""
    try:
        found = msgspec.json.decode(text, type=Published)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source}: {misread(error, 'a profile')}") from error
    for name in ("parameters", "macs"):
        count = getattr(found, name)
        if count is not None and not 0 < count < 2**53:  # what JavaScript holds exactly
            raise DataError(f"{source}: {name}: expected a whole number above 0, got {count}")
    return found


def parts(profile: Profile) -> list[tuple[str, float]]:
    """All that the time goes to, in ms: preparing, each layer, and what is in no layer."""
    found = [] if profile.prepare_ms is None else [(PREPARING, profile.prepare_ms)]
    found += [(layer.name, layer.ms) for layer in profile.layers]
    if profile.layers:
        found.append((BETWEEN, profile.between_ms))
    elif (rest := profile.network_ms or profile.answer_ms) is not None:
        found.append((WHOLE, rest))
    return found


def families(layers: Sequence[Layer]) -> dict[str, list[Layer]]:
    """Layers by what they are, the family of the most time first."""
    found: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        found[layer.family].append(layer)
    return dict(sorted(found.items(), key=lambda pair: -sum(layer.ms for layer in pair[1])))


def advice(profile: Profile) -> str:
    """One sentence: where the time goes, and what would pay."""
    total = profile.total_ms
    if not total:
        return "No time was measured."
    share = {name: ms / total for name, ms in parts(profile)}
    preparing, between = share.get(PREPARING, 0.0), share.get(BETWEEN, 0.0)
    if preparing >= _HEAVY:
        return (
            f"{preparing:.0%} of the time is preparing the crop, not the network: a smaller input or a cheaper "
            "resizing pays most."
        )
    if not profile.layers:
        known = f", of which preparing it takes {preparing:.0%}" if preparing else ""
        return f"A crop takes {total:.3g} ms{known}; no layers can be told apart here."
    if between >= _HEAVY:
        return (
            f"{between:.0%} of the time passes between the layers, in no operator: fewer layers"
            f"{_another_runtime(profile)} pay most."
        )
    return f"{_heaviest(profile, total)}; preparing the crop takes {preparing:.0%}: {_what_pays(profile)}."


def _heaviest(profile: Profile, total: float) -> str:
    family, layers = next(iter(families(profile.layers).items()))
    top = max(profile.layers, key=lambda layer: layer.ms)
    together = sum(layer.ms for layer in layers) / total
    if len(layers) == 1 or top.ms / total >= _HEAVY:
        return f"{top.ms / total:.0%} of the time is {top.name} ({top.kind})"
    said = f"{together:.0%} of the time is the {len(layers)} {family}"
    return f"{said}, most of all {top.name} ({top.kind}, {top.ms / total:.0%})" if top in layers else said


def _what_pays(profile: Profile) -> str:
    """By the distance of the layers from their floor, and by what the floor of the heaviest ones is."""
    floor, roof = profile.floor_ms, profile.roof
    heaviest, layers = next(iter(families(profile.layers).items()))
    if heaviest == _NORMS:
        return "an export folds them into the convolutions before them (`harness export`)"
    if not floor or roof is None or not profile.network_ms:
        return "fewer pixels or channels there pay most"
    distance = profile.network_ms / floor
    if distance >= _FAR:
        return (
            f"the network takes {distance:.1f} times its floor, so fewer and plainer layers"
            f"{_another_runtime(profile)} pay more than fewer multiply-adds"
        )
    arithmetic = sum(2 * layer.macs for layer in layers) / 1e6 / max(sum(layer.ms for layer in layers), 1e-9)
    if arithmetic < _MEMORY_BOUND * roof.gflops:
        return "they wait for memory, so fewer pixels or channels there pay most"
    return f"at {distance:.1f} times its floor the network is near it, so fewer multiply-adds there pay most"


def _another_runtime(profile: Profile) -> str:
    return " or another runtime (`harness export`)" if profile.runtime.startswith("torch") else ""
