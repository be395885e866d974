"""A profile as text of at most 80 columns: what was counted, where the time goes, one sentence. Pure."""

from collections.abc import Sequence

from harness.profile import BETWEEN, PREPARING, Layer, Profile, advice, parts
from harness.report.clean import clean, columns, pad, shorten, wrap
from harness.report.fields import WIDTH, count, field, size

ROWS = 14  # layers in the table, those of the most time; the rest is summed
_NAME, _KIND = 22, 18  # columns
_HEAD = ("layer", "kind", "params", "MACs", "ms", "%", "/floor")
_RIGHT = len(_HEAD) - 5  # columns from here on are numbers


def profile_text(profile: Profile) -> str:
    """The profile of a package."""
    lines = [_title(profile), *_counts(profile), *_times(profile)]
    if profile.layers:
        lines += ["", *_table(profile)]
    for note in profile.notes:
        lines += field("note", clean(note))
    return "\n".join([*lines, "", *wrap(clean(advice(profile), 1000), WIDTH)]) + "\n"


def _title(profile: Profile) -> str:
    at = "" if profile.size is None else f" at {profile.size[1]}x{profile.size[0]}"
    threads = f"{profile.threads} thread{'s' * (profile.threads > 1)}"
    name = shorten(clean(profile.package), 30)
    return shorten(f"{name} for {clean(profile.data)}{at}: {profile.runtime}, {threads}, {profile.crops} crops", WIDTH)


def _counts(profile: Profile) -> list[str]:
    lines = field("parameters", "not counted" if profile.parameters is None else f"{profile.parameters:,}")
    if profile.macs is None:
        lines += field("MACs", "not counted" + f": {profile.counted}" * bool(profile.counted))
    else:
        by_torch = ""
        if profile.cross_check is not None:
            same = "as many" if profile.cross_check == profile.macs else f"{profile.cross_check:,}"
            by_torch = f"; by torch's FlopCounterMode / 2 {same}"
        lines += field("MACs", f"{profile.macs:,}: {profile.counted}{by_torch}")
        if profile.not_counted:
            lines += field("not counted", ", ".join(profile.not_counted))
    memory = [] if profile.weight_bytes is None else [f"weights {size(profile.weight_bytes)}"]
    memory += [] if profile.activation_bytes is None else [f"activations {size(profile.activation_bytes)} at most"]
    return lines + field("memory", ", ".join([*memory, f"package {size(profile.file_bytes)} on disk"]))


def _times(profile: Profile) -> list[str]:
    total = profile.total_ms
    if total is None:
        return []
    named = (
        ("preparing", profile.prepare_ms),
        ("network", profile.network_ms),
        ("by its predict", profile.answer_ms if profile.network_ms is not None else None),
    )
    split = ", ".join(f"{name} {_ms(ms)}" for name, ms in named if ms is not None)
    lines = field("a crop", f"{_ms(total)} ms" + (f": {split}" if split else ""))
    floor, roof = profile.floor_ms, profile.roof
    if floor and roof is not None and profile.network_ms is not None:
        lines += field(
            "floor",
            f"{_ms(floor)} ms at {roof.gflops:.0f} GFLOP/s and {roof.cache_gbs:.0f} GB/s (large layers "
            f"{roof.memory_gbs:.0f}): the network takes {profile.network_ms / floor:.1f} times as long",
        )
    return lines


def _table(profile: Profile) -> list[str]:
    """The layers of the most time in the order in which they run; all others as one, what is no layer below."""
    total = profile.total_ms or 1.0
    heaviest = sorted(profile.layers, key=lambda layer: -layer.ms)[:ROWS]
    shown = [layer for layer in profile.layers if layer in heaviest]
    others = [layer for layer in profile.layers if layer not in heaviest]
    rows = [_HEAD, *(_row(layer, total) for layer in shown)]
    if others:
        rows.append(_row(_summed(others), total))
    rows += [
        (f"({name})", "", "", "", _ms(ms), f"{ms / total:.0%}"[:-1], "")
        for name, ms in parts(profile)
        if name in (PREPARING, BETWEEN)
    ]
    return _aligned(rows)


def _summed(layers: Sequence[Layer]) -> Layer:
    return Layer(
        name=f"{len(layers)} other layers",
        kind="",
        ms=sum(layer.ms for layer in layers),
        macs=sum(layer.macs for layer in layers),
        parameters=sum(layer.parameters for layer in layers),
        floor_ms=sum(layer.floor_ms or 0.0 for layer in layers),
    )


def _row(layer: Layer, total: float) -> tuple[str, ...]:
    far = "" if not layer.floor_ms else f"{min(layer.ms / layer.floor_ms, 9999):.1f}"
    share = f"{layer.ms / total:.0%}"[:-1]
    numbers = (count(layer.parameters or None), count(layer.macs or None), _ms(layer.ms), share, far)
    return (_cut(clean(layer.name), _NAME), shorten(clean(layer.kind), _KIND), *numbers)


def _cut(name: str, most: int) -> str:
    """The end of a module's name tells more than its beginning.

    >>> _cut("features.stage4.blocks.11.conv", 16)
    '….blocks.11.conv'
    """
    return name if columns(name) <= most else f"…{name[1 - most :]}"


def _ms(value: float) -> str:
    """Three significant digits, no more than a clock can tell.

    >>> _ms(0.01234), _ms(41.2264), _ms(123.4)
    ('0.012', '41.2', '123')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            pad(cell, width) if place < _RIGHT else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {' '.join(cells)}".rstrip())
    return lines
