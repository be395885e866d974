"""What a search may change: a YAML file of choices and ranges, laid over a package's recipe and table. Pure.

recipe:
  epochs: 4                                      # one value: the same for all trials, the start included
  size: {choose: [64, 96]}
  max_lr: {low: 0.02, high: 0.2, log: true}
table:
  width: {choose: [0.5, 1]}                      # times all channels; depth: times all repeats
  every: {kernel: {choose: [3, 5]}}              # of each block that has one, each for itself
  blocks:
    3: {expand: {low: 2, high: 6, step: 1}}      # by its number in the table, from 0
  cut: true                                      # any block may be left out; or a list of numbers
  add: {most: 1, of: [2, 3]}                     # so many copies in all, each behind the block that it copies
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from harness.errors import UsageError, misread
from harness.lab.recipe import Recipe
from harness.nets.reading import decoded
from harness.nets.table import (
    Conv,
    DepthwiseConv,
    InvertedResidual,
    InvertedResidualV2,
    Linear,
    Pooling,
    Table,
)

Value = bool | int | float | str | list[int | float] | None
Values = Mapping[str, Value]  # by a knob's place
KINDS = {str(one.__struct_config__.tag): one for one in (Conv, DepthwiseConv, InvertedResidual, Pooling, Linear)}
_FIELDS = {
    kind: tuple(field.name for field in msgspec.structs.fields(its))
    for kind, its in (KINDS | {"inverted_residual_v2": InvertedResidualV2}).items()
}
_ALL_FIELDS = tuple(dict.fromkeys(name for names in _FIELDS.values() for name in names))
_EITHER = {"expand": ("hidden", 0), "hidden": ("expand", 1)}  # a block gives one; the other is so much then
_MOST_ADDED = 20
_SETTING = "a setting"


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one value may be: one of `choose`, or from low to high, whole where both are (and step, if there is one)."""

    choose: tuple[bool | int | float | str | list[int | float], ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False  # drawn by its logarithm

    def __post_init__(self) -> None:
        ranged = (self.low is not None, self.high is not None)
        if bool(self.choose) == any(ranged) or any(ranged) != all(ranged):
            raise ValueError("expected choose, or low and high")
        if self.low is None or self.high is None:
            if self.step is not None or self.log:
                raise ValueError("expected step and log with low and high alone")
            return
        if not self.low < self.high:
            raise ValueError(f"expected low below high, got {self.low} and {self.high}")
        if self.step is not None and (self.log or not self.step > 0):
            raise ValueError("expected a step above 0, and no log beside it")
        if self.log and not self.low > 0:
            raise ValueError(f"expected low above 0 with log, got {self.low}")

    def whole(self) -> bool:
        """Whether a range is of integers."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step) if one is not None)


class Knob(NamedTuple):
    """One value that is varied."""

    place: str  # in the file, like "table.blocks.3.kernel"
    setting: Setting
    start: Value  # the package's own


class Space(NamedTuple):
    """The starting point, with the file's single values in it, and what is varied."""

    recipe: dict[str, Any]
    table: dict[str, Any]  # width, depth, blocks
    knobs: tuple[Knob, ...]
    varied: Mapping[int, tuple[str, ...]]  # by block: its varied fields


class _Add(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    most: int
    of: tuple[int, ...] | None = None  # all blocks without it


class _TablePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str = ""  # the table's, of a package with its own model.py
    width: Setting | int | float | None = None
    depth: Setting | int | float | None = None
    every: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    cut: bool | tuple[int, ...] = False
    add: _Add | None = None


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is read; `laid` checks it against a package."""

    recipe: dict[str, Any] = {}
    table: _TablePart = _TablePart()


def read(text: bytes, source: str) -> Written:
    """The file's parts. Raises UsageError naming the wrong key.

    >>> read(b"table: {widht: 2}", "space.yaml")
    Traceback (most recent call last):
    harness.errors.UsageError: space.yaml: table: unknown key widht
    """
    try:
        return decoded(text, Written, "a search space")
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error


def laid(written: Written, recipe: Recipe, table: Table, source: str) -> Space:
    """The file over a package's recipe and table. Raises UsageError naming the place of what does not fit."""
    start, rows = msgspec.to_builtins(recipe), msgspec.to_builtins(table)
    knobs: list[Knob] = []
    for name, said in written.recipe.items():
        place = f"recipe.{name}"
        _expect(name, tuple(start), place, source)
        _lay(start, name, said, place, source, knobs)
    for name in ("width", "depth"):
        if (multiple := getattr(written.table, name)) is not None:
            _lay(rows, name, msgspec.to_builtins(multiple), f"table.{name}", source, knobs)
    varied: dict[int, tuple[str, ...]] = {}
    for number in _numbers(written.table, len(rows["blocks"]), source):
        block, its = rows["blocks"][number], _of_block(written.table, rows["blocks"][number], number, source)
        if _may_cut(written.table, number):
            knobs.append(Knob(f"table.blocks.{number}.cut", Setting(choose=(False, True)), False))
        before = len(knobs)
        for name in sorted(its, key=lambda name: name != "kind"):  # the kind says which of the others there are
            _lay(block, name, its[name], f"table.blocks.{number}.{name}", source, knobs)
        varied[number] = tuple(knob.place.rpartition(".")[2] for knob in knobs[before:])
    knobs += _adding(written.table, len(rows["blocks"]), source)
    if not knobs:
        raise UsageError(
            f"{source}: expected something to vary, like `size: {{choose: [64, 96]}}` under recipe, got none"
        )
    return Space(start, rows, tuple(knobs), varied)


def fields_of(kind: object) -> tuple[str, ...]:
    """What a block of a kind is made of, beside the kind."""
    return _FIELDS.get(str(kind), ())


def _lay(into: dict[str, Any], name: str, said: object, place: str, source: str, knobs: list[Knob]) -> None:
    """A single value replaces the start's; a setting becomes a knob that the start's value is in."""
    if not isinstance(said, dict):
        into[name] = said
        return
    try:
        setting = msgspec.convert(said, Setting)
    except msgspec.ValidationError as error:
        said = misread(error, _SETTING).removeprefix(f"expected {_SETTING}: ")
        raise UsageError(f"{source}: {place}: {said}") from error
    start = into.get(name)
    start = list(start) if isinstance(start, tuple) else start
    if start is None:  # of another kind of block
        start = setting.choose[0] if setting.choose else setting.low
    if setting.choose:
        there = tuple(
            dict.fromkeys(map(_hashable, (*((start,) if start not in setting.choose else ()), *setting.choose)))
        )
        setting = Setting(tuple(list(one) if isinstance(one, tuple) else one for one in there))
    elif not _holds(setting, start):
        raise UsageError(
            f"{source}: {place}: expected a range that holds the starting point's {start}, got {setting.low} to "
            f"{setting.high}" + (f" in steps of {setting.step}" if setting.step else "")
        )
    knobs.append(Knob(place, setting, start))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _holds(setting: Setting, value: Any) -> bool:
    assert setting.low is not None
    assert setting.high is not None
    if isinstance(value, bool) or not isinstance(value, int | float) or not setting.low <= value <= setting.high:
        return False
    steps = (value - setting.low) / (setting.step or (1 if setting.whole() else 0) or 1)
    return not (setting.step or setting.whole()) or abs(steps - round(steps)) < 1e-9


def _of_block(table: _TablePart, block: dict[str, Any], number: int, source: str) -> dict[str, Any]:
    """What the file says of a block: of every one that has such a field, and of this one alone."""
    own = table.blocks.get(number, {})
    kinds = {str(block["kind"]), *_kinds(own, table.every)}
    known = ("kind", *dict.fromkeys(name for kind in kinds for name in fields_of(kind)))
    said = {name: its for name, its in table.every.items() if name in known and not _other(block, name)} | own
    for name in own:
        if name == "cut":
            continue
        _expect(name, known, f"table.blocks.{number}.{name}", source)
        if other := _other(block, name):
            raise UsageError(
                f"{source}: table.blocks.{number}.{name}: expected {other}, which this block gives, got {name}"
            )
    return {name: its for name, its in said.items() if name != "cut"}


def _kinds(*parts: Mapping[str, Any]) -> set[str]:
    """The kinds that a block may become."""
    said = [its.get("choose") for part in parts if isinstance(its := part.get("kind"), dict)]
    return {str(one) for its in said if isinstance(its, list) for one in its}  # else `_lay` says what is wrong


def _other(block: dict[str, Any], name: str) -> str:
    """The field that the block gives in place of this one, "" where it does not."""
    other, without = _EITHER.get(name, ("", 0))
    return other if other and block.get(other, without) != without else ""


def _may_cut(table: _TablePart, number: int) -> bool:
    own = table.blocks.get(number, {}).get("cut")
    return bool(own) if own is not None else table.cut is True or (table.cut is not False and number in table.cut)


def _numbers(table: _TablePart, blocks: int, source: str) -> range:
    """All blocks' numbers. Raises UsageError on one that is not there, and on what no block has."""
    cut = () if isinstance(table.cut, bool) else table.cut
    named = [(f"table.blocks.{number}", number) for number in table.blocks] + [("table.cut", number) for number in cut]
    for place, number in named:
        if not 0 <= number < blocks:
            raise UsageError(f"{source}: {place}: expected a block of 0 to {blocks - 1}, got {number}")
    for number, its in table.blocks.items():
        if not isinstance(its.get("cut", False), bool):
            raise UsageError(f"{source}: table.blocks.{number}.cut: expected true or false, got {its['cut']}")
    for name in table.every:
        _expect(name, ("kind", *_ALL_FIELDS), f"table.every.{name}", source)
    return range(blocks)


def _adding(table: _TablePart, blocks: int, source: str) -> list[Knob]:
    if table.add is None:
        return []
    if not 1 <= table.add.most <= _MOST_ADDED:
        raise UsageError(f"{source}: table.add.most: expected 1 to {_MOST_ADDED}, got {table.add.most}")
    of = range(blocks) if table.add.of is None else table.add.of
    for number in of:
        if not 0 <= number < blocks:
            raise UsageError(f"{source}: table.add.of: expected blocks of 0 to {blocks - 1}, got {number}")
    choices = Setting(choose=("none", *of))
    return [Knob(f"table.add.{number}", choices, "none") for number in range(1, table.add.most + 1)]


def _expect(name: str, known: tuple[str, ...], place: str, source: str) -> None:
    if name not in known:
        raise UsageError(f"{source}: {place}: unknown key, expected one of {', '.join(known)}")
