"""A space file is checked against the package before anything runs; its values make the networks that they say."""

import pytest

from harness.errors import SubmissionError, UsageError
from harness.lab.recipe import parse as parse_recipe
from harness.lab.search.candidate import Files, candidate, drawn, refuse_impossible
from harness.lab.search.space import Knob, laid, read
from harness.nets.table import Conv, InvertedResidual, read_table
from harness.nets.table import parse as parse_table
from tests.conftest import ROOT
from tests.lab.searching import SOURCE, SPACE, laid_over

FILES = Files(ROOT / "submissions" / "none", "network.yaml", "recipe.yaml")


def refused(text: str) -> str:
    """What a space file is refused with."""
    with pytest.raises(UsageError) as raised:
        refuse_impossible(laid_over(text), FILES, SOURCE)
    assert "\n" not in raised.value.message
    return raised.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipes: {}", "unknown key recipes"),
        ("table: {widht: 2}", "table: unknown key widht"),
        ("recipe: {sizes: {choose: [1]}}", "recipe.sizes: unknown key, expected one of size, epochs"),
        ("recipe: {size: {chose: [1]}}", "recipe.size: unknown key chose"),
        ("recipe: {size: {low: 1}}", "recipe.size: expected choose, or low and high"),
        ("recipe: {size: {low: 9, high: 3}}", "recipe.size: expected low below high, got 9 and 3"),
        ("recipe: {size: {low: 32, high: 64}}", "recipe.size: expected a range that holds the starting point's 16"),
        ("recipe: {size: {low: 10, high: 64, step: 4}}", "holds the starting point's 16, got 10 to 64 in steps of 4"),
        ("recipe: {batch: {choose: [many]}}", "recipe.batch: many: "),
        ("recipe: {loss: {choose: [mean]}}", "recipe.loss: mean: "),
        ("recipe: {flip: 2, size: {choose: [24]}}", "the starting point with its single values: "),
        ("table: {blocks: {9: {kernel: {choose: [3]}}}}", "table.blocks.9: expected a block of 0 to 3, got 9"),
        ("table: {blocks: {x: {kernel: 3}}}", "table.blocks: expected int, got str for a key"),
        ("table: {blocks: {1: {repeat: 2}, 1: {out: 8}}}", "the key 1 twice, at line 1 and line 1"),
        ("table: {blocks: {1: {kind: {choose: 3}}}}", "table.blocks.1.kind: choose: expected array, got int"),
        ("table: {every: {kind: {choose: null}}}", "table.blocks.0.kind: choose: expected array, got null"),
        ("recipe: {max_lr: {low: 0.01, high: .inf}}", "recipe.max_lr: inf: "),
        ("table: {blocks: {0: {squeeze: {choose: [8]}}}}", "table.blocks.0.squeeze: unknown key, expected one of kind"),
        ("table: {every: {kernels: {choose: [3]}}}", "table.every.kernels: unknown key"),
        ("table: {blocks: {0: {kernel: {choose: [4]}}}}", "table.blocks.0.kernel: 4: "),
        ("table: {blocks: {0: {kind: {choose: [conw]}}}}", "table.blocks.0.kind: conw: "),
        ("table: {blocks: {2: {kind: {choose: [conv]}}}}", "table.blocks.2.kind: conv: "),  # it has no `out`
        ("table: {blocks: {3: {stride: {choose: [64]}}}}", "table.blocks.3.stride: 64: network.yaml: row 3 (conv): "),
        ("table: {blocks: {0: {cut: 3}}}", "table.blocks.0.cut: expected true or false, got 3"),
        ("table: {cut: [7]}", "table.cut: expected a block of 0 to 3, got 7"),
        ("table: {add: {most: 0}}", "table.add.most: expected 1 to 20, got 0"),
        ("table: {add: {most: 1, of: [7]}}", "table.add.of: expected blocks of 0 to 3, got 7"),
        ("recipe: {epochs: 3}", "expected something to vary"),
        ("", "expected something to vary"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(text: str, said: str) -> None:
    assert refused(text).startswith(f"{SOURCE}: ")
    assert said in refused(text)


def test_the_documented_space_fits_the_start_from_a_table() -> None:
    starts, source = ROOT / "harness" / "starts", "docs/space.yaml"
    table, recipe = (starts / "network.yaml").read_bytes(), (starts / "recipe.yaml").read_bytes()
    written = read((ROOT / source).read_bytes(), source)
    space = laid(written, parse_recipe(recipe, "recipe.yaml"), read_table(table, "network.yaml"), source)
    start = refuse_impossible(space, FILES, source)
    assert start.rows == parse_table(table, "network.yaml")
    assert len(space.knobs) > 20


def test_a_file_that_is_no_yaml_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^space\.yaml: expected a search space: "):
        read(b"recipe: [", SOURCE)


def test_a_stride_that_leaves_no_pixels_says_how_many_there_are() -> None:
    said = refused("table: {blocks: {3: {stride: {choose: [64]}}}}")
    assert "expected a map of 64 pixels a side or more, got 8 of a picture of 16" in said


def test_without_values_a_candidate_is_the_package() -> None:
    made = candidate(laid_over(SPACE), {}, FILES)
    assert [type(row).__name__ for row in made.rows] == ["Conv", "InvertedResidual", "DepthwiseConv", "Conv"]
    assert (made.recipe.size, made.recipe.epochs) == (16, 2)


def test_single_values_hold_for_the_start_too() -> None:
    made = candidate(laid_over("recipe: {epochs: 7}\ntable: {width: {choose: [2]}, blocks: {3: {out: 24}}}"), {}, FILES)
    assert made.recipe.epochs == 7
    assert made.rows[3].out == 24  # type: ignore[union-attr]


def test_values_cut_add_and_change_blocks() -> None:
    space = laid_over(SPACE)
    values = {
        "recipe.size": 24,
        "recipe.randaugment_ops": [0, 1],
        "table.width": 2,
        "table.blocks.0.kernel": 1,
        "table.blocks.1.expand": 3,
        "table.blocks.1.squeeze": 0,
        "table.blocks.2.cut": True,
        "table.add.1": 1,
    }
    made = candidate(space, values, FILES)
    first, second, copied, last = made.rows
    assert isinstance(first, Conv)
    assert (first.kernel, first.out, first.stride) == (1, 16, 2)
    assert isinstance(second, InvertedResidual)
    assert (second.expand, second.squeeze, second.out) == (3, 0, 16)
    assert copied == second
    assert last.out == 32  # type: ignore[union-attr]
    assert (made.recipe.size, made.recipe.randaugment_ops) == (24, (0, 1))


def test_a_copy_of_a_block_with_a_stride_has_none() -> None:
    space = laid_over("table: {add: {most: 2, of: [0]}}")
    made = candidate(space, {"table.add.1": 0, "table.add.2": 0}, FILES)
    assert [row.stride for row in made.rows[:3]] == [2, 1, 1]  # type: ignore[union-attr]


def test_nothing_is_drawn_for_a_block_that_is_cut_or_for_fields_of_another_kind() -> None:
    kinds = "1: {squeeze: {choose: [0]}}, 3: {kind: {choose: [linear]}}"
    space = laid_over(f"table: {{cut: [1], every: {{kernel: {{choose: [1, 3]}}}}, blocks: {{{kinds}}}}}")
    asked: list[str] = []

    def draw(knob: Knob) -> object:
        asked.append(knob.place)
        return {"table.blocks.1.cut": True, "table.blocks.3.kind": "linear"}.get(knob.place, knob.start)

    drawn(space, draw)  # type: ignore[arg-type]
    assert "table.blocks.1.cut" in asked
    assert not {"table.blocks.1.kernel", "table.blocks.1.squeeze", "table.blocks.3.kernel"} & set(asked)
    assert "table.blocks.2.kernel" in asked


def test_a_network_is_the_same_whichever_knobs_made_it() -> None:
    space = laid_over("table: {add: {most: 2, of: [1, 2]}}")
    one = candidate(space, {"table.add.1": 1, "table.add.2": 2}, FILES)
    other = candidate(space, {"table.add.1": 2, "table.add.2": 1}, FILES)
    assert one.digest() == other.digest() != candidate(space, {}, FILES).digest()


def test_the_start_is_among_what_is_chosen_from() -> None:
    (knob,) = laid_over("recipe: {size: {choose: [24, 32]}}").knobs
    assert knob.setting.choose == (16, 24, 32)
    assert knob.start == 16


def test_a_combination_that_is_impossible_is_said_by_its_trial() -> None:
    space = laid_over("table: {blocks: {0: {stride: {choose: [16]}}, 3: {stride: {choose: [8]}}}}")
    refuse_impossible(space, FILES, SOURCE)  # each alone is possible
    with pytest.raises(SubmissionError, match=r"row 3 \(conv\): expected a map of 8 pixels"):
        candidate(space, {"table.blocks.0.stride": 16, "table.blocks.3.stride": 8}, FILES)
